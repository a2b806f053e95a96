//! D5: a request that was passed on is the lower driver's to complete.

#![no_std]
#![no_main]

use wdm::device::FilterDevice;
use wdm::irp::{Disposition, Irp};
use wdm::status::Status;
use wdm_ui::Plain;

fn request<'d>(device: &'d FilterDevice<Plain>, irp: Irp<'d>) -> Disposition<'d> {
    let Some(lower) = device.lower() else {
        return irp.complete(Status::INVALID_DEVICE_REQUEST, 0);
    };
    let _sent = irp.forward(lower);
    irp.complete(Status::SUCCESS, 0)
}
