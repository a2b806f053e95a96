//! The error log.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::error_log;
use crate::processor::irql;
use std::ffi::c_void;

/// `IoAllocateErrorLogEntry`.
pub unsafe extern "win64" fn allocate_error_log_entry(
    object: *mut c_void,
    bytes: u8,
    caller: usize,
) -> *mut c_void {
    irql::require("IoAllocateErrorLogEntry", caller);
    // SAFETY: the driver's device or driver object.
    unsafe { error_log::allocate(object, bytes, caller) }
}

/// `IoFreeErrorLogEntry`.
pub unsafe extern "win64" fn free_error_log_entry(packet: *mut c_void, caller: usize) {
    irql::require("IoFreeErrorLogEntry", caller);
    // SAFETY: the driver's packet.
    unsafe { error_log::free(packet, caller) }
}

/// `IoWriteErrorLogEntry`.
pub unsafe extern "win64" fn write_error_log_entry(packet: *mut c_void, caller: usize) {
    irql::require("IoWriteErrorLogEntry", caller);
    // SAFETY: the driver's packet.
    unsafe { error_log::write(packet, caller) }
}
