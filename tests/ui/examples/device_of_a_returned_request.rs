//! A9: a request that came back does not say which device it was sent to: that may be gone.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, ReturnedIrp};
use wdm_ui::Plain;

fn finish(returned: ReturnedIrp<'_, Plain>) -> Disposition<'_> {
    let () = returned.device().attachment();
    returned.resume()
}
