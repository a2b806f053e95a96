//! D4: the status of one request is not returned for another.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::status::Status;
use wdm_ui as _;

fn request<'d, 'e>(irp: Irp<'d>, other: Irp<'e>) -> (Disposition<'d>, Disposition<'e>) {
    let done = irp.complete(Status::SUCCESS, 0);
    let also_done = other.complete(Status::SUCCESS, 0);
    (also_done, done)
}
