//! D5: a request is not completed with STATUS_PENDING, which is no result.

#![no_std]
#![no_main]

use wdm::irp::{DeviceControl, Disposition};
use wdm::irql::AtMostApc;
use wdm::status::Status;
use wdm_ui::Plain;

fn answer<'d>(control: DeviceControl<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    control.complete(Status::PENDING, level)
}
