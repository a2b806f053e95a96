//! C1: the stack location is not skipped for a request that has a completion routine.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::device::{FilterDevice, LowerDevice};
use wdm::irp::{Disposition, Irp};
use wdm_ui::Plain;

fn request<'d>(
    device: &'d FilterDevice<Plain>,
    lower: LowerDevice<'d>,
    irp: Irp<'d>,
    completion: impl Completion,
) -> Disposition<'d> {
    let _sent = irp.forward_with(device, completion);
    irp.forward(lower)
}
