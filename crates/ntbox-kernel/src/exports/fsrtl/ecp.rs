//! Extra create parameters: the routines over [`crate::io_manager::ecp`].

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::exports::ex::lookaside::{self, Lookaside};
use crate::io_manager::ecp::{self, Cleanup, List};
use crate::nt::{
    IRP, IRP_MJ_CREATE, IrpExt, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_INVALID_PARAMETER_2, STATUS_INVALID_PARAMETER_3, STATUS_SUCCESS,
};
use crate::pool::Kind;
use crate::processor::irql;
use std::ffi::c_void;
use std::ptr::null_mut;
use windows_sys::core::GUID;

/// `FSRTL_ALLOCATE_ECP_FLAG_NONPAGED_POOL`, `FSRTL_ECP_LOOKASIDE_FLAG_NONPAGED_POOL`.
const NONPAGED: u32 = 2;

/// Writes to where a driver may want to know something.
///
/// # Safety
/// `into` is null or writable.
unsafe fn tell<T>(into: *mut T, value: T) {
    if !into.is_null() {
        // SAFETY: contract.
        unsafe { into.write(value) };
    }
}

/// `FsRtlAllocateExtraCreateParameterList`.
pub unsafe extern "win64" fn allocate_list(
    _flags: u32,
    list: *mut *mut List,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlAllocateExtraCreateParameterList", caller);
    let new = ecp::new_list(caller);
    // SAFETY: the driver's pointer.
    unsafe { list.write(new) };
    if new.is_null() {
        STATUS_INSUFFICIENT_RESOURCES
    } else {
        STATUS_SUCCESS
    }
}

/// `FsRtlFreeExtraCreateParameterList`.
pub unsafe extern "win64" fn free_list(list: *mut List, caller: usize) {
    irql::require("FsRtlFreeExtraCreateParameterList", caller);
    // SAFETY: the driver's list.
    unsafe { ecp::free_list(list, caller) };
}

/// `FsRtlAllocateExtraCreateParameter`.
pub unsafe extern "win64" fn allocate(
    kind: *const GUID,
    bytes: u32,
    flags: u32,
    cleanup: Option<Cleanup>,
    tag: u32,
    parameter: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlAllocateExtraCreateParameter", caller);
    // SAFETY: the driver's pointers.
    unsafe { new(kind, bytes, flags, cleanup, tag, parameter, caller) }
}

/// # Safety
/// `kind` points to an identifier, and `parameter` is writable.
unsafe fn new(
    kind: *const GUID,
    bytes: u32,
    flags: u32,
    cleanup: Option<Cleanup>,
    tag: u32,
    parameter: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    let pool = if flags & NONPAGED != 0 {
        Kind::NonPaged
    } else {
        Kind::Paged
    };
    // SAFETY: contract.
    let kind = unsafe { kind.read() };
    let new = ecp::new_parameter(pool, kind, bytes, cleanup, tag, caller);
    // SAFETY: contract.
    unsafe { parameter.write(new) };
    if new.is_null() {
        STATUS_INSUFFICIENT_RESOURCES
    } else {
        STATUS_SUCCESS
    }
}

/// `FsRtlInitExtraCreateParameterLookasideList`.
pub unsafe extern "win64" fn initialize_lookaside(
    list: *mut Lookaside,
    flags: u32,
    bytes: usize,
    tag: u32,
    caller: usize,
) {
    irql::require("FsRtlInitExtraCreateParameterLookasideList", caller);
    let initialize = if flags & NONPAGED != 0 {
        lookaside::initialize_nonpaged
    } else {
        lookaside::initialize_paged
    };
    // SAFETY: the driver passes the memory of a list.
    unsafe { initialize(list, 0, 0, 0, bytes, tag, 0, caller) };
}

/// `FsRtlAllocateExtraCreateParameterFromLookasideList`. That a block was another parameter's before, nobody sees:
/// each is a new one, and goes back to the pool.
pub unsafe extern "win64" fn allocate_from_lookaside(
    kind: *const GUID,
    bytes: u32,
    _flags: u32,
    cleanup: Option<Cleanup>,
    list: *mut Lookaside,
    parameter: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlAllocateExtraCreateParameterFromLookasideList", caller);
    // SAFETY: the driver passes a list.
    let (tag, is_paged) = unsafe { lookaside::blocks(list) };
    let flags = if is_paged { 0 } else { NONPAGED };
    // SAFETY: the driver's pointers.
    unsafe { new(kind, bytes, flags, cleanup, tag, parameter, caller) }
}

/// `FsRtlDeleteExtraCreateParameterLookasideList`. Parameters stay.
pub unsafe extern "win64" fn delete_lookaside(list: *mut Lookaside, flags: u32, caller: usize) {
    irql::require("FsRtlDeleteExtraCreateParameterLookasideList", caller);
    let delete = if flags & NONPAGED != 0 {
        lookaside::delete_nonpaged
    } else {
        lookaside::delete_paged
    };
    // SAFETY: the driver passes a list.
    unsafe { delete(list, caller) };
}

