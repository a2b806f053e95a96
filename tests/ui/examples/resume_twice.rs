//! C13: completion that was stopped is resumed once.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, ReturnedIrp};
use wdm_ui::Plain;

fn finish(returned: ReturnedIrp<'_, Plain>) -> Disposition<'_> {
    let _resumed = returned.resume();
    returned.resume()
}
