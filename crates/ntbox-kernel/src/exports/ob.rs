//! `Ob`: the object manager's routines.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

mod callbacks;

use crate::exports::handles;
use crate::io_manager::{namespace, query_name, references};
use crate::nt::{
    FILE_OBJECT, HANDLE, NTSTATUS, OBJ_KERNEL_HANDLE, OBJECT_HANDLE_INFORMATION,
    OBJECT_NAME_INFORMATION, STATUS_ACCESS_DENIED, STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS, UNICODE_STRING, unicode,
};
use crate::pool::failure;
use crate::processor::object::{self, Kind, ObjectType, Presence};
use crate::processor::{handle, handle_callbacks, lifetime};
use crate::processor::{irql, thread};
use crate::user;
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::ptr::null_mut;

super::table! {
    caller(1) "ObfReferenceObject" => reference_object,
    caller(1) "ObfDereferenceObject" => dereference_object,
    caller(1) "ObReferenceObject" => reference_object,
    caller(1) "ObDereferenceObject" => dereference_object,
    caller(2) "ObfReferenceObjectWithTag" => reference_object_with_tag,
    caller(2) "ObfDereferenceObjectWithTag" => dereference_object_with_tag,
    caller(1) "ObDereferenceObjectDeferDelete" => dereference_object,
    caller(4) "ObReferenceObjectByPointer" => reference_object_by_pointer,
    caller(6) "ObReferenceObjectByHandle" => reference_object_by_handle,
    caller(8) "ObReferenceObjectByName" => reference_object_by_name,
    caller(7) "ObOpenObjectByPointer" => open_object_by_pointer,
    caller(4) "ObQueryNameString" => query_name_string,
    caller(2) "ObCloseHandle" => close_handle,
    caller(2) "ObRegisterCallbacks" => callbacks::register,
    caller(1) "ObUnRegisterCallbacks" => callbacks::unregister,
    "ObGetFilterVersion" => callbacks::version,
    "ObGetObjectType" => get_object_type,
}

/// The current process and thread, as `NtCurrentProcess()` and `NtCurrentThread()` name them.
const CURRENT_PROCESS: isize = -1;
const CURRENT_THREAD: isize = -2;

/// False for what is no object, or none any more, which is reported.
fn is_object(ddi: &str, body: *const c_void, caller: usize) -> bool {
    let (rule, what) = match object::presence_of(body) {
        Presence::There => return true,
        Presence::Gone => (&rules::OBJECT_GONE, "which is deleted: it had no reference"),
        Presence::None => (&rules::BAD_OBJECT_HEADER, "which is no object"),
    };
    violation(
        rule,
        format!("{ddi} was called for {body:p}, {what}"),
        &[("called at", caller)],
    );
    false
}

/// `ObfReferenceObject`.
unsafe extern "win64" fn reference_object(body: *mut c_void, caller: usize) -> isize {
    irql::require("ObfReferenceObject", caller);
    if !is_object("ObReferenceObject", body, caller) {
        return 0;
    }
    // SAFETY: the driver's object.
    unsafe { references::taken(body, caller) };
    // SAFETY: the driver's object.
    unsafe { lifetime::reference(body) };
    // SAFETY: as above.
    unsafe { object::pointer_count(body) as isize }
}

/// `ObfDereferenceObject`: what is left, as it was before this call's delete.
unsafe extern "win64" fn dereference_object(body: *mut c_void, caller: usize) -> isize {
    irql::require("ObfDereferenceObject", caller);
    if !is_object("ObDereferenceObject", body, caller) {
        return 0;
    }
    // SAFETY: the driver's object.
    let before = unsafe { object::pointer_count(body) };
    // SAFETY: as above.
    let kind = unsafe { object::kind_of(body) };
    let counted = kind.filter(|kind| matches!(kind, Kind::File | Kind::Process | Kind::Thread));
    if !references::given_back(body, caller)
        && let Some(kind) = counted
    {
        let what = kind.described();
        violation(
            &rules::REFERENCE_BY_POINTER,
            format!("a reference to {what}, {body:p}, was given back, and no driver has one"),
            &[("given back by", caller)],
        );
        // The system's own stays.
        return before as isize;
    }
    // SAFETY: the driver's reference.
    unsafe { lifetime::dereference(body) };
    before as isize - 1
}

/// `ObfReferenceObjectWithTag`.
unsafe extern "win64" fn reference_object_with_tag(
    body: *mut c_void,
    _tag: u32,
    caller: usize,
) -> isize {
    irql::require("ObfReferenceObjectWithTag", caller);
    // SAFETY: as without a tag.
    unsafe { reference_object(body, caller) }
}

