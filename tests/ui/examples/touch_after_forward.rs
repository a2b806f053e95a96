//! C12: a request that was passed on may be gone; it is not looked at again.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm_ui::Plain;

fn request(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let disposition = irp.forward();
    if irp.major() == 0 {
        return disposition;
    }
    disposition
}
