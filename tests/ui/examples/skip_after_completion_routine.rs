//! C1: the stack location is not skipped for a request that has a completion routine.

#![no_std]
#![no_main]

use wdm::completion::Completion;
use wdm::irp::{Disposition, Irp};
use wdm::irql::AtMostApc;
use wdm_ui::Plain;

fn request<'d>(
    irp: Irp<'d, Plain>,
    completion: impl Completion<Plain>,
    level: &mut AtMostApc,
) -> Disposition<'d> {
    let _sent = irp.forward_with(completion, level);
    irp.forward(level)
}
