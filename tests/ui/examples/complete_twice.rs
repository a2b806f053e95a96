//! D5: a request is completed once.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm::status::Status;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let _completed = irp.refuse(Status::INVALID_PARAMETER, level);
    irp.refuse(Status::INVALID_DEVICE_REQUEST, level)
}
