//! D7: input and output are one buffer, and are not to be had at the same time.

#![no_std]
#![no_main]

use wdm::irp::{DeviceControl, Disposition};
use wdm::irql::Passive;
use wdm::status::Status;
use wdm_ui::Plain;

fn echo<'d>(control: DeviceControl<'d, Plain>, level: &mut Passive) -> Disposition<'d> {
    let input = control.input();
    control.answer(level, |output, _| {
        for (to, from) in output.iter_mut().zip(input) {
            *to = *from;
        }
        (Status::SUCCESS, output.len())
    })
}
