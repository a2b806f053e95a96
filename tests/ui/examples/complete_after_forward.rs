//! D5: a request that was passed on is the lower driver's to complete.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::status::Status;
use wdm_ui::Plain;

fn request(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let _sent = irp.forward();
    irp.refuse(Status::INVALID_PARAMETER)
}
