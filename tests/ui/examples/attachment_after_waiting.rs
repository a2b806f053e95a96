//! A9: what is kept with a device may be gone when a request that was waited for has come back.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::{AtMostApc, Passive};
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut Passive) -> Disposition<'d> {
    let attachment = irp.device().attachment();
    let returned = irp.forward_and_wait(level);
    let () = attachment;
    returned.resume(level)
}
