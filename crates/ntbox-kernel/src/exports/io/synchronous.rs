//! Requests that are sent down and waited for, and opens that are undone.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::{file, forward};
use crate::nt::{DEVICE_OBJECT, FILE_OBJECT, FO_HANDLE_CREATED, IRP};
use crate::processor::irql;
use crate::verifier;

/// Once there is a handle it is too late.
const INVALID_CANCEL_OF_FILE_OPEN: u32 = 0xE8;

/// `IoForwardIrpSynchronously`: false, and nothing sent, if the request has no location left.
pub unsafe extern "win64" fn forward_irp_synchronously(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    caller: usize,
) -> u8 {
    irql::require("IoForwardIrpSynchronously", caller);
    // SAFETY: the driver's request and a live device.
    u8::from(unsafe { forward::forward_and_wait(device, irp, caller) })
}

/// `IoCancelFileOpen`: to those below, the file was opened and is closed; nobody else has seen it.
pub unsafe extern "win64" fn cancel_file_open(
    device: *mut DEVICE_OBJECT,
    file: *mut FILE_OBJECT,
    caller: usize,
) {
    irql::require("IoCancelFileOpen", caller);
    // SAFETY: the driver's file.
    if unsafe { (*file).Flags } & FO_HANDLE_CREATED != 0 {
        let parameters = [file.addr() as u64, device.addr() as u64, 0, 0];
        verifier::bug_check(INVALID_CANCEL_OF_FILE_OPEN, parameters, caller);
    }
    // SAFETY: the driver's file, which the file system below has opened.
    unsafe { file::cancel_open(device, file) };
}
