//! C13: completion that was stopped is resumed once.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, ReturnedIrp};
use wdm_ui as _;

fn finish(returned: ReturnedIrp<'_>) -> Disposition<'_> {
    let _resumed = returned.resume();
    returned.resume()
}
