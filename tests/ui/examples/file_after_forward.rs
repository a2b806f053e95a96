//! C12: a file object lasts as long as the request for it, and is not looked at afterwards.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let file = irp.file();
    let disposition = irp.forward(level);
    let _clean = file.is_some_and(|file| file.is_open_file());
    disposition
}
