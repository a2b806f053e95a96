//! A9, C12: the last close may take the filter device along; it is not looked at when the request is gone.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm_ui::{Logged, Plain};

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let device = irp.device();
    let logged = Logged {
        major: irp.major(),
        numbers: [0; 3],
    };
    let disposition = match wdm::pool::NonPagedBox::try_new(logged) {
        Ok(logged) => irp.forward_with(logged, level),
        Err(status) => irp.refuse(status, level),
    };
    let () = device.attachment();
    disposition
}
