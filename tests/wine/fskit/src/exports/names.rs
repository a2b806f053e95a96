//! Names of objects, and keys of services. Wine's kernel finds the names of devices, and none of drivers.

use super::devices;
use core::ffi::c_void;
use wdk_sys::{
    DRIVER_OBJECT, HANDLE, KEY_READ, NTSTATUS, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE,
    OBJECT_ATTRIBUTES, OBJECT_NAME_INFORMATION, STATUS_INFO_LENGTH_MISMATCH, STATUS_SUCCESS,
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

/// IoOpenDriverRegistryKey, for the parameters. Wine keeps the whole path of a service's key in the driver
/// object, where NT has the name of the service.
#[unsafe(no_mangle)]
unsafe extern "C" fn IoOpenDriverRegistryKey(
    driver: *mut DRIVER_OBJECT,
    _parameters: i32,
    access: u32,
    _flags: u32,
    handle: *mut HANDLE,
) -> NTSTATUS {
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: core::ptr::null_mut(),
        ObjectName: &raw mut (*(*driver).DriverExtension).ServiceKeyName,
        Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
        SecurityDescriptor: core::ptr::null_mut(),
        SecurityQualityOfService: core::ptr::null_mut(),
    };
    let mut service = core::ptr::null_mut();
    let status = ntddk::ZwOpenKey(&raw mut service, KEY_READ, &raw mut attributes);
    if status != STATUS_SUCCESS {
        return status;
    }
    let mut name = "Parameters".encode_utf16();
    let mut units = [0_u16; 10].map(|_| name.next().unwrap_or(0));
    let mut parameters = UNICODE_STRING {
        Length: size_of_val(&units) as u16,
        MaximumLength: size_of_val(&units) as u16,
        Buffer: units.as_mut_ptr(),
    };
    attributes.RootDirectory = service;
    attributes.ObjectName = &raw mut parameters;
    let status = ntddk::ZwOpenKey(handle, access, &raw mut attributes);
    let _ = ntddk::ZwClose(service);
    status
}
