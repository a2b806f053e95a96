//! A9: a request that came back does not say which device it was sent to: that may be gone.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, ReturnedIrp};
use wdm::irql::Passive;
use wdm_ui::Plain;

fn finish<'d>(returned: ReturnedIrp<'d, Plain>, level: &mut Passive) -> Disposition<'d> {
    let () = returned.device().attachment();
    returned.resume(level)
}
