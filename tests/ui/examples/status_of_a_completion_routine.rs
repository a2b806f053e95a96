//! C7: what a completion routine returns is the trampoline's to say.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm::status::Status;
use wdm_ui::Plain;

struct Stops;

impl Completion<Plain> for Stops {
    fn completed(self, _irp: &CompletedIrp<'_, Plain>, _level: &mut AtMostDispatch) -> Status {
        Status::MORE_PROCESSING_REQUIRED
    }
}
