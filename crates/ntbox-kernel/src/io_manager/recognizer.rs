//! `\FileSystem\Fs_Rec`: recognizers, which stand in for file systems that are
//! not loaded.
//!
//! A recognizer's control device is registered like a file system's. It answers
//! STATUS_FS_DRIVER_REQUIRED to the mount of a volume that it knows (those whose
//! description says `recognized`); the I/O manager then sends it
//! IRP_MN_LOAD_FILE_SYSTEM, and it loads the file system and unregisters.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a native driver works on requests by pointer"
)]

use super::{complete, device, driver, registration, storage};
use crate::nt::routines::DriverRoutines;
use crate::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, FILE_DEVICE_CD_ROM_FILE_SYSTEM, FILE_DEVICE_DISK_FILE_SYSTEM,
    IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_FILE_SYSTEM_CONTROL,
    IRP_MN_LOAD_FILE_SYSTEM, IRP_MN_MOUNT_VOLUME, IrpExt, NTSTATUS, STATUS_FS_DRIVER_REQUIRED,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_SUCCESS, STATUS_UNRECOGNIZED_VOLUME,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Name of its driver object, by which filters leave its devices alone.
pub const DRIVER_NAME: &str = r"\FileSystem\Fs_Rec";

static LOADED: AtomicBool = AtomicBool::new(false);
static LOAD: OnceLock<fn()> = OnceLock::new();
static CONTROLS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// True once the file system behind the recognizers is loaded.
pub fn is_loaded() -> bool {
    LOADED.load(Ordering::Acquire)
}

/// Creates and registers the recognizers, once; `load` brings the file system
/// in. PASSIVE_LEVEL.
pub fn start(load: fn()) {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let _first = LOAD.set(load);
        let driver: *mut DRIVER_OBJECT = driver::create_native(DRIVER_NAME, |driver| {
            for major in [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
                driver.set_dispatch(major as u8, succeed);
            }
            driver.set_dispatch(IRP_MJ_FILE_SYSTEM_CONTROL as u8, file_system_control);
        });
        for (name, device_type) in [
            (
                r"\FileSystem\HostFsRecognizer",
                FILE_DEVICE_DISK_FILE_SYSTEM,
            ),
            (
                r"\FileSystem\HostFsCdRecognizer",
                FILE_DEVICE_CD_ROM_FILE_SYSTEM,
            ),
        ] {
            // SAFETY: the driver object lives as long as the process, and so do its devices.
            unsafe {
                if let Ok(control) = device::create(driver, 0, Some(name), device_type, 0, false) {
                    CONTROLS
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(control as usize);
                    registration::register_file_system(control);
                }
            }
        }
    });
}

unsafe extern "win64" fn succeed(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request.
    unsafe { complete::finish(irp, STATUS_SUCCESS, 0) }
}

unsafe extern "win64" fn file_system_control(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request.
    unsafe {
        let location = irp.current_location();
        match u32::from((*location).MinorFunction) {
            IRP_MN_MOUNT_VOLUME => {
                let vpb = (*location).Parameters.MountVolume.Vpb;
                let known = storage::description_of((*vpb).RealDevice)
                    .is_some_and(|volume| volume.recognized);
                let status = if known && !is_loaded() {
                    STATUS_FS_DRIVER_REQUIRED
                } else {
                    STATUS_UNRECOGNIZED_VOLUME
                };
                complete::finish(irp, status, 0)
            }
            IRP_MN_LOAD_FILE_SYSTEM => {
                load();
                complete::finish(irp, STATUS_SUCCESS, 0)
            }
            _ => complete::finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0),
        }
    }
}

/// Loads the file system once and takes the recognizers out of the queues.
fn load() {
    if LOADED.swap(true, Ordering::AcqRel) {
        return;
    }
    if let Some(load) = LOAD.get() {
        load();
    }
    let controls = std::mem::take(&mut *CONTROLS.lock().unwrap_or_else(PoisonError::into_inner));
    for control in controls {
        // SAFETY: registered in `start` and alive as long as the process.
        unsafe { registration::unregister_file_system(control as *mut DEVICE_OBJECT) };
    }
}
