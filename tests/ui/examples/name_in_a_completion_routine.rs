//! C3: a completion routine does not ask for names (ObQueryNameString).

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::device::FilterDevice;
use wdm::device::NameBuffer;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm_ui::Plain;

struct Names;

impl Completion<Plain> for Names {
    fn completed(
        self,
        device: &FilterDevice<Plain>,
        _irp: &CompletedIrp<'_>,
        level: &mut AtMostDispatch,
    ) {
        let mut buffer = NameBuffer::new();
        let _name = device.name(&mut buffer, level);
    }
}
