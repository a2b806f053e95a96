//! D3: a dispatch routine of which only IRQL ≤ APC_LEVEL is known does not wait.

#![no_std]
#![no_main]

use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm_ui::Plain;

fn request<'d>(irp: Irp<'d, Plain>, level: &mut AtMostApc) -> Disposition<'d> {
    irp.forward_and_wait(level).resume()
}
