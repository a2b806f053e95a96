//! A6, C3: devices are created and attached at PASSIVE_LEVEL only, never in a completion routine.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::device;
use wdm::device::FilterDevice;
use wdm::irp::CompletedIrp;
use wdm::irql::AtMostDispatch;
use wdm_ui::Plain;

struct Attaches;

impl Completion<Plain> for Attaches {
    fn completed(
        self,
        device: &FilterDevice<Plain>,
        _irp: &CompletedIrp<'_>,
        level: &mut AtMostDispatch,
    ) {
        let _attached = device::attach(device.driver(), device, level, |_level| Some(()));
    }
}
