//! Attaching: to file systems and to volumes, each exactly once (A5).

use crate::glass::Glass;
use crate::policy::Class;
use crate::{refusal, report};
use wdm::device::{self, DeviceObject, DeviceReference, NameBuffer};
use wdm::driver::Driver;
use wdm::irql::Passive;
use wdm::status::Status;
use wdm::unicode;

/// What the filter keeps with each of its devices.
pub enum Attachment {
    /// Above the control device of a file system: sees mounts, and all requests of a redirector.
    FileSystem,
    /// Above a mounted volume.
    Volume {
        /// The storage device under the volume, kept because the VPB may change hands.
        storage: DeviceReference,
    },
}

impl Attachment {
    /// The device by whose name people know what is filtered; `None` if it is the lower one.
    pub fn storage(&self) -> Option<&DeviceObject> {
        match self {
            Self::FileSystem => None,
            Self::Volume { storage } => Some(storage),
        }
    }
}

/// Attaches to the control device of a file system, unless that is filtered already.
pub fn attach_to_file_system(
    driver: &Driver<Glass>,
    control_device: &DeviceObject,
    level: &mut Passive,
) {
    attach(driver, control_device, None, level);
}

/// Attaches to a mounted volume, if it is to be filtered and is not already: by the mount that
/// this driver saw, or by the enumeration when it started (A5, A6).
pub fn attach_to_volume(
    driver: &Driver<Glass>,
    volume: &DeviceObject,
    storage: &DeviceObject,
    level: &mut Passive,
) {
    let class = Class::of_volume(driver, volume, storage, level);
    if driver.filter().policy.filters(class) {
        attach(driver, volume, Some(storage), level);
    }
}

/// A device that cannot be attached to stays unfiltered, and everything else goes on.
fn attach(
    driver: &Driver<Glass>,
    target: &DeviceObject,
    storage: Option<&DeviceObject>,
    level: &mut Passive,
) {
    let result = device::attach(driver, target, level, |level| {
        if driver.is_unloading() || driver.filters(target, level) {
            return None;
        }
        Some(match storage {
            None => Attachment::FileSystem,
            Some(storage) => Attachment::Volume {
                storage: storage.reference(),
            },
        })
    });
    match result {
        Ok(false) => {}
        Ok(true) => {
            let mut buffer = NameBuffer::new();
            let name = storage.unwrap_or(target).name(&mut buffer, level);
            let unnamed = unicode!("a device without a name");
            report::note(format_args!("attached to {}", name.unwrap_or(unnamed)));
        }
        Err(status) => refusal::record(driver, target, storage, status, level),
    }
}

/// Attaches to every volume that the file system of `control_device` has mounted (A5).
pub fn attach_to_mounted(
    driver: &Driver<Glass>,
    control_device: &DeviceObject,
    level: &mut Passive,
) {
    let devices = match control_device.devices_of_driver(level) {
        Ok(devices) => devices,
        Err(status) => return listing_failed(driver, control_device, status, level),
    };
    for device in devices
        .iter()
        .filter(|device| is_candidate(device, control_device))
    {
        // Only a volume has a storage device; other devices of the file system do not.
        if let Ok(storage) = device.storage_device(level) {
            attach_to_volume(driver, device, &storage, level);
        }
    }
}

/// A volume device has the type of its file system's control device and is not that device.
fn is_candidate(device: &DeviceObject, control_device: &DeviceObject) -> bool {
    !device.is(control_device) && device.kind() == control_device.kind()
}

fn listing_failed(
    driver: &Driver<Glass>,
    control_device: &DeviceObject,
    status: Status,
    level: &mut Passive,
) {
    let mut buffer = NameBuffer::new();
    let name = control_device.name(&mut buffer, level);
    report::record(
        driver.event_log(),
        &report::LIST_FAILED,
        status,
        &[
            format_args!("{}", name.unwrap_or(unicode!("a file system"))),
            format_args!("{status}"),
        ],
    );
}
