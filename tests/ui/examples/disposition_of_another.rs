//! D4: the status of one request is not returned for another.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm::status::Status;
use wdm_ui::Plain;

fn request<'d, 'e: 'd>(
    irp: Irp<'d, Plain>,
    other: Irp<'e, Plain>,
    level: &mut AtMostApc,
) -> Disposition<'d> {
    core::mem::forget(irp);
    other.refuse(Status::INVALID_PARAMETER, level)
}
