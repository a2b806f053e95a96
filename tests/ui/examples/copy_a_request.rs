//! D5: there is one owner of a request.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm::status::Status;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let copy = irp.clone();
    let _completed = copy.refuse(Status::INVALID_PARAMETER, level);
    irp.refuse(Status::INVALID_PARAMETER, level)
}
