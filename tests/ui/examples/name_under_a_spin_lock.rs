//! C3, C4: the name in a create is paged memory, which nothing may touch at DISPATCH_LEVEL.

#![no_std]
#![no_main]

use wdm::irp::Irp;
use wdm::irql::AtMostApc;
use wdm::sync::SpinLock;
use wdm_ui::Plain;

fn count(irp: &Irp<'_, Plain>, length: &SpinLock<usize>, level: &mut AtMostApc) {
    let name = irp.opened_name(level);
    length.with(level.at_most_dispatch(), |length| {
        *length = name.map_or(0, |name| name.units().len());
    });
}
