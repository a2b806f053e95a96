//! Opening files, and asking for their attributes by name.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

use super::{Attributes, service};
use crate::nt::{
    FILE_DELETE_ON_CLOSE, FILE_NETWORK_OPEN_INFORMATION, FILE_OPEN, HANDLE, IO_STATUS_BLOCK,
    NTSTATUS, OBJECT_ATTRIBUTES, STATUS_NOT_SUPPORTED, STATUS_SUCCESS, file_id, unicode,
};
use crate::user::{self, OpenRequest};
use std::ffi::c_void;

/// `DELETE`.
const DELETE: u32 = 0x1_0000;
/// `FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE`.
const SHARE_ALL: u32 = 7;

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
    let (name, rest) = unicode::text_and_rest(name);
    let request = OpenRequest {
        name: &name,
        rest,
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

/// `ZwDeleteFile`: an open that deletes what it has opened when its handle goes.
pub(super) unsafe extern "win64" fn delete(
    attributes: *const OBJECT_ATTRIBUTES,
    caller: usize,
) -> NTSTATUS {
    service("ZwDeleteFile", caller, || {
        let wanted = Wanted {
            access: DELETE,
            allocation_size: 0,
            attributes: 0,
            share: SHARE_ALL,
            disposition: FILE_OPEN,
            options: FILE_DELETE_ON_CLOSE,
        };
        let mut handle = std::ptr::null_mut();
        let mut iosb = IO_STATUS_BLOCK::default();
        // SAFETY: the driver's attributes; the rest is this function's.
        unsafe { open_file(&raw mut handle, attributes, &raw mut iosb, &[], &wanted) }?;
        Ok(user::nt_close(handle))
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

#[cfg(test)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a row of calls on local structures"
)]
mod tests {
    use super::*;
    use crate::exports::test_device;
    use crate::io_manager::complete;
    use crate::nt::unicode::OwnedUnicodeString;
    use crate::nt::{
        DEVICE_OBJECT, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IrpExt,
        STATUS_OBJECT_NAME_NOT_FOUND,
    };
    use std::sync::Mutex;

    /// Of each request the major function, and of an open its options and access.
    static SEEN: Mutex<Vec<(u32, u32, u32)>> = Mutex::new(Vec::new());

    unsafe extern "win64" fn dispatch(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
        // SAFETY: a dispatch routine gets a live request with its location.
        let location = unsafe { &*irp.current_location() };
        let major = u32::from(location.MajorFunction);
        let asked = if major == IRP_MJ_CREATE {
            // SAFETY: the parameters of a create.
            let create = unsafe { location.Parameters.Create };
            // SAFETY: as above.
            let access = unsafe { (*create.SecurityContext).DesiredAccess };
            (create.Options & 0x00FF_FFFF, access)
        } else {
            (0, 0)
        };
        SEEN.lock()
            .expect("no panic")
            .push((major, asked.0, asked.1));
        // SAFETY: as above.
        unsafe { complete::finish(irp, STATUS_SUCCESS, 0) }
    }

    #[test]
    fn a_file_is_deleted_by_an_open_that_ends() {
        let driver = test_device::driver(r"\Driver\ZwDelete", dispatch);
        test_device::device(driver, Some(r"\Device\ZwDelete"));
        let delete_named = |name: &str| {
            let name = OwnedUnicodeString::new(name);
            let mut unicode = name.as_unicode();
            let attributes = OBJECT_ATTRIBUTES {
                Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
                ObjectName: &raw mut unicode,
                ..OBJECT_ATTRIBUTES::default()
            };
            // SAFETY: all pointers are to locals.
            unsafe { delete(&raw const attributes, 0) }
        };
        assert_eq!(delete_named(r"\Device\ZwDelete\a.txt"), STATUS_SUCCESS);
        let seen = std::mem::take(&mut *SEEN.lock().expect("no panic"));
        let create = (IRP_MJ_CREATE, FILE_DELETE_ON_CLOSE, DELETE);
        assert_eq!(seen, [create, (IRP_MJ_CLEANUP, 0, 0), (IRP_MJ_CLOSE, 0, 0)]);
        assert_eq!(
            delete_named(r"\Device\ZwNone"),
            STATUS_OBJECT_NAME_NOT_FOUND
        );
    }
}
