//! D5, D7: what a file system's success promises only the file system can keep; a filter refuses, or passes on.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::status::Status;
use wdm_ui::Plain;

fn request(irp: Irp<'_, Plain>) -> Disposition<'_> {
    irp.complete(Status::SUCCESS, 4096)
}
