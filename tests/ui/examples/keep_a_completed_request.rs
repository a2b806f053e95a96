//! C12: after the completion routine has returned the request is not touched.

#![no_std]
#![no_main]

use wdm::irp::CompletedIrp;
use wdm_ui::Plain;

struct Last<'k> {
    seen: Option<&'k CompletedIrp<'k, Plain>>,
}

fn completed(last: &mut Last<'_>, irp: &CompletedIrp<'_, Plain>) {
    last.seen = Some(irp);
}
