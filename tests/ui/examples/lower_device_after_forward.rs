//! A9, C12: the device below may go with the request, and is not looked at afterwards.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let lower = irp.lower();
    let disposition = irp.forward(level);
    let _flags = lower.flags();
    disposition
}
