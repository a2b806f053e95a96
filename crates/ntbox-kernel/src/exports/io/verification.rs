//! Media that may have changed, and telling the user of what went wrong.
//!
//! No user of the box looks at messages: one that is sent is taken note of, and a request that the user would decide
//! about is completed as it failed.
//!
//! Source: `IoVerifyVolume`, `IoSetDeviceToVerify`, `IoSetHardErrorOrVerifyDevice`, `IoRaiseHardError`,
//! `IoRaiseInformationalHardError`, `IoSetThreadHardErrorMode` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::{complete, mount, verification};
use crate::nt::{
    DEVICE_OBJECT, IRP, IrpExt, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, UNICODE_STRING, VPB,
    unicode,
};
use crate::pool::failure;
use crate::processor::{irql, thread};
use std::ffi::c_void;

/// `IoVerifyVolume`.
pub unsafe extern "win64" fn verify_volume(
    device: *mut DEVICE_OBJECT,
    allow_raw: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoVerifyVolume", caller);
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver passes a live storage device.
    unsafe { mount::verify(device, allow_raw != 0) }
}

/// `IoSetDeviceToVerify`.
pub unsafe extern "win64" fn set_device_to_verify(
    thread: *mut c_void,
    device: *mut DEVICE_OBJECT,
    caller: usize,
) {
    irql::require("IoSetDeviceToVerify", caller);
    verification::set_device(thread, device);
}

/// `IoGetDeviceToVerify`.
pub unsafe extern "win64" fn get_device_to_verify(
    thread: *mut c_void,
    caller: usize,
) -> *mut DEVICE_OBJECT {
    irql::require("IoGetDeviceToVerify", caller);
    verification::device(thread)
}

/// `IoSetHardErrorOrVerifyDevice`: of the request's thread.
pub unsafe extern "win64" fn set_hard_error_or_verify_device(
    irp: *mut IRP,
    device: *mut DEVICE_OBJECT,
    caller: usize,
) {
    irql::require("IoSetHardErrorOrVerifyDevice", caller);
    // SAFETY: the driver's request.
    let owner = unsafe { irp.thread() };
    verification::set_device(owner, device);
}

/// `IoSetThreadHardErrorMode`: whether the user was told until now.
pub unsafe extern "win64" fn set_thread_hard_error_mode(enable: u8, caller: usize) -> u8 {
    irql::require("IoSetThreadHardErrorMode", caller);
    let object = thread::current().object();
    u8::from(!verification::set_silent(object, enable == 0))
}

/// `IoRaiseHardError`: the request is completed, and nothing of it reaches the program's buffers.
pub unsafe extern "win64" fn raise_hard_error(
    irp: *mut IRP,
    _vpb: *mut VPB,
    _device: *mut DEVICE_OBJECT,
    caller: usize,
) {
    irql::require("IoRaiseHardError", caller);
    // SAFETY: the driver's request, which is given up.
    unsafe { (*irp).IoStatus.Information = 0 };
    // SAFETY: as above.
    unsafe { complete::complete_request(irp, 0, caller) };
}

/// `IoRaiseInformationalHardError`: TRUE if the message is queued.
pub unsafe extern "win64" fn raise_informational_hard_error(
    _status: NTSTATUS,
    string: *const UNICODE_STRING,
    thread: *mut c_void,
    caller: usize,
) -> u8 {
    irql::require("IoRaiseInformationalHardError", caller);
    if !string.is_null() {
        // SAFETY: the driver's string, of which the message has a copy.
        unsafe { unicode::to_string(string) };
    }
    let silent = !thread.is_null() && verification::is_silent(thread);
    u8::from(!silent && !failure::should_fail(caller))
}

#[cfg(test)]
#[path = "verification_tests.rs"]
mod tests;