/// `FsRtlFreeExtraCreateParameter`.
pub unsafe extern "win64" fn free(parameter: *mut c_void, caller: usize) {
    irql::require("FsRtlFreeExtraCreateParameter", caller);
    // SAFETY: the driver's parameter.
    unsafe { ecp::free_parameter(parameter, caller) };
}

/// `FsRtlInsertExtraCreateParameter`.
pub unsafe extern "win64" fn insert(
    list: *mut List,
    parameter: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlInsertExtraCreateParameter", caller);
    // SAFETY: the driver's list and parameter.
    unsafe { ecp::insert(list, parameter) }
}

/// What [`find`] and [`remove`] tell of their result.
///
/// # Safety
/// Both pointers are null or writable.
unsafe fn answer(
    found: Result<(*mut c_void, u32), NTSTATUS>,
    parameter: *mut *mut c_void,
    bytes: *mut u32,
) -> NTSTATUS {
    let (at, size) = found.unwrap_or((null_mut(), 0));
    // SAFETY: contract.
    unsafe { tell(parameter, at) };
    // SAFETY: contract.
    unsafe { tell(bytes, size) };
    found.err().unwrap_or(STATUS_SUCCESS)
}

/// `FsRtlFindExtraCreateParameter`.
pub unsafe extern "win64" fn find(
    list: *mut List,
    kind: *const GUID,
    parameter: *mut *mut c_void,
    bytes: *mut u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlFindExtraCreateParameter", caller);
    // SAFETY: the driver's identifier.
    let kind = unsafe { &*kind };
    // SAFETY: the driver's list.
    let found = unsafe { ecp::find(list, kind) };
    // SAFETY: the driver's pointers.
    unsafe { answer(found, parameter, bytes) }
}

/// `FsRtlRemoveExtraCreateParameter`.
pub unsafe extern "win64" fn remove(
    list: *mut List,
    kind: *const GUID,
    parameter: *mut *mut c_void,
    bytes: *mut u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlRemoveExtraCreateParameter", caller);
    // SAFETY: the driver's identifier.
    let kind = unsafe { &*kind };
    // SAFETY: the driver's list.
    let found = unsafe { ecp::remove(list, kind) };
    // SAFETY: the driver's pointers.
    unsafe { answer(found, parameter, bytes) }
}

/// `FsRtlGetNextExtraCreateParameter`.
pub unsafe extern "win64" fn next(
    list: *mut List,
    current: *mut c_void,
    kind: *mut GUID,
    parameter: *mut *mut c_void,
    bytes: *mut u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlGetNextExtraCreateParameter", caller);
    if list.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: the driver's list and parameter.
    let found = unsafe { ecp::next(list, current) };
    if let Ok((_, found, _)) = found {
        // SAFETY: the driver's pointer.
        unsafe { tell(kind, found) };
    }
    // SAFETY: the driver's pointers.
    unsafe { answer(found.map(|(at, _, size)| (at, size)), parameter, bytes) }
}

/// # Safety
/// `irp` is the driver's request.
unsafe fn is_create(irp: *mut IRP) -> bool {
    // SAFETY: contract.
    let location = unsafe { irp.current_location() };
    // SAFETY: the driver's own location.
    u32::from(unsafe { (*location).MajorFunction }) == IRP_MJ_CREATE
}

/// `FsRtlGetEcpListFromIrp`: null if there is none.
pub unsafe extern "win64" fn get_from_irp(
    irp: *mut IRP,
    list: *mut *mut List,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlGetEcpListFromIrp", caller);
    // SAFETY: the driver's request.
    if !unsafe { is_create(irp) } {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: the driver's pointer.
    unsafe { list.write(ecp::of_create(irp)) };
    STATUS_SUCCESS
}

/// `FsRtlSetEcpListIntoIrp`: the list is the create's from here on.
pub unsafe extern "win64" fn set_into_irp(
    irp: *mut IRP,
    list: *mut List,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlSetEcpListIntoIrp", caller);
    // SAFETY: the driver's request.
    if !unsafe { is_create(irp) } {
        return STATUS_INVALID_PARAMETER_2;
    }
    if ecp::give_to_create(irp, list) {
        STATUS_SUCCESS
    } else {
        STATUS_INVALID_PARAMETER_3
    }
}

/// `FsRtlAcknowledgeEcp`.
pub unsafe extern "win64" fn acknowledge(parameter: *mut c_void, caller: usize) {
    irql::require("FsRtlAcknowledgeEcp", caller);
    // SAFETY: the driver's parameter.
    unsafe { ecp::acknowledge(parameter) };
}

/// `FsRtlIsEcpAcknowledged`.
pub unsafe extern "win64" fn is_acknowledged(parameter: *mut c_void, caller: usize) -> u8 {
    irql::require("FsRtlIsEcpAcknowledged", caller);
    // SAFETY: the driver's parameter.
    u8::from(unsafe { ecp::is_acknowledged(parameter) })
}

/// `FsRtlIsEcpFromUserMode`: programs pass none.
pub unsafe extern "win64" fn is_from_user_mode(_parameter: *mut c_void, caller: usize) -> u8 {
    irql::require("FsRtlIsEcpFromUserMode", caller);
    0
}

#[cfg(test)]
#[path = "ecp_tests.rs"]
mod tests;
