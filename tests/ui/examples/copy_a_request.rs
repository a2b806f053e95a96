//! D5: there is one owner of a request.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::status::Status;
use wdm_ui::Plain;

fn request(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let copy = irp.clone();
    let _completed = copy.refuse(Status::INVALID_PARAMETER);
    irp.refuse(Status::INVALID_PARAMETER)
}
