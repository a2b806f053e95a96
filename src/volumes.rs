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
use wdm::unicode::UnicodeStr;
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
    let claim = |level: &mut Passive| claim(driver, target, storage, name, level);
    let result = device::attach(driver, target, level, claim);
    match result {
        Ok(false) => {}
        Ok(true) => attached(driver, name, level),
        Err(status) => refusal::record(driver, target, storage, name, status, level),
    }
    result
}

/// As [`attach`] to the control device of a file system, without waiting and without a report.
pub fn attach_at_once(
    driver: &Driver<Glass>,
    control_device: &DeviceObject,
    level: &mut Passive,
) -> Result<bool, Status> {
    let mut buffer = NameBuffer::new();
    let name = control_device.name(&mut buffer, level);
    let claim = |level: &mut Passive| claim(driver, control_device, None, name, level);
    let result = device::attach_at_once(driver, control_device, level, claim);
    if result == Ok(true) {
        attached(driver, name, level);
    }
    result
}

/// Reports and remembers that a file system stays unfiltered.
pub fn refused(
    driver: &Driver<Glass>,
    control_device: &DeviceObject,
    status: Status,
    level: &mut Passive,
) {
    let mut buffer = NameBuffer::new();
    let name = control_device.name(&mut buffer, level);
    refusal::record(driver, control_device, None, name, status, level);
}

/// What is kept with the device that is to lie above `target`; `None` if that is filtered already, was
/// detached by request, or the driver is about to go.
fn claim(
    driver: &Driver<Glass>,
    target: &DeviceObject,
    storage: Option<&DeviceObject>,
    name: Option<UnicodeStr<'_>>,
    level: &mut Passive,
) -> Option<Attachment> {
    let glass = driver.filter();
    let detached = name.is_some_and(|name| glass.unfiltered.is_detached(name, level));
    if driver.is_unloading() || detached || driver.filters(target, level) {
        return None;
    }
    let kind = match storage {
        Some(_) => Kind::Volume,
        None => Kind::FileSystem,
    };
    let name = name.unwrap_or(unicode!(""));
    let volume = glass.observer.volume(name, kind, level);
    Some(Attachment {
        since: time::now(),
        volume: volume.ok().map(Filtered::new),
    })
}

fn attached(driver: &Driver<Glass>, name: Option<UnicodeStr<'_>>, level: &mut Passive) {
    if let Some(name) = name {
        driver.filter().unfiltered.forget(name, level);
    }
    let unnamed = unicode!("a device without a name");
    report::note(format_args!("attached to {}", name.unwrap_or(unnamed)));
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

/// Reports that its volumes stay unfiltered.
pub fn listing_failed(
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
