//! C13: completion that was stopped is resumed: a dispatch routine that waited has nothing else to return.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::Passive;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut Passive) -> Disposition<'d> {
    let _status = irp.forward_and_wait(level).came();
}
