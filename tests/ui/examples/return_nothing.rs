//! D4, D5: a request is completed or passed on before its dispatch routine returns.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let _major = irp.major();
}
