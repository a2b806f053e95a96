//! A9: work that finishes a request does not get the device that it was sent to: that may be gone.

#![no_std]
#![no_main]

use wdm::device::FilterDevice;
use wdm::irp::{PendedIrp, PendedWork, Resumed};
use wdm::irql::{AtMostApc, Passive};
use wdm_ui::Plain;

struct Looks;

impl PendedWork<Plain> for Looks {
    fn run<'w>(
        self,
        device: &FilterDevice<Plain>,
        irp: PendedIrp<'w, Plain>,
        level: &mut Passive,
    ) -> Resumed<'w> {
        let () = device.attachment();
        irp.resume(level)
    }
}
