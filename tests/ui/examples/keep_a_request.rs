//! C11: a request is not kept for later without being marked pending.

#![no_std]
#![no_main]

use wdm::irp::Irp;
use wdm_ui as _;

struct Queue {
    waiting: Option<Irp<'static>>,
}

fn request<'d>(queue: &mut Queue, irp: Irp<'d>) {
    queue.waiting = Some(irp);
}
