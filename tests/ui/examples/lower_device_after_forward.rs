//! A9, C12: the device below may go with the request, and is not looked at afterwards.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm_ui::Plain;

fn request(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let lower = irp.lower();
    let disposition = irp.forward();
    let _flags = lower.flags();
    disposition
}
