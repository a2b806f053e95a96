//! The file-system driver `\FileSystem\HostFs`: its devices, mounting and dismounting.
//!
//! It registers a control device for disks (`\HostFs`) and one for CD-ROMs
//! (`\HostFsCd`), and mounts a storage device that describes a host directory.
//! Volumes on CD-ROMs are read-only.
//!
//! Volume devices ask for direct I/O; the redirector's device asks for neither
//! kind of buffer. A filter that does not copy these flags is found out.

#![expect(unsafe_code, reason = "a native driver makes its devices by pointer")]

use super::context::Mounted;
use super::volume::Volume;
use super::waiting::Effects;
use super::{dispatch, fast_io, mounting, pending, redirector, volume_devices};
use ntbox_kernel::host::file as host;
use ntbox_kernel::io_manager::storage::VolumeDescription;
use ntbox_kernel::io_manager::{device as devices, driver as drivers, mount, registration};
use ntbox_kernel::nt::routines::DriverRoutines;
use ntbox_kernel::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, FILE_DEVICE_CD_ROM_FILE_SYSTEM, FILE_DEVICE_DISK_FILE_SYSTEM,
    NTSTATUS, STATUS_INVALID_PARAMETER,
};
use std::sync::OnceLock;

/// Name of the driver object.
pub const DRIVER_NAME: &str = r"\FileSystem\HostFs";
/// Names of the control devices.
pub const CONTROL_DEVICES: [&str; 2] = [r"\HostFs", r"\HostFsCd"];

fn driver() -> *mut DRIVER_OBJECT {
    static DRIVER: OnceLock<usize> = OnceLock::new();
    let create = || drivers::create_native(DRIVER_NAME, configure) as usize;
    *DRIVER.get_or_init(create) as *mut DRIVER_OBJECT
}

/// Fills in the routines of a driver of this file system.
fn configure(driver: &mut DRIVER_OBJECT) {
    dispatch::enter(driver);
    driver.set_fast_io(&raw const fast_io::TABLE);
}

/// Creates the driver with its control devices and registers them, and the redirector. Idempotent.
pub fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        host::raise_open_limit();
        let types = [FILE_DEVICE_DISK_FILE_SYSTEM, FILE_DEVICE_CD_ROM_FILE_SYSTEM];
        for (name, device_type) in CONTROL_DEVICES.into_iter().zip(types) {
            let bytes = volume_devices::extension_bytes();
            // SAFETY: the driver object lives as long as the process.
            let Ok(control) =
                (unsafe { devices::create(driver(), bytes, Some(name), device_type, 0, false) })
            else {
                continue;
            };
            // SAFETY: a new device.
            unsafe { devices::finish_initializing(control) };
            // SAFETY: the device lives as long as the process.
            unsafe { registration::register_file_system(control) };
        }
        redirector::start(configure);
    });
}

/// Serves `description` under `\??\X:`, on the network.
///
/// # Panics
/// If its directory cannot be opened or the drive letter is taken.
pub fn add_network_volume(description: VolumeDescription) {
    start();
    let directory = &description.host_directory;
    let volume = Volume::open(directory, mounting::described(&description))
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    redirector::add(
        description.letter,
        Mounted::new(volume, std::ptr::null_mut()),
    );
}

/// Dismounts the volume on `storage`: opens get `STATUS_VOLUME_DISMOUNTED` from now on, and
/// the volume device goes when the last of them is closed.
///
/// # Errors (as NTSTATUS)
/// `STATUS_INVALID_PARAMETER` for no storage device, else those of [`mount::dismount`].
///
/// # Safety
/// `storage` is null or a storage device of `io_manager::storage`. PASSIVE_LEVEL.
pub unsafe fn dismount(storage: *mut DEVICE_OBJECT) -> NTSTATUS {
    if storage.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    if let Some(mounted) = volume_devices::on_storage(storage) {
        // What cannot be written is lost.
        let _ = mounted.volume.write_back();
        let mut effects = Effects::new(&pending::claim);
        mounted.volume.dismount(&mut effects);
        mounted.volume.forget_cached();
        pending::finish_waiting(effects.into_finished(), true);
        return volume_devices::take_away(mounted);
    }
    // SAFETY: contract.
    unsafe { mount::dismount(storage) }
}
