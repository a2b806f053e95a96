//! Attaching: to file systems and to volumes, each exactly once (A5).

use crate::glass::Glass;
use crate::observe::Filtered;
use crate::policy::Class;
use crate::{refusal, report};
use fsglass_protocol::Kind;
use wdm::device::{self, DeviceObject, DeviceReference, NameBuffer};
use wdm::driver::Driver;
use wdm::irql::Passive;
use wdm::status::Status;
use wdm::{time, unicode};

/// What the filter keeps with each of its devices.
pub struct Attachment {
    /// When it was attached: 100 ns since 1601.
    pub since: u64,
    /// What is observed of it; `None` if there was no room for that.
    pub volume: Option<Filtered>,
}

/// Attaches to the control device of a file system, unless that is filtered already.
pub fn attach_to_file_system(
    driver: &Driver<Glass>,
    control_device: &DeviceObject,
    level: &mut Passive,
) {
    let _said_where_it_failed = attach(driver, control_device, None, level);
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
    if driver.filter().policy().filters(class) {
        let _said_where_it_failed = attach(driver, volume, Some(storage), level);
    }
}

/// Attaches to `target`: whether it did, or else it is filtered already, or detached by request.
/// A device that cannot be attached to stays unfiltered, and everything else goes on.
///
/// Errors: those of [`device::attach`], which are reported and remembered.
pub fn attach(
    driver: &Driver<Glass>,
    target: &DeviceObject,
    storage: Option<&DeviceObject>,
    level: &mut Passive,
) -> Result<bool, Status> {
    let mut buffer = NameBuffer::new();
    let name = storage.unwrap_or(target).name(&mut buffer, level);
    let unfiltered = &driver.filter().unfiltered;
    let observer = &driver.filter().observer;
    let kind = match storage {
        Some(_) => Kind::Volume,
        None => Kind::FileSystem,
    };
    let result = device::attach(driver, target, level, |level| {
        let detached = name.is_some_and(|name| unfiltered.is_detached(name, level));
        if driver.is_unloading() || detached || driver.filters(target, level) {
            return None;
        }
        Some(Attachment {
            since: time::now(),
            volume: observer
                .volume(name.unwrap_or(unicode!("")), kind, level)
                .ok()
                .map(Filtered::new),
        })
    });
    match result {
        Ok(false) => {}
        Ok(true) => {
            if let Some(name) = name {
                unfiltered.forget(name, level);
            }
            let unnamed = unicode!("a device without a name");
            report::note(format_args!("attached to {}", name.unwrap_or(unnamed)));
        }
        Err(status) => refusal::record(driver, target, storage, name, status, level),
    }
    result
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
    for device in devices.iter() {
        if let Some(storage) = storage_of(device, control_device, level) {
            attach_to_volume(driver, device, &storage, level);
        }
    }
}

/// What `device` is mounted on, if it is a volume of the file system of `control_device`.
pub fn storage_of(
    device: &DeviceObject,
    control_device: &DeviceObject,
    level: &mut Passive,
) -> Option<DeviceReference> {
    // Only a volume has a storage device; other devices of the file system do not.
    is_candidate(device, control_device)
        .then(|| device.storage_device(level).ok())
        .flatten()
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
