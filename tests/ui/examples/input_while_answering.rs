//! D7: input and output are one buffer, and are not to be had at the same time.

#![no_std]
#![no_main]

use wdm::irp::{DeviceControl, Disposition};
use wdm::status::Status;
use wdm_ui::Plain;

fn echo(control: DeviceControl<'_, Plain>) -> Disposition<'_> {
    let input = control.input();
    control.answer(|output| {
        for (to, from) in output.iter_mut().zip(input) {
            *to = *from;
        }
        (Status::SUCCESS, output.len())
    })
}
