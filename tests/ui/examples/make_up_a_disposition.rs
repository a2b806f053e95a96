//! D4: what a dispatch routine returns comes out of what it did with the request.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    core::mem::forget(irp);
    Disposition { status: 0x103 }
}
