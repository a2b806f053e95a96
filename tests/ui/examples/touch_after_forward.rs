//! C12: a request that was passed on may be gone; it is not looked at again.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let disposition = irp.forward(level);
    if irp.major() == 0 {
        return disposition;
    }
    disposition
}
