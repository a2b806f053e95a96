//! D5: there is one owner of a request.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::status::Status;
use wdm_ui as _;

fn request(irp: Irp<'_>) -> Disposition<'_> {
    let copy = irp.clone();
    let _completed = copy.complete(Status::SUCCESS, 0);
    irp.complete(Status::SUCCESS, 0)
}
