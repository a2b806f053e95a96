//! D6: a driver is not called while a spin lock is held: the level is lent to the lock.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm::sync::SpinLock;
use wdm_ui::Plain;

fn count<'d>(irp: Irp<'d, Plain>, count: &SpinLock<u64>, level: &mut AtMostApc) -> Disposition<'d> {
    count.with(level.at_most_dispatch(), |count| {
        *count += 1;
        irp.forward(level)
    })
}