/// `ObfDereferenceObjectWithTag`.
unsafe extern "win64" fn dereference_object_with_tag(
    body: *mut c_void,
    _tag: u32,
    caller: usize,
) -> isize {
    irql::require("ObfDereferenceObjectWithTag", caller);
    // SAFETY: as without a tag.
    unsafe { dereference_object(body, caller) }
}

/// True if `wanted` is null or the type of the object.
///
/// # Safety
/// `body` is a live object, `wanted` null or an address of a type.
unsafe fn is_of_type(body: *const c_void, wanted: *const ObjectType) -> bool {
    // SAFETY: contract of the function.
    wanted.is_null() || std::ptr::eq(wanted, unsafe { get_object_type(body) })
}

/// `ObReferenceObjectByPointer`.
unsafe extern "win64" fn reference_object_by_pointer(
    body: *mut c_void,
    _access: u32,
    wanted: *const ObjectType,
    mode: i8,
    caller: usize,
) -> NTSTATUS {
    irql::require("ObReferenceObjectByPointer", caller);
    if !is_object("ObReferenceObjectByPointer", body, caller) {
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    // A kernel-mode caller is trusted with the type.
    // SAFETY: the driver's object.
    if mode != 0 && !unsafe { is_of_type(body, wanted) } {
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    // SAFETY: the driver's object.
    unsafe { lifetime::reference(body) };
    // SAFETY: as above.
    unsafe { references::taken(body, caller) };
    STATUS_SUCCESS
}

/// `ObReferenceObjectByHandle`.
unsafe extern "win64" fn reference_object_by_handle(
    handle: HANDLE,
    access: u32,
    wanted: *const ObjectType,
    mode: i8,
    body: *mut *mut c_void,
    information: *mut OBJECT_HANDLE_INFORMATION,
    caller: usize,
) -> NTSTATUS {
    irql::require("ObReferenceObjectByHandle", caller);
    check_handle(handle, mode, caller);
    // SAFETY: the driver's pointer.
    unsafe { body.write(null_mut()) };
    let (found, granted) = match handle as isize {
        CURRENT_PROCESS => (thread::current().process(), u32::MAX),
        CURRENT_THREAD => (thread::current().object(), u32::MAX),
        _ => match handle::reference_by_handle(handle) {
            Ok(found) => found,
            Err(status) => return status,
        },
    };
    if matches!(handle as isize, CURRENT_PROCESS | CURRENT_THREAD) {
        // SAFETY: the current thread and its process are alive.
        unsafe { lifetime::reference(found) };
    }
    // SAFETY: referenced above.
    let status = if !unsafe { is_of_type(found, wanted) } {
        STATUS_OBJECT_TYPE_MISMATCH
    } else if mode != 0 && granted & access != access {
        STATUS_ACCESS_DENIED
    } else {
        STATUS_SUCCESS
    };
    if status != STATUS_SUCCESS {
        // SAFETY: referenced above.
        unsafe { lifetime::dereference(found) };
        return status;
    }
    // SAFETY: null or the driver's pointer.
    if let Some(information) = unsafe { information.as_mut() } {
        information.HandleAttributes = 0;
        information.GrantedAccess = granted;
    }
    // SAFETY: the driver's pointer.
    unsafe { body.write(found) };
    // SAFETY: referenced above.
    unsafe { references::taken(found, caller) };
    STATUS_SUCCESS
}

/// Reports a handle of null or of nothing, and one that is used in the mode of the other kind.
fn check_handle(handle: HANDLE, mode: i8, caller: usize) {
    let called = [("called at", caller)];
    if handle.is_null() {
        return violation(
            &rules::NULL_HANDLE,
            "ObReferenceObjectByHandle was called with a handle of null".to_owned(),
            &called,
        );
    }
    let is_pseudo = matches!(handle as isize, CURRENT_PROCESS | CURRENT_THREAD);
    if mode == 0 {
        let (rule, ddi) = (&rules::BAD_HANDLE, "ObReferenceObjectByHandle");
        handles::require(rule, ddi, handle, caller);
    } else if handle::is_kernel_handle(handle) && !is_pseudo && thread::current().is_system() {
        violation(
            &rules::KERNEL_HANDLE_AS_USER,
            format!("the kernel handle {handle:p} was used with UserMode"),
            &called,
        );
    }
    let is_programs =
        !handle::is_kernel_handle(handle) && !is_pseudo && !thread::current().is_system();
    if mode == 0 && is_programs && handle::object_of_handle(handle).is_ok() {
        violation(
            &rules::USER_HANDLE,
            format!("the handle {handle:p} of the program was used in kernel mode"),
            &called,
        );
    }
}

/// `ObReferenceObjectByName` (not documented, but what filters find drivers with).
unsafe extern "win64" fn reference_object_by_name(
    name: *const UNICODE_STRING,
    _attributes: u32,
    _access_state: *mut c_void,
    _access: u32,
    wanted: *const ObjectType,
    _mode: i8,
    _context: *mut c_void,
    body: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("ObReferenceObjectByName", caller);
    // SAFETY: the driver's string.
    let name = unsafe { unicode::to_string(name) };
    let (found, rest) = match namespace::lookup(&name) {
        Ok(found) => found,
        Err(status) => return status,
    };
    // SAFETY: the lookup referenced it.
    if !rest.is_empty() || !unsafe { is_of_type(found, wanted) } {
        // SAFETY: as above.
        unsafe { lifetime::dereference(found) };
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    // SAFETY: the driver's pointer.
    unsafe { body.write(found) };
    // SAFETY: the lookup referenced it.
    unsafe { references::taken(found, caller) };
    STATUS_SUCCESS
}

/// `ObOpenObjectByPointer`.
unsafe extern "win64" fn open_object_by_pointer(
    body: *mut c_void,
    attributes: u32,
    _access_state: *mut c_void,
    access: u32,
    wanted: *const ObjectType,
    _mode: i8,
    handle: *mut HANDLE,
    caller: usize,
) -> NTSTATUS {
    irql::require("ObOpenObjectByPointer", caller);
    // SAFETY: the driver's object.
    if !unsafe { is_of_type(body, wanted) } {
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    references::check_lasting(body, caller);
    // SAFETY: the driver's object.
    let opened =
        unsafe { handle_callbacks::open_handle(body, access, attributes & OBJ_KERNEL_HANDLE != 0) };
    // SAFETY: the driver's pointer.
    unsafe { handle.write(opened) };
    STATUS_SUCCESS
}

/// `ObCloseHandle`.
unsafe extern "win64" fn close_handle(handle: HANDLE, _mode: i8, caller: usize) -> NTSTATUS {
    irql::require("ObCloseHandle", caller);
    let rule = &rules::INVALID_KERNEL_HANDLE;
    handles::require(rule, "ObCloseHandle", handle, caller);
    if handle.is_null() {
        STATUS_INVALID_HANDLE
    } else {
        user::nt_close(handle)
    }
}

/// `ObGetObjectType`.
unsafe extern "win64" fn get_object_type(body: *const c_void) -> *const ObjectType {
    // SAFETY: the driver's object.
    match unsafe { object::kind_of(body) } {
        Some(kind) => object::object_type(kind),
        None => std::ptr::null(),
    }
}

/// `ObQueryNameString`: the structure, then the name with a terminator behind it.
unsafe extern "win64" fn query_name_string(
    body: *mut c_void,
    information: *mut OBJECT_NAME_INFORMATION,
    length: u32,
    returned: *mut u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("ObQueryNameString", caller);
    if let Some(status) = failure::refuses(failure::Kind::Name) {
        return status;
    }
    // SAFETY: the driver's object.
    let name = match unsafe { object::kind_of(body) } {
        // SAFETY: as above, a file object.
        Some(Kind::File) => match unsafe { query_name::of_file(body.cast::<FILE_OBJECT>()) } {
            Ok(name) => name,
            Err(status) => return status,
        },
        // SAFETY: as above.
        _ => unsafe { object::name_of(body) }
            .unwrap_or_default()
            .encode_utf16()
            .collect(),
    };
    let header = size_of::<OBJECT_NAME_INFORMATION>();
    let bytes = size_of_val(name.as_slice());
    let needed = if name.is_empty() {
        header
    } else {
        header + bytes + 2
    };
    // SAFETY: the driver's pointer.
    unsafe { returned.write(needed as u32) };
    if (length as usize) < needed || information.is_null() {
        return STATUS_INFO_LENGTH_MISMATCH;
    }
    let mut string = UNICODE_STRING {
        Length: 0,
        MaximumLength: 0,
        Buffer: null_mut(),
    };
    if !name.is_empty() {
        let text: *mut u16 = information.wrapping_add(1).cast();
        // SAFETY: the buffer has `needed` bytes.
        unsafe { std::ptr::copy_nonoverlapping(name.as_ptr(), text, name.len()) };
        let end = text.wrapping_add(name.len());
        // SAFETY: as above.
        unsafe { end.write(0) };
        string = UNICODE_STRING {
            Length: bytes as u16,
            MaximumLength: bytes as u16 + 2,
            Buffer: text,
        };
    }
    // SAFETY: as above.
    unsafe { information.write(OBJECT_NAME_INFORMATION { Name: string }) };
    STATUS_SUCCESS
}
