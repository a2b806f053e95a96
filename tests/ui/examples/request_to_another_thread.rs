//! C10, C11: a request leaves its thread only where it was marked pending first, by
//! `Irp::pend_and_forward`.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm_ui::Plain;

fn on_another_thread(work: impl FnOnce() + Send) {
    work();
}

fn request(irp: Irp<'_, Plain>) {
    on_another_thread(move || {
        let _major = irp.major();
    });
}
