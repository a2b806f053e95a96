//! Registration: drivers that are told of file systems, and FsFilter callbacks.
//!
//! There is one file system, this driver's, and there are no sections and flushes that would call
//! an FsFilter callback.

use crate::devices::FILE_SYSTEM;
use crate::mount;
use crate::spin::Spin;
use core::ffi::c_void;
use core::sync::atomic::Ordering;
use wdk_sys::{
    DRIVER_OBJECT, NTSTATUS, PDEVICE_OBJECT, PUNICODE_STRING, STATUS_DEVICE_ALREADY_ATTACHED,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS,
};

/// DRIVER_FS_NOTIFICATION.
type Notification = unsafe extern "C" fn(PDEVICE_OBJECT, u8);

/// The drivers that are told, by the address of their routines.
static REGISTERED: Spin<[Option<Notification>; 8]> = Spin::new([None; 8]);

/// How many drivers are told of file systems.
pub fn count() -> u32 {
    REGISTERED.with(|registered| registered.iter().flatten().count()) as u32
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoRegisterFsRegistrationChange(
    _driver: *mut DRIVER_OBJECT,
    notification: Notification,
) -> NTSTATUS {
    register(notification)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoRegisterFsRegistrationChangeMountAware(
    _driver: *mut DRIVER_OBJECT,
    notification: Notification,
    synchronize: u8,
) -> NTSTATUS {
    if synchronize == 0 {
        return register(notification);
    }
    mount::keep_out(|| register(notification))
}

/// The file system that is there is reported before this returns.
unsafe fn register(notification: Notification) -> NTSTATUS {
    let kept = REGISTERED.with(|registered| {
        if registered
            .iter()
            .flatten()
            .any(|known| is(*known, notification))
        {
            return Err(STATUS_DEVICE_ALREADY_ATTACHED);
        }
        let free = registered.iter_mut().find(|place| place.is_none());
        let free = free.ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        *free = Some(notification);
        Ok(())
    });
    if let Err(status) = kept {
        return status;
    }
    notification(FILE_SYSTEM.load(Ordering::Acquire), 1);
    STATUS_SUCCESS
}

fn is(one: Notification, other: Notification) -> bool {
    core::ptr::fn_addr_eq(one, other)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoUnregisterFsRegistrationChange(
    _driver: *mut DRIVER_OBJECT,
    notification: Notification,
) {
    REGISTERED.with(|registered| {
        for place in registered {
            if place.is_some_and(|known| is(known, notification)) {
                *place = None;
            }
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn FsRtlRegisterFileSystemFilterCallbacks(
    _driver: *mut DRIVER_OBJECT,
    _callbacks: *mut c_void,
) -> NTSTATUS {
    STATUS_SUCCESS
}

/// Wine's finds a made-up device under every name. Nobody here has a device that is looked for by
/// name: RAW is not in Wine.
#[unsafe(no_mangle)]
extern "C" fn IoGetDeviceObjectPointer(
    _name: PUNICODE_STRING,
    _access: u32,
    _file: *mut *mut c_void,
    _device: *mut PDEVICE_OBJECT,
) -> NTSTATUS {
    STATUS_OBJECT_NAME_NOT_FOUND
}
