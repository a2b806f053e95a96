//! C2, C3: a completion routine may run at DISPATCH_LEVEL, where nothing waits.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm::sync;
use wdm_ui::Plain;

struct Waits;

impl Completion<Plain> for Waits {
    fn completed(self, _irp: &CompletedIrp<'_, Plain>, level: &mut AtMostDispatch) {
        sync::delay(1, level);
    }
}
