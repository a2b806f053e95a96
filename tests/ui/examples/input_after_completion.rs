//! D5, D7: the buffer of a device control is the I/O manager's again when the request has completed.

#![no_std]
#![no_main]

use wdm::irp::{DeviceControl, Disposition};
use wdm::irql::AtMostApc;
use wdm::status::Status;
use wdm_ui::Plain;

fn request<'d>(control: DeviceControl<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let input = control.input();
    let disposition = control.complete(Status::SUCCESS, level);
    let _first = input.first();
    disposition
}
