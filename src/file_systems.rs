//! File systems that come and go: attach to their control devices, and to what they have mounted.

use crate::glass::Glass;
use crate::policy::Class;
use crate::{report, volumes};
use wdm::device::DeviceObject;
use wdm::driver::Driver;
use wdm::irql::Passive;
use wdm::status::Status;
use wdm::unicode::UnicodeStr;
use wdm::{named_device, unicode};

/// RAW is a file system of the I/O manager, which does not report it (A4).
const RAW: [UnicodeStr<'static>; 2] = [unicode!(r"\Device\RawDisk"), unicode!(r"\Device\RawCdRom")];

/// A file system registered (`active`) or goes away. `device` is anywhere in the stack of its
/// control device: another filter may lie on that already.
pub fn changed(driver: &Driver<Glass>, device: &DeviceObject, active: bool, level: &mut Passive) {
    let control_device = &*device.base_of_stack(level);
    if !active {
        driver.detach_from(control_device, level);
        return;
    }
    let class = Class::of_file_system(control_device, level);
    if !driver.filter().policy.filters(class) {
        return;
    }
    // The control device first: a mount that comes now is seen, and one that came before is
    // found by the enumeration (A5).
    volumes::attach_to_file_system(driver, control_device, level);
    volumes::attach_to_mounted(driver, control_device, level);
}

/// Attaches to the RAW file systems. One that is missing is no error.
pub fn attach_raw(driver: &Driver<Glass>, level: &mut Passive) {
    for name in RAW {
        let result = named_device::with(name, level, |device, level| {
            changed(driver, device, true, level);
            Ok(())
        });
        match result {
            Ok(()) | Err(Status::OBJECT_NAME_NOT_FOUND) => {}
            Err(status) => {
                let insertions = [format_args!("{name}"), format_args!("{status}")];
                report::record(
                    driver.event_log(),
                    &report::ATTACH_REFUSED,
                    status,
                    &insertions,
                );
            }
        }
    }
}
