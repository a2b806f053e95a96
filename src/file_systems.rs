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
///
/// Nothing is waited for or opened here, because the I/O manager holds its lock and mounts nothing
/// meanwhile. A control device that cannot be attached to at once is left to [`settle`], which DriverEntry
/// is about to call, or a work item does.
pub fn changed(driver: &Driver<Glass>, device: &DeviceObject, active: bool, level: &mut Passive) {
    let control_device = &*device.base_of_stack(level);
    if !active {
        let known = &driver.filter().file_systems;
        known.remove(control_device, level);
        driver.detach_from(control_device, level);
    } else if is_filtered(driver, control_device, level) {
        let attached = volumes::attach_at_once(driver, control_device, level);
        if let Err(status) = attached
            && driver.filter().file_systems.have_settled(level)
            && driver.post(settle).is_err()
        {
            volumes::refused(driver, control_device, status, level);
        }
    }
}

/// Adds a file system to those that there are: whether it is to be filtered.
fn is_filtered(driver: &Driver<Glass>, control_device: &DeviceObject, level: &mut Passive) -> bool {
    let class = Class::of_file_system(control_device, level);
    let filtered = driver.filter().policy().filters(class);
    if !matches!(class, Class::Recognizer | Class::Other)
        && let Err(status) = driver.filter().file_systems.add(control_device, level)
        && filtered
    {
        // Nobody finds it in the list to look for its volumes.
        volumes::listing_failed(driver, control_device, status, level);
    }
    filtered
}

/// Attaches to RAW, to what could not be attached to at once, and to what the file systems have
/// mounted, with time to wait: of those that are new since it was last called. Called by DriverEntry when it has
/// asked to be told of file systems, and by a work item for one that came later. What is filtered already stays
/// as it is.
///
/// The control devices come first, then an end is waited for of the mounts that may have passed them
/// by, then the volumes are enumerated: a mount that is later is seen, and one that was earlier has
/// left its volume there (A5).
pub fn settle(driver: &Driver<Glass>, level: &mut Passive) {
    let file_systems = &driver.filter().file_systems;
    if !file_systems.have_settled(level) {
        attach_to_raw(driver, level);
    }
    let new = file_systems.take_on(level);
    let filtered = |control_device: &DeviceObject, level: &mut Passive| {
        let class = Class::of_file_system(control_device, level);
        driver.filter().policy().filters(class)
    };
    file_systems.each_of(new.clone(), level, |control_device, level| {
        if filtered(control_device, level) {
            volumes::attach_to_file_system(driver, control_device, level);
        }
    });
    if let Err(status) = driver.wait_for_mounts(level) {
        let message = &report::MOUNTS_NOT_AWAITED;
        let insertions = [format_args!("{status}")];
        report::record(driver.event_log(), message, status, &insertions);
    }
    file_systems.each_of(new, level, |control_device, level| {
        if filtered(control_device, level) {
            volumes::attach_to_mounted(driver, control_device, level);
        }
    });
}

/// Attaches to the RAW file systems, which the I/O manager does not report; one that is missing is no
/// error.
fn attach_to_raw(driver: &Driver<Glass>, level: &mut Passive) {
    for name in RAW {
        let result = named_device::with(name, level, |device, level| {
            let control_device = device.base_of_stack(level);
            if is_filtered(driver, &control_device, level) {
                volumes::attach_to_file_system(driver, &control_device, level);
            }
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
