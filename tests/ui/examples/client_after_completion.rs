//! D5: when a request has completed, another thread may close its handle, and the close frees the client.

#![no_std]
#![no_main]

use wdm::irp::{ControlIrp, Disposition};
use wdm::irql::AtMostApc;
use wdm::status::Status;
use wdm_ui::Plain;

fn request<'d>(irp: ControlIrp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    let client = irp.client();
    let disposition = irp.refuse(Status::INVALID_PARAMETER, level);
    let _known = client.is_some();
    disposition
}
