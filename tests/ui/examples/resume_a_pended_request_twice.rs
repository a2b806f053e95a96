//! C13: a request that was pended is resumed once.

#![no_std]
#![no_main]

use wdm::irp::{PendedIrp, Resumed};
use wdm::irql::Passive;
use wdm_ui::Plain;

fn finish<'d>(irp: PendedIrp<'d, Plain>, level: &mut Passive) -> Resumed<'d> {
    let _resumed = irp.resume(level);
    irp.resume(level)
}
