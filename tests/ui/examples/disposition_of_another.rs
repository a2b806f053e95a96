//! D4: the status of one request is not returned for another.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::status::Status;
use wdm_ui as _;

fn request<'d, 'e: 'd>(irp: Irp<'d>, other: Irp<'e>) -> Disposition<'d> {
    core::mem::forget(irp);
    other.complete(Status::SUCCESS, 0)
}
