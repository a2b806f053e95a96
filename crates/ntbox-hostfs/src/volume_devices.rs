//! The devices of volumes: what their extension holds, and which volumes are mounted.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "device extensions are reached by pointer"
)]

use super::context::Mounted;
use super::volume::Volume;
use ntbox_kernel::io_manager::{device as devices, mount};
use ntbox_kernel::nt::{DEVICE_OBJECT, DRIVER_OBJECT, NTSTATUS, STATUS_SUCCESS};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the extension of a volume device holds. Control devices have an empty one.
#[repr(C)]
struct Extension {
    mounted: Option<&'static Mounted>,
}

/// Volumes that are mounted.
static MOUNTED: Mutex<Vec<&'static Mounted>> = Mutex::new(Vec::new());

fn mounted() -> MutexGuard<'static, Vec<&'static Mounted>> {
    MOUNTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The volume of a volume device; none for other devices of this file system.
///
/// # Safety
/// `device` is a live device of this file system.
pub unsafe fn mounted_on(device: *mut DEVICE_OBJECT) -> Option<&'static Mounted> {
    // SAFETY: contract: every device of it is created with this extension, zeroed.
    unsafe { (*(*device).DeviceExtension.cast::<Extension>()).mounted }
}

/// Bytes of the extension that every device of this file system has.
pub fn extension_bytes() -> u32 {
    size_of::<Extension>() as u32
}

/// Creates the device of a volume over the storage device `storage`.
///
/// # Errors
/// Those of `io_manager::device::create`.
///
/// # Safety
/// `driver` is a driver of this file system, alive as long as the process.
pub unsafe fn create(
    driver: *mut DRIVER_OBJECT,
    device_type: u32,
    volume: Volume,
    storage: *mut DEVICE_OBJECT,
) -> Result<(*mut DEVICE_OBJECT, &'static Mounted), NTSTATUS> {
    let bytes = extension_bytes();
    // SAFETY: contract.
    let device = unsafe { devices::create(driver, bytes, None, device_type, 0, false) }?;
    let mounted = Mounted::new(volume, storage);
    // SAFETY: a new device with that extension, which nobody else knows yet.
    unsafe { (*(*device).DeviceExtension.cast::<Extension>()).mounted = Some(mounted) };
    Ok((device, mounted))
}

/// A volume is mounted from now on.
pub fn enter(volume: &'static Mounted) {
    mounted().push(volume);
}

/// The volume that is mounted on `storage`.
pub fn on_storage(storage: *mut DEVICE_OBJECT) -> Option<&'static Mounted> {
    let mounted = mounted();
    mounted
        .iter()
        .copied()
        .find(|mounted| mounted.storage() == storage)
}

/// Takes a volume that has dismounted itself from its storage device.
pub fn take_away(volume: &'static Mounted) -> NTSTATUS {
    take_away_by(volume, mount::dismount)
}

/// As [`take_away`], for a volume that was verified, and is another one than that in the drive.
pub fn take_away_wrong(volume: &'static Mounted) -> NTSTATUS {
    take_away_by(volume, mount::dismount_wrong_volume)
}

fn take_away_by(
    volume: &'static Mounted,
    dismount: unsafe fn(*mut DEVICE_OBJECT) -> NTSTATUS,
) -> NTSTATUS {
    mounted().retain(|other| !std::ptr::eq(*other, volume));
    if volume.storage().is_null() {
        return STATUS_SUCCESS;
    }
    // SAFETY: a storage device lives as long as the process, and has a VPB.
    unsafe { dismount(volume.storage()) }
}
