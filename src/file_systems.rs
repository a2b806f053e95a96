//! File systems that come and go: attach to their control devices, and to what they have mounted.

use crate::glass::Glass;
use crate::policy::Class;
use crate::{report, volumes};
use core::sync::atomic::{AtomicBool, Ordering};
use wdm::device::{DeviceObject, DeviceReference};
use wdm::driver::Driver;
use wdm::irql::Passive;
use wdm::list::List;
use wdm::status::Status;
use wdm::sync::Mutex;
use wdm::unicode::UnicodeStr;
use wdm::{named_device, unicode};

/// RAW is a file system of the I/O manager, which does not report it (A4).
const RAW: [UnicodeStr<'static>; 2] = [unicode!(r"\Device\RawDisk"), unicode!(r"\Device\RawCdRom")];

/// The file systems that there are, filtered or not: the list of volumes begins with them.
pub struct FileSystems {
    known: Mutex<Known>,
    /// Whether [`attach_to_raw`] has begun.
    raw: AtomicBool,
}

struct Known {
    control_devices: List<DeviceReference>,
    /// Those that found no place in the list.
    forgotten: u32,
}

impl FileSystems {
    /// More than Windows and its usual additions have.
    const LIMIT: usize = 64;

    /// None yet. Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new() -> Result<Self, Status> {
        let known = Known {
            control_devices: List::new(Self::LIMIT),
            forgotten: 0,
        };
        Ok(Self {
            known: Mutex::try_new(known)?,
            raw: AtomicBool::new(false),
        })
    }

    fn add(&self, control_device: &DeviceObject, level: &mut Passive) {
        self.known.with(level, |known, _| {
            let mut devices = known.control_devices.iter();
            let there = devices.any(|device| device.is(control_device));
            drop(devices);
            if !there
                && known
                    .control_devices
                    .push(control_device.reference())
                    .is_err()
            {
                known.forgotten = known.forgotten.saturating_add(1);
            }
        });
    }

    fn remove(&self, control_device: &DeviceObject, level: &mut Passive) {
        self.known.with(level, |known, _| {
            let devices = &mut known.control_devices;
            devices.retain(|device| !device.is(control_device));
        });
    }

    /// Calls `visit` with each control device; it may attach and detach, and asks nothing of
    /// [`FileSystems`].
    pub fn each(&self, level: &mut Passive, mut visit: impl FnMut(&DeviceObject, &mut Passive)) {
        self.known.with(level, |known, level| {
            for device in known.control_devices.iter() {
                visit(device, level);
            }
        });
    }

    /// How many found no place in the list.
    pub fn forgotten(&self, level: &mut Passive) -> u32 {
        self.known.with(level, |known, _| known.forgotten)
    }
}

/// A file system registered (`active`) or goes away. `device` is anywhere in the stack of its
/// control device: another filter may lie on that already.
pub fn changed(driver: &Driver<Glass>, device: &DeviceObject, active: bool, level: &mut Passive) {
    let control_device = &*device.base_of_stack(level);
    let known = &driver.filter().file_systems;
    if !active {
        known.remove(control_device, level);
        driver.detach_from(control_device, level);
        return;
    }
    attach_to_raw(driver, level);
    attach_to(driver, control_device, level);
}

/// Attaches to a file system and to what it has mounted, if it is to be filtered.
fn attach_to(driver: &Driver<Glass>, control_device: &DeviceObject, level: &mut Passive) {
    let known = &driver.filter().file_systems;
    let class = Class::of_file_system(control_device, level);
    if !matches!(class, Class::Recognizer | Class::Other) {
        known.add(control_device, level);
    }
    if !driver.filter().policy().filters(class) {
        return;
    }
    // The control device first: a mount that comes now is seen, and one that came before is
    // found by the enumeration (A5).
    volumes::attach_to_file_system(driver, control_device, level);
    volumes::attach_to_mounted(driver, control_device, level);
}

/// Attaches to the RAW file systems, once; one that is missing is no error. Called by the first
/// notification, while no volume is being mounted, and by DriverEntry for a system without others.
pub fn attach_to_raw(driver: &Driver<Glass>, level: &mut Passive) {
    if driver
        .filter()
        .file_systems
        .raw
        .swap(true, Ordering::AcqRel)
    {
        return;
    }
    for name in RAW {
        let result = named_device::with(name, level, |device, level| {
            attach_to(driver, &device.base_of_stack(level), level);
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
