//! C13: completion that was stopped is resumed: a dispatch routine that waited has nothing else to return.

#![no_std]
#![no_main]

use wdm::device::FilterDevice;
use wdm::irp::{Disposition, Irp};
use wdm::irql::Passive;
use wdm_ui::Plain;

fn request<'d>(
    device: &'d FilterDevice<Plain>,
    irp: Irp<'d>,
    level: &mut Passive,
) -> Disposition<'d> {
    match irp.forward_and_wait(device, level) {
        Ok(returned) => {
            let _status = returned.status();
        }
        Err(not_waited) => not_waited.or_complete(),
    }
}
