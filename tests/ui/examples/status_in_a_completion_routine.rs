//! C16: a completion routine does not change the status of the request.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm::status::Status;
use wdm_ui::Plain;

struct Hides;

impl Completion<Plain> for Hides {
    fn completed(self, irp: &CompletedIrp<'_, Plain>, _level: &mut AtMostDispatch) {
        irp.set_status(Status::SUCCESS);
    }
}
