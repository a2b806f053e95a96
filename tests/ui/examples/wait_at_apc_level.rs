//! D3: a dispatch routine of which only IRQL ≤ APC_LEVEL is known does not wait.

#![no_std]
#![no_main]

use wdm::irp::Irp;
use wdm::irql::AtMostApc;
use wdm_ui::Plain;

fn request(irp: Irp<'_, Plain>, level: &mut AtMostApc) {
    let _returned = irp.forward_and_wait(level);
}
