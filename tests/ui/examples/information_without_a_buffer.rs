//! D7: what the I/O manager is told to copy to a program was written by the driver.

#![no_std]
#![no_main]

use wdm::irp::{ControlIrp, Disposition};
use wdm::status::Status;
use wdm_ui::Plain;

fn request(irp: ControlIrp<'_, Plain>) -> Disposition<'_> {
    irp.complete(Status::SUCCESS, 4096)
}
