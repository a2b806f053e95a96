//! C13: a pended request does not outlive its work, which keeps the driver loaded.

#![no_std]
#![no_main]

use wdm::irp::{PendedIrp, Resumed};
use wdm_ui::Plain;

struct Queue {
    waiting: Option<PendedIrp<'static, Plain>>,
}

fn work<'w>(queue: &mut Queue, irp: PendedIrp<'w, Plain>, other: Resumed<'w>) -> Resumed<'w> {
    queue.waiting = Some(irp);
    other
}
