//! Where the data of a request lies: in its MDL, its system buffer, or the caller's.

#![expect(unsafe_code, reason = "buffers are given by pointer")]

use crate::io_manager::mdl;
use crate::nt::{IRP, IRP_ASSOCIATED_IRP, IrpExt, NTSTATUS, STATUS_INVALID_USER_BUFFER};
use std::ffi::c_void;

/// The buffer of a request for data: the MDL's if there is one, else the system buffer,
/// else the caller's.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`: there is none, or its MDL describes less than `length`.
///
/// # Safety
/// `irp` is the caller's.
unsafe fn address(irp: *mut IRP, length: usize) -> Result<*mut c_void, NTSTATUS> {
    // SAFETY: contract.
    let header = unsafe { &*irp };
    if !header.MdlAddress.is_null() {
        // SAFETY: a request's MDL is alive.
        let described = unsafe { (*header.MdlAddress).ByteCount } as usize;
        // SAFETY: as above. Pages are not mapped elsewhere in the box.
        let address = unsafe { mdl::virtual_address(header.MdlAddress) };
        return if described < length { Err(STATUS_INVALID_USER_BUFFER) } else { Ok(address) };
    }
    // SAFETY: contract.
    let address = unsafe { system_buffer(irp) };
    let address = if address.is_null() { header.UserBuffer } else { address };
    if address.is_null() { Err(STATUS_INVALID_USER_BUFFER) } else { Ok(address) }
}

/// `AssociatedIrp.SystemBuffer`, or null.
///
/// # Safety
/// `irp` is the caller's.
pub unsafe fn system_buffer(irp: *mut IRP) -> *mut c_void {
    // SAFETY: contract.
    let header = unsafe { &*irp };
    if header.Flags & IRP_ASSOCIATED_IRP != 0 {
        return std::ptr::null_mut();
    }
    // SAFETY: without that flag the union holds the buffer.
    unsafe { header.AssociatedIrp.SystemBuffer }
}

/// The buffer to write `length` bytes into.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`.
///
/// # Safety
/// `irp` is the caller's; the slice ends before the request is completed.
pub unsafe fn output<'a>(irp: *mut IRP, length: u32) -> Result<&'a mut [u8], NTSTATUS> {
    if length == 0 {
        return Ok(&mut []);
    }
    // SAFETY: contract.
    let address = unsafe { address(irp, length as usize) }?;
    // SAFETY: the originator gives a buffer of the length it says.
    Ok(unsafe { std::slice::from_raw_parts_mut(address.cast(), length as usize) })
}

/// The buffer to read `length` bytes from.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`.
///
/// # Safety
/// As [`output`].
pub unsafe fn input<'a>(irp: *mut IRP, length: u32) -> Result<&'a [u8], NTSTATUS> {
    // SAFETY: contract.
    unsafe { output(irp, length) }.map(|buffer| &*buffer)
}

/// The system buffer of a request that always has one, as `length` bytes.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`.
///
/// # Safety
/// As [`output`].
pub unsafe fn buffered<'a>(irp: *mut IRP, length: u32) -> Result<&'a mut [u8], NTSTATUS> {
    if length == 0 {
        return Ok(&mut []);
    }
    // SAFETY: contract.
    let address = unsafe { system_buffer(irp) };
    if address.is_null() {
        return Err(STATUS_INVALID_USER_BUFFER);
    }
    // SAFETY: the originator gives a buffer of the length it says.
    Ok(unsafe { std::slice::from_raw_parts_mut(address.cast(), length as usize) })
}

/// Copies the result of a directory notification into the request's buffer; its length.
///
/// # Safety
/// As [`output`]; `data` is no longer than the request said.
pub unsafe fn copy_out(irp: *mut IRP, data: &[u8]) -> usize {
    if data.is_empty() {
        return 0;
    }
    // SAFETY: contract.
    let length = unsafe { (*irp.current_location()).Parameters.NotifyDirectory.Length };
    // SAFETY: contract.
    let buffer = unsafe { output(irp, length) };
    match buffer.ok().and_then(|buffer| buffer.get_mut(..data.len())) {
        Some(room) => {
            room.copy_from_slice(data);
            data.len()
        }
        None => 0,
    }
}
