//! RAW: the file system for volumes that no other one knows.
//!
//! Its control devices `\Device\RawDisk`, `\Device\RawCdRom` and
//! `\Device\RawTape` exist from the start and are asked last. It takes a volume
//! only for an open of the volume itself, and serves nothing below that.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a native driver works on requests by pointer"
)]

use super::{complete, device, driver, registration};
use crate::nt::routines::DriverRoutines;
use crate::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, FILE_DEVICE_CD_ROM_FILE_SYSTEM, FILE_DEVICE_DISK_FILE_SYSTEM,
    FILE_DEVICE_TAPE_FILE_SYSTEM, FO_DIRECT_DEVICE_OPEN, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE,
    IRP_MJ_CREATE, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_MOUNT_VOLUME, IrpExt, NTSTATUS,
    SL_ALLOW_RAW_MOUNT, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
    STATUS_UNRECOGNIZED_VOLUME, VPB_RAW_MOUNT,
};
use std::sync::OnceLock;

/// Name of its driver object.
pub(super) const DRIVER_NAME: &str = r"\FileSystem\RAW";
/// `FILE_OPENED`.
const FILE_OPENED: usize = 1;

/// Creates the driver and its control devices, once. PASSIVE_LEVEL.
pub fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let driver = driver::create_native(DRIVER_NAME, |driver| {
            driver.set_dispatch(IRP_MJ_CREATE as u8, create);
            driver.set_dispatch(IRP_MJ_CLEANUP as u8, succeed);
            driver.set_dispatch(IRP_MJ_CLOSE as u8, succeed);
            driver.set_dispatch(IRP_MJ_FILE_SYSTEM_CONTROL as u8, file_system_control);
        });
        for (name, device_type) in [
            (r"\Device\RawDisk", FILE_DEVICE_DISK_FILE_SYSTEM),
            (r"\Device\RawCdRom", FILE_DEVICE_CD_ROM_FILE_SYSTEM),
            (r"\Device\RawTape", FILE_DEVICE_TAPE_FILE_SYSTEM),
        ] {
            // SAFETY: the driver object lives as long as the process, and so do its devices.
            unsafe {
                if let Ok(control) = device::create(driver, 0, Some(name), device_type, 0, false) {
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

unsafe extern "win64" fn create(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request.
    unsafe {
        let file = (*irp.current_location()).FileObject;
        let of_the_volume =
            (*file).Flags & FO_DIRECT_DEVICE_OPEN != 0 || (*file).FileName.Length == 0;
        if of_the_volume {
            complete::finish(irp, STATUS_SUCCESS, FILE_OPENED)
        } else {
            complete::finish(irp, STATUS_INVALID_PARAMETER, 0)
        }
    }
}

unsafe extern "win64" fn file_system_control(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request.
    unsafe {
        let location = irp.current_location();
        if u32::from((*location).MinorFunction) != IRP_MN_MOUNT_VOLUME {
            return complete::finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
        }
        if u32::from((*location).Flags) & SL_ALLOW_RAW_MOUNT == 0 {
            return complete::finish(irp, STATUS_UNRECOGNIZED_VOLUME, 0);
        }
        let vpb = (*location).Parameters.MountVolume.Vpb;
        let driver: *mut DRIVER_OBJECT = (*device).DriverObject;
        match device::create(driver, 0, None, (*device).DeviceType, 0, false) {
            Ok(volume) => {
                (*vpb).DeviceObject = volume;
                (*vpb).Flags |= VPB_RAW_MOUNT as u16;
                device::finish_initializing(volume);
                complete::finish(irp, STATUS_SUCCESS, 0)
            }
            Err(status) => complete::finish(irp, status, 0),
        }
    }
}
