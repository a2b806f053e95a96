//! FsFilter callbacks: section synchronization, cache-manager flush, modified page writer, queries
//! by name (F3).
//!
//! They replace the six fast I/O entries that do not reach filters (F1). Every
//! pre-callback allows the operation, every post-callback leaves it alone.
//!
//! Wraps `FsRtlRegisterFileSystemFilterCallbacks`.

#![expect(unsafe_code, reason = "the callbacks are called by the system")]

use crate::status::Status;
use core::ffi::c_void;
use wdk_sys::{DRIVER_OBJECT, FS_FILTER_CALLBACKS, NTSTATUS, PFS_FILTER_CALLBACK_DATA, ntddk};

/// Registers all pairs for a driver. IRQL: PASSIVE_LEVEL.
///
/// Errors: STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER.
///
/// # Safety
/// `driver` is the calling driver's own object.
pub(crate) unsafe fn register(driver: *mut DRIVER_OBJECT) -> Result<(), Status> {
    let mut callbacks = FS_FILTER_CALLBACKS {
        SizeOfFsFilterCallbacks: size_of::<FS_FILTER_CALLBACKS>() as u32,
        PreAcquireForSectionSynchronization: Some(allow),
        PostAcquireForSectionSynchronization: Some(ignore),
        PreReleaseForSectionSynchronization: Some(allow),
        PostReleaseForSectionSynchronization: Some(ignore),
        PreAcquireForCcFlush: Some(allow),
        PostAcquireForCcFlush: Some(ignore),
        PreReleaseForCcFlush: Some(allow),
        PostReleaseForCcFlush: Some(ignore),
        PreAcquireForModifiedPageWriter: Some(allow),
        PostAcquireForModifiedPageWriter: Some(ignore),
        PreReleaseForModifiedPageWriter: Some(allow),
        PostReleaseForModifiedPageWriter: Some(ignore),
        PreQueryOpen: Some(allow),
        PostQueryOpen: Some(ignore),
        Reserved: 0,
    };
    // SAFETY: contract of the function; the system copies the structure.
    Status(unsafe { ntddk::FsRtlRegisterFileSystemFilterCallbacks(driver, &raw mut callbacks) })
        .into_result()
}

/// PFS_FILTER_CALLBACK: STATUS_SUCCESS lets the operation go on.
unsafe extern "C" fn allow(
    _data: PFS_FILTER_CALLBACK_DATA,
    _context: *mut *mut c_void,
) -> NTSTATUS {
    Status::SUCCESS.0
}

/// PFS_FILTER_COMPLETION_CALLBACK.
unsafe extern "C" fn ignore(
    _data: PFS_FILTER_CALLBACK_DATA,
    _status: NTSTATUS,
    _context: *mut c_void,
) {
}
