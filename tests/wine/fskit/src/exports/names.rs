//! Names of objects. Wine's kernel finds those of devices, and none of drivers.

use super::devices;
use core::ffi::c_void;
use wdk_sys::{
    DRIVER_OBJECT, NTSTATUS, OBJECT_NAME_INFORMATION, STATUS_INFO_LENGTH_MISMATCH, STATUS_SUCCESS,
    UNICODE_STRING, ntddk,
};

/// ObQueryNameString, for drivers that have a device in a stack as well.
#[unsafe(no_mangle)]
unsafe extern "C" fn fskit_query_name_string(
    object: *mut c_void,
    information: *mut OBJECT_NAME_INFORMATION,
    bytes: u32,
    needed: *mut u32,
) -> NTSTATUS {
    if !devices::is_driver(object) {
        return ntddk::ObQueryNameString(object, information, bytes, needed);
    }
    let name = (*object.cast::<DRIVER_OBJECT>()).DriverName;
    let length = usize::from(name.Length);
    let all = size_of::<OBJECT_NAME_INFORMATION>() + length;
    *needed = all as u32;
    if (bytes as usize) < all {
        return STATUS_INFO_LENGTH_MISMATCH;
    }
    let buffer = information.add(1).cast::<u16>();
    buffer.copy_from_nonoverlapping(name.Buffer, length / 2);
    (*information).Name = UNICODE_STRING {
        Length: name.Length,
        MaximumLength: name.Length,
        Buffer: buffer,
    };
    STATUS_SUCCESS
}
