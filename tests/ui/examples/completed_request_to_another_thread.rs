//! C12: a request is looked at by its completion routine, and by no other thread meanwhile.

#![no_std]
#![no_main]

use wdm::irp::CompletedIrp;
use wdm_ui::Plain;

fn on_another_thread(work: impl FnOnce() + Send) {
    work();
}

fn completed(irp: &CompletedIrp<'_, Plain>) {
    on_another_thread(move || {
        let _status = irp.came();
    });
}
