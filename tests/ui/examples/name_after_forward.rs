//! C12: the name in a create is the file system's as soon as the create is passed on.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &AtMostApc, own: &mut AtMostApc) -> Disposition<'d> {
    let name = irp.opened_name(level);
    let disposition = irp.forward(own);
    let _length = name.map(|name| name.units().len());
    disposition
}
