//! C11: a request is not kept for later without being marked pending.

#![no_std]
#![no_main]

use wdm::irp::Irp;
use wdm_ui::Plain;

struct Queue {
    waiting: Option<Irp<'static, Plain>>,
}

fn request<'d>(queue: &mut Queue, irp: Irp<'d, Plain>) {
    queue.waiting = Some(irp);
}
