//! A9, C12: the last close may take the filter device along; it is not looked at when the request is gone.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm_ui::{Logged, Plain};

fn request(irp: Irp<'_, Plain>) -> Disposition<'_> {
    let device = irp.device();
    let logged = Logged {
        major: irp.major(),
        numbers: [0; 3],
    };
    let disposition = match wdm::pool::NonPagedBox::try_new(logged) {
        Ok(logged) => irp.forward_with(logged),
        Err(status) => irp.refuse(status),
    };
    let () = device.attachment();
    disposition
}
