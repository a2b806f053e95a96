//! A6: what was mounted is asked for while the mount is in hand: afterwards the volume may be gone.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, ReturnedIrp};
use wdm::irql::Passive;
use wdm_ui::Plain;

fn late<'d>(returned: ReturnedIrp<'d, Plain>, level: &mut Passive) -> Disposition<'d> {
    let resumed = returned.resume(level);
    let _volume = returned.mounted();
    resumed
}
