//! C3: a completion routine does not ask for names (ObQueryNameString).

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::device::{DeviceReference, NameBuffer};
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm_ui::Plain;

struct Names(DeviceReference);

impl Completion<Plain> for Names {
    fn completed(self, _irp: &CompletedIrp<'_, Plain>, level: &mut AtMostDispatch) {
        let mut buffer = NameBuffer::new();
        let _name = self.0.name(&mut buffer, level);
    }
}
