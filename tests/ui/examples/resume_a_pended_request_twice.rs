//! C13: a request that was pended is resumed once.

#![no_std]
#![no_main]

use wdm::irp::{PendedIrp, Resumed};
use wdm_ui as _;

fn finish(irp: PendedIrp<'_>) -> Resumed<'_> {
    let _resumed = irp.resume();
    irp.resume()
}
