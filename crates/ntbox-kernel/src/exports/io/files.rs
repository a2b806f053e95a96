//! File objects, and opens made by drivers.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::ecp::List;
use crate::io_manager::{file, references};
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, HANDLE, IO_STATUS_BLOCK, NTSTATUS, OBJ_CASE_INSENSITIVE,
    OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS, file_id, unicode,
};
use crate::pool::failure;
use crate::processor::object::{self, Kind, ObjectType};
use crate::processor::{irql, thread};
use crate::user::{self, OpenRequest};
use std::ffi::c_void;

/// A variable that holds the address of an object type: what drivers import.
#[repr(transparent)]
pub struct TypePointer(&'static ObjectType);

/// `IoFileObjectType`.
pub static FILE_OBJECT_TYPE: TypePointer = TypePointer(object::object_type(Kind::File));
/// `IoDriverObjectType`.
pub static DRIVER_OBJECT_TYPE: TypePointer = TypePointer(object::object_type(Kind::Driver));
/// `IoDeviceObjectType`.
pub static DEVICE_OBJECT_TYPE: TypePointer = TypePointer(object::object_type(Kind::Device));

/// `IO_FORCE_ACCESS_CHECK`, `IO_OPEN_PAGING_FILE`, `IO_OPEN_TARGET_DIRECTORY`.
const FORCE_ACCESS_CHECK: u32 = 0x1;
const OPEN_PAGING_FILE: u32 = 0x2;
const OPEN_TARGET_DIRECTORY: u32 = 0x4;

/// `IoGetRelatedDeviceObject`.
pub unsafe extern "win64" fn get_related_device_object(
    file: *mut FILE_OBJECT,
) -> *mut DEVICE_OBJECT {
    irql::require("IoGetRelatedDeviceObject", 0);
    // SAFETY: the driver passes a live file object.
    unsafe { file::related_device(file) }
}

/// `IoGetBaseFileSystemDeviceObject`.
pub unsafe extern "win64" fn get_base_file_system_device_object(
    file: *mut FILE_OBJECT,
) -> *mut DEVICE_OBJECT {
    // SAFETY: the driver passes a live file object.
    unsafe { file::base_file_system_device(file) }
}

/// `IoCreateFile`. Only files are created, no pipes or mailslots.
pub unsafe extern "win64" fn create_file(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    iosb: *mut IO_STATUS_BLOCK,
    allocation: *const i64,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    extended: *const c_void,
    extended_length: u32,
    kind: i32,
    extra: *const c_void,
    flags: u32,
) -> NTSTATUS {
    irql::require("IoCreateFile", 0);
    // SAFETY: as for the routine with a hint.
    unsafe {
        create_file_specify_device_object_hint(
            handle,
            access,
            attributes,
            iosb,
            allocation,
            file_attributes,
            share,
            disposition,
            options,
            extended,
            extended_length,
            kind,
            extra,
            flags,
            std::ptr::null_mut(),
        )
    }
}

/// `IoCreateFileSpecifyDeviceObjectHint`: the open and everything on the file
/// goes to `hint` instead of the top of the stack.
pub unsafe extern "win64" fn create_file_specify_device_object_hint(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    iosb: *mut IO_STATUS_BLOCK,
    allocation: *const i64,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    extended: *const c_void,
    extended_length: u32,
    _kind: i32,
    _extra: *const c_void,
    flags: u32,
    hint: *mut DEVICE_OBJECT,
) -> NTSTATUS {
    irql::require("IoCreateFileSpecifyDeviceObjectHint", 0);
    // SAFETY: as for the routine with a context.
    unsafe {
        create_file_with(
            (handle, iosb),
            attributes,
            (access, allocation),
            (file_attributes, share, disposition, options),
            (extended, extended_length),
            flags,
            (hint, std::ptr::null_mut()),
        )
    }
}

/// `IO_DRIVER_CREATE_CONTEXT`, as far as it is looked at: there are no transactions and no silos.
#[repr(C)]
pub struct CreateContext {
    size: u16,
    extra_parameters: *mut List,
    hint: *mut DEVICE_OBJECT,
}

/// `IoCreateFileEx`: the list of extra parameters stays the caller's.
pub unsafe extern "win64" fn create_file_ex(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    iosb: *mut IO_STATUS_BLOCK,
    allocation: *const i64,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    extended: *const c_void,
    extended_length: u32,
    _kind: i32,
    _extra: *const c_void,
    flags: u32,
    context: *const CreateContext,
) -> NTSTATUS {
    irql::require("IoCreateFileEx", 0);
    // SAFETY: the driver's structure, or null.
    let context = unsafe { context.as_ref() };
    if context.is_some_and(|context| usize::from(context.size) < size_of::<CreateContext>()) {
        return STATUS_INVALID_PARAMETER;
    }
    let given = context.map_or((std::ptr::null_mut(), std::ptr::null_mut()), |context| {
        (context.hint, context.extra_parameters)
    });
    // SAFETY: the driver's pointers, as the page asks for them.
    unsafe {
        create_file_with(
            (handle, iosb),
            attributes,
            (access, allocation),
            (file_attributes, share, disposition, options),
            (extended, extended_length),
            flags,
            given,
        )
    }
}

/// Opens for a driver, below a hint if there is one, with extra parameters if there are some.
///
/// # Safety
/// The pointers are as `IoCreateFile` takes them.
unsafe fn create_file_with(
    (handle, iosb): (*mut HANDLE, *mut IO_STATUS_BLOCK),
    attributes: *const OBJECT_ATTRIBUTES,
    (access, allocation): (u32, *const i64),
    (file_attributes, share, disposition, options): (u32, u32, u32, u32),
    (extended, extended_length): (*const c_void, u32),
    flags: u32,
    (hint, extra_parameters): (*mut DEVICE_OBJECT, *mut List),
) -> NTSTATUS {
    if let Some(status) = failure::refuses(failure::Kind::Open) {
        return status;
    }
    // SAFETY: the driver's structure.
    let attributes = unsafe { &*attributes };
    // SAFETY: the driver's string.
    let name = unsafe { unicode::units(attributes.ObjectName) };
    let (name, file_id) = file_id::name_and_id(name, options);
    let (name, rest) = unicode::text_and_rest(name);
    let extended: &[u8] = if extended.is_null() {
        &[]
    } else {
        // SAFETY: the driver's buffer has the length it says.
        unsafe { std::slice::from_raw_parts(extended.cast(), extended_length as usize) }
    };
    let request = OpenRequest {
        name: &name,
        rest,
        file_id,
        root: attributes.RootDirectory,
        access,
        // SAFETY: null or the driver's number.
        allocation_size: unsafe { allocation.as_ref() }.copied().unwrap_or(0),
        attributes: file_attributes,
        share,
        disposition,
        options,
        extended_attributes: extended,
        case_sensitive: attributes.Attributes & OBJ_CASE_INSENSITIVE == 0,
        kernel_handle: attributes.Attributes & OBJ_KERNEL_HANDLE != 0,
        open_target_directory: flags & OPEN_TARGET_DIRECTORY != 0,
        force_access_check: flags & FORCE_ACCESS_CHECK != 0,
        paging_file: flags & OPEN_PAGING_FILE != 0,
        device_hint: hint,
        extra_parameters,
    };
    match thread::from_kernel_mode(|| user::nt_create_file(&request)) {
        Ok((opened, status)) => {
            // SAFETY: the driver's pointer.
            unsafe { handle.write(opened) };
            // SAFETY: the driver's pointer.
            unsafe { iosb.write(status) };
            // SAFETY: the service wrote the block.
            unsafe { status.Anonymous.Status }
        }
        Err(status) => {
            // SAFETY: the driver's pointer.
            let iosb = unsafe { &mut *iosb };
            iosb.Anonymous.Status = status;
            iosb.Information = 0;
            status
        }
    }
}

/// `IoReplaceFileObjectName`.
pub unsafe extern "win64" fn replace_file_object_name(
    file: *mut FILE_OBJECT,
    name: *const u16,
    bytes: u16,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoReplaceFileObjectName", caller);
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver's buffer has that many bytes.
    let name = unsafe { std::slice::from_raw_parts(name, usize::from(bytes) / 2) };
    // SAFETY: the driver's file.
    if unsafe { file::replace_name(file, name) } {
        STATUS_SUCCESS
    } else {
        STATUS_INVALID_PARAMETER
    }
}

/// `IoCreateStreamFileObject`: a file object of the file system's own, for which
/// cleanup was sent already; its last reference sends close.
pub unsafe extern "win64" fn create_stream_file_object(
    file: *mut FILE_OBJECT,
    device: *mut DEVICE_OBJECT,
    caller: usize,
) -> *mut FILE_OBJECT {
    irql::require("IoCreateStreamFileObject", caller);
    // SAFETY: the driver passes a live file or device.
    let stream = unsafe { file::create_stream(file, device, true) };
    // SAFETY: its one reference is the driver's.
    unsafe { references::taken(stream.cast(), caller) };
    stream
}

/// `IoCreateStreamFileObjectLite`: as above, without cleanup.
pub unsafe extern "win64" fn create_stream_file_object_lite(
    file: *mut FILE_OBJECT,
    device: *mut DEVICE_OBJECT,
    caller: usize,
) -> *mut FILE_OBJECT {
    irql::require("IoCreateStreamFileObjectLite", caller);
    // SAFETY: the driver passes a live file or device.
    let stream = unsafe { file::create_stream(file, device, false) };
    // SAFETY: its one reference is the driver's.
    unsafe { references::taken(stream.cast(), caller) };
    stream
}

/// `IoQueryFileInformation`.
pub unsafe extern "win64" fn query_file_information(
    file: *mut FILE_OBJECT,
    class: i32,
    length: u32,
    buffer: *mut c_void,
    returned: *mut u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoQueryFileInformation", caller);
    let major = crate::nt::IRP_MJ_QUERY_INFORMATION as u8;
    // SAFETY: the driver's file and buffer.
    unsafe { file::query(file, major, class, buffer, length, returned) }
}

/// `IoQueryVolumeInformation`.
pub unsafe extern "win64" fn query_volume_information(
    file: *mut FILE_OBJECT,
    class: i32,
    length: u32,
    buffer: *mut c_void,
    returned: *mut u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoQueryVolumeInformation", caller);
    let major = crate::nt::IRP_MJ_QUERY_VOLUME_INFORMATION as u8;
    // SAFETY: the driver's file and buffer.
    unsafe { file::query(file, major, class, buffer, length, returned) }
}

#[repr(C)]
struct GenericMapping([u32; 4]);

/// `FILE_GENERIC_READ`, `_WRITE`, `_EXECUTE`, `FILE_ALL_ACCESS`.
static GENERIC_MAPPING: GenericMapping =
    GenericMapping([0x12_0089, 0x12_0116, 0x12_00A0, 0x1F_01FF]);

/// `IoGetFileObjectGenericMapping`.
pub unsafe extern "win64" fn get_file_object_generic_mapping() -> *const c_void {
    irql::require("IoGetFileObjectGenericMapping", 0);
    (&raw const GENERIC_MAPPING).cast()
}
