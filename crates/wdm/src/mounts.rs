//! The end of mounts that had begun (A5).
//!
//! Wraps `IoRegisterFsRegistrationChangeMountAware`.

#![expect(unsafe_code, reason = "the callback is called by the I/O manager")]

use crate::irql::Passive;
use crate::status::Status;
use wdk_sys::{BOOLEAN, DRIVER_OBJECT, PDEVICE_OBJECT, ntddk};

/// Returns when no mount that had begun is under way any more. "If TRUE, this routine ensures no mount
/// operations are in progress when making notification callbacks": of those there is nothing to do.
///
/// Errors: the status of the DDI.
///
/// # Safety
/// `driver` is the calling driver's own object, and one thread at a time is in here.
pub(crate) unsafe fn wait(driver: *mut DRIVER_OBJECT, _level: &mut Passive) -> Result<(), Status> {
    // SAFETY: contract of the function; the token proves PASSIVE_LEVEL.
    Status(unsafe { ntddk::IoRegisterFsRegistrationChangeMountAware(driver, Some(ignored), 1) })
        .into_result()?;
    // SAFETY: registered above.
    unsafe { ntddk::IoUnregisterFsRegistrationChange(driver, Some(ignored)) };
    Ok(())
}

/// DRIVER_FS_NOTIFICATION.
///
/// # Safety
/// None.
unsafe extern "C" fn ignored(_device: PDEVICE_OBJECT, _active: BOOLEAN) {}
