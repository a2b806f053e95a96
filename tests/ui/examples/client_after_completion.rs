//! D5: when a request has completed, another thread may close its handle, and the close frees the client.

#![no_std]
#![no_main]

use wdm::irp::{ControlIrp, Disposition};
use wdm::status::Status;
use wdm_ui::Plain;

fn request(irp: ControlIrp<'_, Plain>) -> Disposition<'_> {
    let client = irp.client();
    let disposition = irp.refuse(Status::INVALID_PARAMETER);
    let _known = client.is_some();
    disposition
}
