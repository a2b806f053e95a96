//! C4: the stack of a thread is paged out while it waits; a completion does not borrow from it.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm_ui::Plain;

struct Counts<'s>(&'s u32);

impl<'s> Completion<Plain> for Counts<'s> {
    fn completed(self, _irp: &CompletedIrp<'_, Plain>, _level: &mut AtMostDispatch) {
        let _seen = *self.0;
    }
}
