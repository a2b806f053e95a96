//! D5: a request is completed once.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::status::Status;
use wdm_ui::Plain;

fn request(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let _completed = irp.refuse(Status::INVALID_PARAMETER);
    irp.refuse(Status::INVALID_DEVICE_REQUEST)
}
