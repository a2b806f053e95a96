//! C2: a completion routine runs in any thread, so its context may be sent there.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm_ui::Plain;

struct Here(*mut u32);

impl Completion<Plain> for Here {
    fn completed(self, _irp: &CompletedIrp<'_, Plain>, _level: &mut AtMostDispatch) {
        let _only_here = self.0;
    }
}
