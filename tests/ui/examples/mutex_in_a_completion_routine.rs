//! C3: a completion routine takes no mutex.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm::sync::Mutex;
use wdm_ui::Plain;

struct Counts(&'static Mutex<u32>);

impl Completion<Plain> for Counts {
    fn completed(self, _irp: &CompletedIrp<'_, Plain>, level: &mut AtMostDispatch) {
        self.0.with(level, |count, _level| *count += 1);
    }
}
