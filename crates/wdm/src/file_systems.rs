//! Notification of file systems that register or go away (A4).
//!
//! Wraps `IoRegisterFsRegistrationChange`. The callback carries no context, so it finds the driver's state in
//! its image.

#![expect(unsafe_code, reason = "the callback is called by the I/O manager")]

use crate::device::DeviceObject;
use crate::driver::filter::Filter;
use crate::irql::Passive;
use crate::slot::DRIVER;
use crate::status::Status;
use wdk_sys::{BOOLEAN, DRIVER_OBJECT, PDEVICE_OBJECT, ntddk};

/// Asks for the notifications. File systems that are registered already are reported before
/// this returns. IRQL: PASSIVE_LEVEL.
///
/// Errors: the status of the DDI.
///
/// # Safety
/// `driver` is the calling driver's own object, and the slot holds its state.
pub(crate) unsafe fn register<F: Filter>(driver: *mut DRIVER_OBJECT) -> Result<(), Status> {
    // SAFETY: contract of the function.
    Status(unsafe { ntddk::IoRegisterFsRegistrationChange(driver, Some(changed::<F>)) })
        .into_result()
}

/// Ends the notifications; none is running when this returns. IRQL: PASSIVE_LEVEL.
///
/// # Safety
/// Pairs with a successful [`register`].
pub(crate) unsafe fn unregister<F: Filter>(driver: *mut DRIVER_OBJECT) {
    // SAFETY: contract of the function.
    unsafe { ntddk::IoUnregisterFsRegistrationChange(driver, Some(changed::<F>)) }
}

/// DRIVER_FS_NOTIFICATION.
///
/// # Safety
/// Called by the I/O manager at PASSIVE_LEVEL with a live control device of a file system.
unsafe extern "C" fn changed<F: Filter>(device: PDEVICE_OBJECT, active: BOOLEAN) {
    // SAFETY: the filter of the driver that has registered, in its callback.
    let Some(driver) = (unsafe { DRIVER.get::<F>() }) else {
        return;
    };
    // SAFETY: contract of the function.
    let mut level = unsafe { Passive::assume() };
    // SAFETY: contract of the function.
    let device = unsafe { DeviceObject::from_raw(device) };
    F::file_system_changed(driver, device, active != 0, &mut level);
}
