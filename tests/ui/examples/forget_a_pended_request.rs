//! C13: a request that was pended is resumed: work has nothing else to return.

#![no_std]
#![no_main]

use wdm::irp::{PendedIrp, PendedWork, Resumed};
use wdm::irql::Passive;
use wdm_ui::Plain;

struct Forgetful;

impl PendedWork<Plain> for Forgetful {
    fn run<'w>(self, irp: PendedIrp<'w, Plain>, _level: &mut Passive) -> Resumed<'w> {
        drop(irp);
    }
}
