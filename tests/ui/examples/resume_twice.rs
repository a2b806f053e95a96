//! C13: completion that was stopped is resumed once.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, ReturnedIrp};
use wdm::irql::Passive;
use wdm_ui::Plain;

fn finish<'d>(returned: ReturnedIrp<'d, Plain>, level: &mut Passive) -> Disposition<'d> {
    let _resumed = returned.resume(level);
    returned.resume(level)
}
