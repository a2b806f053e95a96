//! A12: a driver asks nothing before it runs, when there is no `Driver` to name: DriverEntry may fail while the
//! completion routine of the answer returns.

#![no_std]
#![no_main]

use wdm::driver::Start;
use wdm::irp::{self, Question};
use wdm::irql::Passive;
use wdm::status::Status;
use wdm::{named_device, unicode};
use wdm_ui::Plain;

fn start(start: &mut Start<Plain>, level: &mut Passive) -> Result<(), Status> {
    start.create_control_device(Plain, true, level)?;
    named_device::with(
        unicode!(r"\Device\HarddiskVolume1"),
        level,
        |storage, level| irp::ask(storage, Question::IS_WRITABLE, level),
    )
}
