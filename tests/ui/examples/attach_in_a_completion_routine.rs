//! A6, C3: devices are created and attached at PASSIVE_LEVEL only, never in a completion routine.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::device::{self, DeviceReference};
use wdm::driver::Driver;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm_ui::Plain;

struct Attaches(&'static Driver<Plain>, DeviceReference);

impl Completion<Plain> for Attaches {
    fn completed(self, _irp: &CompletedIrp<'_, Plain>, level: &mut AtMostDispatch) {
        let _attached = device::attach(self.0, &self.1, level, |_level| Some(()));
    }
}
