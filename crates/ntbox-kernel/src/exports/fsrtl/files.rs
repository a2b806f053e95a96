//! Callbacks, and routines on open files.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::file;
use crate::io_manager::filter_callbacks::{self, Operation};
use crate::nt::{
    DRIVER_OBJECT, FILE_OBJECT, FS_FILTER_CALLBACKS, FSRTL_COMMON_FCB_HEADER,
    FSRTL_FLAG2_IS_PAGING_FILE, NTSTATUS, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT,
    STATUS_ILLEGAL_INSTRUCTION, STATUS_INSTRUCTION_MISALIGNMENT, STATUS_SUCCESS,
};
use crate::processor::{irql, thread};

/// `FsRtlRegisterFileSystemFilterCallbacks`.
pub unsafe extern "win64" fn register_file_system_filter_callbacks(
    driver: *mut DRIVER_OBJECT,
    callbacks: *const FS_FILTER_CALLBACKS,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlRegisterFileSystemFilterCallbacks", caller);
    if crate::pool::failure::should_fail(caller) {
        return crate::nt::STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver's structure.
    unsafe { filter_callbacks::register(driver, callbacks) }
}

/// `FsRtlAcquireFileExclusive`: what a section's creation acquires, with a type
/// that cannot be failed.
pub unsafe extern "win64" fn acquire_file_exclusive(file: *mut FILE_OBJECT, caller: usize) {
    irql::require("FsRtlAcquireFileExclusive", caller);
    thread::enter_critical_region();
    // SAFETY: the driver's file.
    unsafe {
        filter_callbacks::invoke(
            file,
            Operation::AcquireForSection {
                section_type: 0,
                page_protection: 0,
            },
        )
    };
}

/// `FsRtlReleaseFile`.
pub unsafe extern "win64" fn release_file(file: *mut FILE_OBJECT, caller: usize) {
    irql::require("FsRtlReleaseFile", caller);
    // SAFETY: the driver's file.
    unsafe { filter_callbacks::invoke(file, Operation::ReleaseForSection) };
    thread::leave_critical_region_for(caller);
}

/// `FsRtlIsPagingFile`: what the file system says in the file's header.
pub unsafe extern "win64" fn is_paging_file(file: *mut FILE_OBJECT, caller: usize) -> u32 {
    irql::require("FsRtlIsPagingFile", caller);
    // SAFETY: the driver's file.
    let header: *const FSRTL_COMMON_FCB_HEADER = unsafe { (*file).FsContext }.cast_const().cast();
    // SAFETY: null, or the file system's header.
    let is =
        !header.is_null() && unsafe { (*header).Flags2 } & FSRTL_FLAG2_IS_PAGING_FILE as u8 != 0;
    u32::from(is)
}

/// `FsRtlIsNtstatusExpected`: not one of the few that mean a bug in the code.
pub unsafe extern "win64" fn is_ntstatus_expected(status: NTSTATUS) -> u8 {
    u8::from(!matches!(
        status,
        STATUS_DATATYPE_MISALIGNMENT
            | STATUS_ACCESS_VIOLATION
            | STATUS_ILLEGAL_INSTRUCTION
            | STATUS_INSTRUCTION_MISALIGNMENT
    ))
}

/// `FsRtlNormalizeNtstatus`.
pub unsafe extern "win64" fn normalize_ntstatus(status: NTSTATUS, generic: NTSTATUS) -> NTSTATUS {
    // SAFETY: no pointers.
    if unsafe { is_ntstatus_expected(status) } != 0 {
        status
    } else {
        generic
    }
}

/// `FsRtlGetFileSize`.
pub unsafe extern "win64" fn get_file_size(file: *mut FILE_OBJECT, size: *mut i64) -> NTSTATUS {
    irql::require("FsRtlGetFileSize", 0);
    // SAFETY: the driver's file.
    match unsafe { file::size(file) } {
        Ok(bytes) => {
            // SAFETY: the driver's pointer.
            unsafe { size.write(bytes) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}
