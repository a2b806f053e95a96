//! Symbolic links and DOS names.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::{lookup, namespace};
use crate::nt::{
    DEVICE_OBJECT, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, UNICODE_STRING, unicode,
};
use crate::pool;
use crate::processor::irql;

/// `IoCreateSymbolicLink`.
pub unsafe extern "win64" fn create_symbolic_link(
    link: *const UNICODE_STRING,
    target: *const UNICODE_STRING,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoCreateSymbolicLink", caller);
    if pool::failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver's string.
    let link = unsafe { unicode::to_string(link) };
    // SAFETY: the driver's string.
    let target = unsafe { unicode::to_string(target) };
    namespace::insert_symbolic_link(&link, &target)
        .err()
        .unwrap_or(STATUS_SUCCESS)
}

/// `IoDeleteSymbolicLink`.
pub unsafe extern "win64" fn delete_symbolic_link(
    link: *const UNICODE_STRING,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoDeleteSymbolicLink", caller);
    // SAFETY: the driver's string.
    let link = unsafe { unicode::to_string(link) };
    namespace::remove_symbolic_link(&link)
        .err()
        .unwrap_or(STATUS_SUCCESS)
}

const TAG: u32 = u32::from_le_bytes(*b"RtlV");

/// `IoVolumeDeviceToDosName`: the driver frees the name with ExFreePool.
pub unsafe extern "win64" fn volume_device_to_dos_name(
    device: *mut DEVICE_OBJECT,
    name: *mut UNICODE_STRING,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoVolumeDeviceToDosName", caller);
    // SAFETY: the driver passes a live device.
    let found = match unsafe { lookup::dos_name(device) } {
        Ok(found) => found,
        Err(status) => return status,
    };
    let units: Vec<u16> = found.encode_utf16().chain([0]).collect();
    let bytes = size_of_val(units.as_slice());
    let buffer: *mut u16 = pool::allocate(pool::Kind::Paged, bytes, TAG, caller).cast();
    if buffer.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the block has `bytes` bytes and nobody else has it.
    unsafe { std::ptr::copy_nonoverlapping(units.as_ptr(), buffer, units.len()) };
    let result = UNICODE_STRING {
        Length: bytes as u16 - 2,
        MaximumLength: bytes as u16,
        Buffer: buffer,
    };
    // SAFETY: the driver's pointer.
    unsafe { name.write(result) };
    STATUS_SUCCESS
}
