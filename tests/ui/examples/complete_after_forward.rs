//! D5: a request that was passed on is the lower driver's to complete.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm::status::Status;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let _sent = irp.forward(level);
    irp.refuse(Status::INVALID_PARAMETER, level)
}
