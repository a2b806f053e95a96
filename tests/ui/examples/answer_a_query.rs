//! D7: a success says that the answer is in the buffer; only `DeviceControl::answer` puts one there.

#![no_std]
#![no_main]

use wdm::irp::{ControlIrp, Disposition};
use wdm::status::Status;
use wdm_ui::Plain;

fn request(irp: ControlIrp<'_, Plain>) -> Disposition<'_> {
    irp.complete(Status::SUCCESS, 4096)
}
