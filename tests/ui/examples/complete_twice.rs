//! D5: a request is completed once.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::status::Status;
use wdm_ui as _;

fn request(irp: Irp<'_>) -> Disposition<'_> {
    let _completed = irp.complete(Status::SUCCESS, 0);
    irp.complete(Status::INVALID_DEVICE_REQUEST, 0)
}
