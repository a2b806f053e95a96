//! Processes by handle.
//!
//! Source: `ZwOpenProcess` in the DDI reference, `NtQueryInformationProcess` in the SDK.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

use super::rights::{self, Rights};
use super::{Attributes, Buffer, service};
use crate::exports::ps::{self, ClientId};
use crate::nt::{
    HANDLE, NTSTATUS, OBJECT_ATTRIBUTES, STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_CID,
    STATUS_INVALID_INFO_CLASS, STATUS_INVALID_PARAMETER_MIX, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_PENDING, STATUS_SUCCESS, UNICODE_STRING,
};
use crate::processor::process::{self, Process};
use crate::processor::{handle, handle_callbacks, thread};
use std::ffi::c_void;

/// Rights of processes.
const PROCESS: Rights = Rights {
    read: 0x2_0410,
    write: 0x2_0BEA,
    execute: 0x12_1001,
    all: 0x1F_FFFF,
};
/// `PROCESS_QUERY_INFORMATION`.
pub(super) const QUERY_INFORMATION: u32 = 0x400;
/// `PROCESS_QUERY_LIMITED_INFORMATION`, which is part of the former.
pub(super) const QUERY_LIMITED_INFORMATION: u32 = 0x1000;
/// `NtCurrentProcess()`.
const CURRENT: isize = -1;

/// `PROCESSINFOCLASS`.
mod class {
    pub const BASIC: i32 = 0;
    pub const SESSION: i32 = 24;
    pub const WOW64: i32 = 26;
    pub const IMAGE_FILE_NAME: i32 = 27;
}

/// `PROCESS_BASIC_INFORMATION`.
#[repr(C)]
struct Basic {
    exit_status: NTSTATUS,
    environment: *const c_void,
    affinity: usize,
    priority: i32,
    id: usize,
    parent: usize,
}

/// Priority of a process of the normal class.
const NORMAL_PRIORITY: i32 = 8;

/// The process behind a handle that was granted `access`.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`, `STATUS_OBJECT_TYPE_MISMATCH`, `STATUS_ACCESS_DENIED`.
pub(super) fn by_handle(handle: HANDLE, access: u32) -> Result<&'static Process, NTSTATUS> {
    if handle as isize == CURRENT {
        let current = ps::current_process();
        return Ok(process::from_object(current).unwrap_or_else(|| thread::current().owner()));
    }
    let object = handle::object_of_handle(handle)?;
    let process = process::from_object(object).ok_or(STATUS_OBJECT_TYPE_MISMATCH)?;
    let granted = handle::access_of_handle(handle)?;
    let limited = if granted & QUERY_INFORMATION != 0 {
        QUERY_LIMITED_INFORMATION
    } else {
        0
    };
    rights::has(granted | limited, access)?;
    Ok(process)
}

/// `ZwOpenProcess`.
pub(super) unsafe extern "win64" fn open(
    opened: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    client: *const ClientId,
    caller: usize,
) -> NTSTATUS {
    service("ZwOpenProcess", caller, || {
        // SAFETY: the driver's attributes.
        let attributes = unsafe { Attributes::read(attributes) }?;
        if client.is_null() || !attributes.name.is_empty() {
            return Err(STATUS_INVALID_PARAMETER_MIX);
        }
        // SAFETY: the driver's client id.
        let client = unsafe { client.read() };
        let process = if client.thread.is_null() {
            ps::process_of_id(client.process)
        } else {
            ps::thread_of_id(client.thread).map(|thread| thread.owner())
        };
        let process = process.ok_or(STATUS_INVALID_CID)?;
        let (granted, kernel) = (PROCESS.granted(access), attributes.is_kernel_handle());
        // SAFETY: process objects live as long as the box.
        let value = unsafe { handle_callbacks::open_handle(process.object(), granted, kernel) };
        // SAFETY: the driver's pointer.
        unsafe { opened.write(value) };
        Ok(STATUS_SUCCESS)
    })
}

/// `ZwQueryInformationProcess`. No process has an environment block, and none runs under WOW64.
pub(super) unsafe extern "win64" fn query(
    handle: HANDLE,
    class: i32,
    information: *mut c_void,
    length: u32,
    returned: *mut u32,
    caller: usize,
) -> NTSTATUS {
    service("ZwQueryInformationProcess", caller, || {
        // SAFETY: the driver's buffer and its length.
        let mut buffer = unsafe { Buffer::new(information, length, returned) };
        let process = by_handle(handle, QUERY_LIMITED_INFORMATION)?;
        match class {
            class::BASIC => buffer.put_exactly(Basic {
                exit_status: STATUS_PENDING,
                environment: std::ptr::null(),
                affinity: usize::MAX,
                priority: NORMAL_PRIORITY,
                id: process.id() as usize,
                parent: 0,
            }),
            class::SESSION => buffer.put_exactly(process.session()),
            class::WOW64 => buffer.put_exactly(0_usize),
            class::IMAGE_FILE_NAME => put_name(&mut buffer, process),
            _ => Err(STATUS_INVALID_INFO_CLASS),
        }
    })
}

/// A string with its text behind it.
fn put_name(buffer: &mut Buffer, process: &Process) -> Result<NTSTATUS, NTSTATUS> {
    let text: Vec<u16> = process.image_path().encode_utf16().collect();
    let header = size_of::<UNICODE_STRING>();
    let bytes = size_of_val(text.as_slice());
    let all = header + if bytes == 0 { 0 } else { bytes + 2 };
    let start = buffer.room(all, STATUS_INFO_LENGTH_MISMATCH)?;
    let behind: *mut u16 = start.wrapping_byte_add(header).cast();
    let string = UNICODE_STRING {
        Length: bytes as u16,
        MaximumLength: (all - header) as u16,
        Buffer: if bytes == 0 {
            std::ptr::null_mut()
        } else {
            behind
        },
    };
    // SAFETY: there is room for a string at the start.
    unsafe { start.cast::<UNICODE_STRING>().write_unaligned(string) };
    for (index, unit) in text
        .iter()
        .copied()
        .chain((bytes != 0).then_some(0))
        .enumerate()
    {
        // SAFETY: there is room for the text and its terminator behind it.
        unsafe { behind.wrapping_add(index).write_unaligned(unit) };
    }
    Ok(STATUS_SUCCESS)
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
