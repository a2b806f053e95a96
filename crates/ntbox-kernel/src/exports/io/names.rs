//! Symbolic links, DOS names, and the name of a process.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::{lookup, namespace, query_name};
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, NTSTATUS, OBJECT_NAME_INFORMATION, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_SUCCESS, UNICODE_STRING, unicode,
};
use crate::pool;
use crate::processor::{irql, process};
use std::ffi::c_void;

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
    namespace::insert_symbolic_link_for(&link, &target, caller)
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
    let units: Vec<u16> = found.encode_utf16().collect();
    let Some((_, string)) = allocate(0, &units, caller) else {
        return STATUS_INSUFFICIENT_RESOURCES;
    };
    // SAFETY: the driver's pointer.
    unsafe { name.write(string) };
    STATUS_SUCCESS
}

/// A block of the driver's, and the name in it behind `header` bytes, with a terminator.
fn allocate(header: usize, name: &[u16], caller: usize) -> Option<(*mut c_void, UNICODE_STRING)> {
    let bytes = size_of_val(name);
    let block = pool::allocate(pool::Kind::Paged, header + bytes + 2, TAG, caller);
    if block.is_null() {
        return None;
    }
    let text: *mut u16 = block.wrapping_byte_add(header).cast();
    // SAFETY: the block has room behind the header and nobody else has it.
    unsafe { text.copy_from_nonoverlapping(name.as_ptr(), name.len()) };
    // SAFETY: as above.
    unsafe { text.wrapping_add(name.len()).write(0) };
    let string = UNICODE_STRING {
        Length: bytes as u16,
        MaximumLength: bytes as u16 + 2,
        Buffer: text,
    };
    Some((block, string))
}

/// `SeLocateProcessImageName`: the driver frees the string with ExFreePool.
pub unsafe extern "win64" fn locate_process_image_name(
    object: *mut c_void,
    name: *mut *mut UNICODE_STRING,
    caller: usize,
) -> NTSTATUS {
    irql::require("SeLocateProcessImageName", caller);
    let path = process::from_object(object).map_or("", |process| process.image_path());
    let units: Vec<u16> = path.encode_utf16().collect();
    let Some((block, string)) = allocate(size_of::<UNICODE_STRING>(), &units, caller) else {
        return STATUS_INSUFFICIENT_RESOURCES;
    };
    let block: *mut UNICODE_STRING = block.cast();
    // SAFETY: the block begins with the string.
    unsafe { block.write(string) };
    // SAFETY: the driver's pointer.
    unsafe { name.write(block) };
    STATUS_SUCCESS
}

/// `IoQueryFileDosDeviceName`: the driver frees the structure with ExFreePool.
pub unsafe extern "win64" fn query_file_dos_device_name(
    file: *mut FILE_OBJECT,
    information: *mut *mut OBJECT_NAME_INFORMATION,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoQueryFileDosDeviceName", caller);
    // SAFETY: the driver's file.
    let name = match unsafe { query_name::dos_name_of_file(file) } {
        Ok(name) => name,
        Err(status) => return status,
    };
    let header = size_of::<OBJECT_NAME_INFORMATION>();
    let Some((block, string)) = allocate(header, &name, caller) else {
        return STATUS_INSUFFICIENT_RESOURCES;
    };
    let block: *mut OBJECT_NAME_INFORMATION = block.cast();
    // SAFETY: the block begins with the header.
    unsafe { block.write(OBJECT_NAME_INFORMATION { Name: string }) };
    // SAFETY: the driver's pointer.
    unsafe { information.write(block) };
    STATUS_SUCCESS
}
