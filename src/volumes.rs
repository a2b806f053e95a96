//! Which devices are filtered, each exactly once (A5).

use crate::glass::Glass;
use wdm::device::{self, DeviceKind, DeviceObject, DeviceReference};
use wdm::driver::Driver;
use wdm::irql::Passive;
use wdm::status::Status;

/// What the filter keeps with each of its devices.
pub enum Attachment {
    /// Above the control device of a file system: sees mounts, and all requests of a redirector.
    FileSystem,
    /// Above a mounted volume.
    Volume {
        /// The storage device under the volume, kept because the VPB may change hands.
        _storage: DeviceReference,
    },
}

/// Attaches to the control device of a file system, unless that is filtered already.
pub fn attach_to_file_system(
    driver: &Driver<Glass>,
    control_device: &DeviceObject,
    level: &mut Passive,
) {
    attach(driver, control_device, level, || Attachment::FileSystem);
}

/// Attaches to a mounted volume, unless that is filtered already: by the mount that this
/// driver saw, or by the enumeration when it started (A5, A6).
pub fn attach_to_volume(
    driver: &Driver<Glass>,
    volume: &DeviceObject,
    storage: &DeviceObject,
    level: &mut Passive,
) {
    attach(driver, volume, level, || Attachment::Volume {
        _storage: storage.reference(),
    });
}

/// A device that cannot be attached to stays unfiltered, and everything else goes on.
fn attach(
    driver: &Driver<Glass>,
    target: &DeviceObject,
    level: &mut Passive,
    attachment: impl Fn() -> Attachment,
) {
    let result = device::attach(driver, target, level, |level| {
        if driver.is_unloading() {
            return Err(Status::DELETE_PENDING);
        }
        Ok((!driver.filters(target, level)).then(&attachment))
    });
    if let Err(status) = result {
        wdk::println!("fsglass: a device stays unfiltered: attaching to it failed ({status})");
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
        Err(status) => {
            wdk::println!(
                "fsglass: volumes mounted before stay unfiltered: listing them failed ({status})"
            );
            return;
        }
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

/// Whether devices of this kind are filtered at all.
pub const fn is_filtered(kind: DeviceKind) -> bool {
    match kind {
        DeviceKind::DiskFileSystem
        | DeviceKind::CdRomFileSystem
        | DeviceKind::NetworkFileSystem => true,
        DeviceKind::Other(_) => false,
    }
}
