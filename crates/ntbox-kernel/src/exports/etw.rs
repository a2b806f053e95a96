//! `Etw`: providing events. Left out: activity ids, EtwWriteString.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::etw::{self, EnableCallback, Information};
use crate::io_manager::checks;
use crate::nt::{
    NTSTATUS, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER,
    STATUS_NO_MEMORY, STATUS_SUCCESS,
};
use crate::pool::failure;
use crate::processor::irql;
use crate::verifier::rules;
use std::ffi::c_void;
use windows_sys::core::GUID;

super::table! {
    caller(4) "EtwRegister" => register,
    caller(1) "EtwUnregister" => unregister,
    caller(4) "EtwSetInformation" => set_information,
    "EtwWriteTransfer" => write_transfer,
    "EtwWrite" => write,
}

/// EVENT_DESCRIPTOR.
#[repr(C)]
struct Descriptor {
    id: u16,
    version: u8,
    channel: u8,
    level: u8,
    opcode: u8,
    task: u16,
    keyword: u64,
}

/// EVENT_DATA_DESCRIPTOR.
#[repr(C)]
struct Data {
    pointer: u64,
    size: u32,
    kind: u32,
}

/// `EtwRegister`.
unsafe extern "win64" fn register(
    id: *const GUID,
    callback: Option<EnableCallback>,
    context: *mut c_void,
    handle: *mut u64,
    caller: usize,
) -> NTSTATUS {
    irql::require("EtwRegister", caller);
    // SAFETY: the driver passes an id and a place for the handle, or null.
    let (Some(id), Some(handle)) = (unsafe { id.as_ref() }, unsafe { handle.as_mut() }) else {
        return STATUS_INVALID_PARAMETER;
    };
    // The registration is memory that is the driver's.
    if failure::should_fail(caller) {
        return STATUS_NO_MEMORY;
    }
    *handle = etw::register(
        etw::id_of(id),
        callback,
        context.expose_provenance(),
        caller,
    );
    STATUS_SUCCESS
}

/// `EtwUnregister`.
unsafe extern "win64" fn unregister(handle: u64, caller: usize) -> NTSTATUS {
    irql::require("EtwUnregister", caller);
    if etw::unregister(handle) {
        return STATUS_SUCCESS;
    }
    checks::report(
        &rules::ETW_HANDLE,
        format!("EtwUnregister was called with {handle:#x}, which is no registration"),
        std::ptr::null_mut(),
        vec![("called by", caller)],
    );
    STATUS_INVALID_HANDLE
}

/// `EtwSetInformation`.
unsafe extern "win64" fn set_information(
    handle: u64,
    class: i32,
    information: *const u8,
    length: u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("EtwSetInformation", caller);
    let bytes = match (information.is_null(), length) {
        (_, 0) => &[],
        (true, _) => return STATUS_INVALID_PARAMETER,
        // SAFETY: the driver passes that many bytes.
        (false, length) => unsafe { std::slice::from_raw_parts(information, length as usize) },
    };
    let information = match (class, bytes) {
        (0, []) => Information::BinaryTrackInfo,
        (2, traits) => Information::Traits(traits),
        (3, [typed]) => Information::UseDescriptorType(*typed != 0),
        (0 | 3, _) => return STATUS_INVALID_PARAMETER,
        _ => return STATUS_INVALID_DEVICE_REQUEST,
    };
    // Traits are kept.
    if matches!(information, Information::Traits(_)) && failure::should_fail(caller) {
        return STATUS_NO_MEMORY;
    }
    etw::set_information(handle, &information)
}

/// `EtwWriteTransfer`.
unsafe extern "win64" fn write_transfer(
    handle: u64,
    descriptor: *const Descriptor,
    _activity: *const GUID,
    _related: *const GUID,
    count: u32,
    data: *const Data,
) -> NTSTATUS {
    // SAFETY: the driver passes a descriptor and `count` data descriptors.
    unsafe { give(handle, descriptor, count, data) }
}

/// `EtwWrite`.
unsafe extern "win64" fn write(
    handle: u64,
    descriptor: *const Descriptor,
    _activity: *const GUID,
    count: u32,
    data: *const Data,
) -> NTSTATUS {
    // SAFETY: the driver passes a descriptor and `count` data descriptors.
    unsafe { give(handle, descriptor, count, data) }
}

/// # Safety
/// `descriptor` is one or null; `data` points to `count` of them, whose pointers are readable.
unsafe fn give(
    handle: u64,
    descriptor: *const Descriptor,
    count: u32,
    data: *const Data,
) -> NTSTATUS {
    // SAFETY: contract.
    let Some(event) = (unsafe { descriptor.as_ref() }) else {
        return STATUS_INVALID_PARAMETER;
    };
    let bytes = |data: &Data, typed: bool| {
        let kind = if typed { data.kind } else { 0 };
        if data.size == 0 {
            return (kind, Vec::new());
        }
        let first = std::ptr::with_exposed_provenance::<u8>(data.pointer as usize);
        // SAFETY: contract.
        let bytes = unsafe { std::slice::from_raw_parts(first, data.size as usize) };
        (kind, bytes.to_vec())
    };
    let all = |typed| {
        if count == 0 {
            return Vec::new();
        }
        // SAFETY: contract.
        let data = unsafe { std::slice::from_raw_parts(data, count as usize) };
        data.iter().map(|data| bytes(data, typed)).collect()
    };
    if etw::write(handle, (event.channel, event.level, event.keyword), all) {
        STATUS_SUCCESS
    } else {
        STATUS_INVALID_HANDLE
    }
}
