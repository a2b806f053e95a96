//! C13: a request that was pended is resumed once.

#![no_std]
#![no_main]

use wdm::irp::{PendedIrp, Resumed};
use wdm_ui::Plain;

fn finish(irp: PendedIrp<'_, Plain>) -> Resumed<'_> {
    let _resumed = irp.resume();
    irp.resume()
}
