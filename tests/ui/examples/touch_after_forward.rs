//! C12: a request that was passed on may be gone; it is not looked at again.

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
    let disposition = irp.forward(lower);
    if irp.major() == 0 {
        return disposition;
    }
    disposition
}
