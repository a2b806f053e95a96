//! Opening files, and asking for their attributes by name.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

use super::{Attributes, service};
use crate::nt::{
    FILE_NETWORK_OPEN_INFORMATION, FILE_OPEN, HANDLE, IO_STATUS_BLOCK, NTSTATUS, OBJECT_ATTRIBUTES,
    STATUS_NOT_SUPPORTED, STATUS_SUCCESS, file_id, unicode,
};
use crate::user::{self, OpenRequest};
use std::ffi::c_void;

/// What an open asks for beside its name.
struct Wanted {
    access: u32,
    allocation_size: i64,
    attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
}

/// # Safety
/// All pointers are the driver's and valid.
unsafe fn open_file(
    handle: *mut HANDLE,
    attributes: *const OBJECT_ATTRIBUTES,
    iosb: *mut IO_STATUS_BLOCK,
    extended_attributes: &[u8],
    wanted: &Wanted,
) -> Result<NTSTATUS, NTSTATUS> {
    let given = attributes;
    // SAFETY: contract of the function.
    let attributes = unsafe { Attributes::read(given) }?;
    // SAFETY: as above, and they were valid.
    let string = unsafe { (*given).ObjectName };
    // SAFETY: valid attributes have a valid name, or none.
    let name = unsafe { unicode::units(string) };
    let (name, file_id) = file_id::name_and_id(name, wanted.options);
    let request = OpenRequest {
        name: &name,
        file_id,
        root: attributes.root,
        access: wanted.access,
        allocation_size: wanted.allocation_size,
        attributes: wanted.attributes,
        share: wanted.share,
        disposition: wanted.disposition,
        options: wanted.options,
        extended_attributes,
        case_sensitive: attributes.is_case_sensitive(),
        kernel_handle: attributes.is_kernel_handle(),
        ..OpenRequest::default()
    };
    let (new, block) = user::nt_create_file(&request)?;
    // SAFETY: contract of the function.
    unsafe { handle.write(new) };
    // SAFETY: contract of the function.
    unsafe { iosb.write(block) };
    // SAFETY: the service wrote the status.
    Ok(unsafe { block.Anonymous.Status })
}

pub(super) unsafe extern "win64" fn create(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    iosb: *mut IO_STATUS_BLOCK,
    allocation_size: *const i64,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    ea_buffer: *const c_void,
    ea_length: u32,
    caller: usize,
) -> NTSTATUS {
    service("ZwCreateFile", caller, || {
        // SAFETY: the driver's pointer, or null.
        let allocation_size = unsafe { allocation_size.as_ref() }.copied().unwrap_or(0);
        let extended_attributes: &[u8] = if ea_buffer.is_null() || ea_length == 0 {
            &[]
        } else {
            // SAFETY: the driver's buffer has that many bytes.
            unsafe { std::slice::from_raw_parts(ea_buffer.cast(), ea_length as usize) }
        };
        let attributes_of_file = file_attributes;
        let wanted = Wanted {
            access,
            allocation_size,
            attributes: attributes_of_file,
            share,
            disposition,
            options,
        };
        // SAFETY: the driver's pointers.
        unsafe { open_file(handle, attributes, iosb, extended_attributes, &wanted) }
    })
}

pub(super) unsafe extern "win64" fn open(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    iosb: *mut IO_STATUS_BLOCK,
    share: u32,
    options: u32,
    caller: usize,
) -> NTSTATUS {
    service("ZwOpenFile", caller, || {
        let wanted = Wanted {
            access,
            allocation_size: 0,
            attributes: 0,
            share,
            disposition: FILE_OPEN,
            options,
        };
        // SAFETY: the driver's pointers.
        unsafe { open_file(handle, attributes, iosb, &[], &wanted) }
    })
}

pub(super) unsafe extern "win64" fn query_full_attributes(
    attributes: *const OBJECT_ATTRIBUTES,
    information: *mut FILE_NETWORK_OPEN_INFORMATION,
    caller: usize,
) -> NTSTATUS {
    service("ZwQueryFullAttributesFile", caller, || {
        // SAFETY: the driver's attributes.
        let attributes = unsafe { Attributes::read(attributes) }?;
        if !attributes.root.is_null() {
            return Err(STATUS_NOT_SUPPORTED);
        }
        let answer = user::nt_query_full_attributes_file(&attributes.name)?;
        // SAFETY: the driver's pointer.
        unsafe { information.write(answer) };
        Ok(STATUS_SUCCESS)
    })
}
