//! A12: the driver's state is not kept beyond DriverEntry: it goes in DriverUnload.

#![no_std]
#![no_main]

use wdm::driver::{Driver, Start};
use wdm::irql::Passive;
use wdm::status::Status;
use wdm_ui::Plain;

struct Kept {
    driver: Option<&'static Driver<Plain>>,
}

fn start(kept: &mut Kept, start: &mut Start<Plain>, level: &mut Passive) -> Result<(), Status> {
    start.create_control_device(Plain, true, level)?;
    kept.driver = Some(start.run(level)?);
    Ok(())
}
