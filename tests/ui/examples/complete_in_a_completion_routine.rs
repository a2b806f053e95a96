//! C7, C12: a completion routine lets completion go on; it does not complete the request itself.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm::status::Status;
use wdm_ui::Plain;

struct Completes;

impl Completion<Plain> for Completes {
    fn completed(self, irp: &CompletedIrp<'_, Plain>, _level: &mut AtMostDispatch) {
        let _disposition = irp.refuse(Status::INVALID_PARAMETER);
    }
}
