//! C13: completion that was stopped is resumed: a dispatch routine that waited has nothing else to return.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::Passive;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut Passive) -> Disposition<'d> {
    match irp.forward_and_wait(level) {
        Ok(returned) => {
            let _status = returned.status();
        }
        Err(not_waited) => not_waited.or_refuse(),
    }
}
