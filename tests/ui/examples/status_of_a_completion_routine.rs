//! C7: what a completion routine returns is the trampoline's to say.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm::status::Status;
use wdm_ui as _;

struct Stops;

impl Completion for Stops {
    fn completed(self, _irp: &CompletedIrp<'_>, _level: &mut AtMostDispatch) -> Status {
        Status::MORE_PROCESSING_REQUIRED
    }
}
