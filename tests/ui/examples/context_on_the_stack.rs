//! C4: the stack of a thread is paged out while it waits; a completion does not borrow from it.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::device::FilterDevice;
use wdm::irp::{CompletedIrp, Disposition, Irp};
use wdm::irql::AtMostDispatch;
use wdm_ui::Plain;

struct Counts<'s>(&'s u32);

impl Completion for Counts<'static> {
    fn completed(self, _irp: &CompletedIrp<'_>, _level: &mut AtMostDispatch) {
        let _seen = *self.0;
    }
}

fn request<'d>(device: &'d FilterDevice<Plain>, irp: Irp<'d>) -> Disposition<'d> {
    let count = 1;
    irp.forward_with(device, Counts(&count))
}
