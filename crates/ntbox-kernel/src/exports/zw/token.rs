//! Tokens by handle.
//!
//! Source: `ZwOpenProcessTokenEx`, `ZwOpenThreadTokenEx`, `ZwQueryInformationToken` in the DDI reference.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]
#![expect(
    non_upper_case_globals,
    reason = "information classes keep the DDI's names"
)]

use super::rights::{self, Rights};
use super::{Buffer, KERNEL_HANDLE, process, service};
use crate::exports::se::sid::Sid;
use crate::exports::se::token;
use crate::nt::{
    HANDLE, NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_INFO_CLASS, STATUS_NO_TOKEN,
    STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS,
};
use crate::processor::handle;
use crate::processor::object::{self, Kind};
use crate::processor::thread::{self, Token};
use std::ffi::c_void;
use windows_sys::Win32::Security::{
    TokenGroups, TokenOwner, TokenPrimary, TokenSessionId, TokenType, TokenUser,
};

/// Rights of tokens.
const TOKEN: Rights = Rights {
    read: 0x2_0008,
    write: 0x2_00E0,
    execute: 0x2_0000,
    all: 0xF_01FF,
};
/// `TOKEN_QUERY`.
const QUERY: u32 = 0x8;
/// `THREAD_QUERY_INFORMATION`.
const THREAD_QUERY_INFORMATION: u32 = 0x40;
/// `NtCurrentThread()`.
const CURRENT_THREAD: isize = -2;

/// The part of opening that both routines for processes have.
unsafe fn open_of_process(
    process: HANDLE,
    access: u32,
    attributes: u32,
    opened: *mut HANDLE,
) -> Result<NTSTATUS, NTSTATUS> {
    let process = process::by_handle(process, process::QUERY_LIMITED_INFORMATION)?;
    let token = token::of_process(process.object());
    // SAFETY: contract.
    unsafe { open_token(token, access, attributes, opened) }
}

/// A handle of a token.
///
/// # Safety
/// `opened` is the driver's.
unsafe fn open_token(
    token: Token,
    access: u32,
    attributes: u32,
    opened: *mut HANDLE,
) -> Result<NTSTATUS, NTSTATUS> {
    let kernel = attributes & KERNEL_HANDLE != 0;
    // SAFETY: token objects live as long as the box.
    let value =
        unsafe { handle::open_handle(token::object_of(token), TOKEN.granted(access), kernel) };
    // SAFETY: the driver's pointer.
    unsafe { opened.write(value) };
    Ok(STATUS_SUCCESS)
}

/// `ZwOpenProcessToken`.
pub(super) unsafe extern "win64" fn open_process(
    process: HANDLE,
    access: u32,
    opened: *mut HANDLE,
    caller: usize,
) -> NTSTATUS {
    service("ZwOpenProcessToken", caller, || {
        // SAFETY: the driver's pointer.
        unsafe { open_of_process(process, access, 0, opened) }
    })
}

/// `ZwOpenProcessTokenEx`.
pub(super) unsafe extern "win64" fn open_process_ex(
    process: HANDLE,
    access: u32,
    attributes: u32,
    opened: *mut HANDLE,
    caller: usize,
) -> NTSTATUS {
    service("ZwOpenProcessTokenEx", caller, || {
        // SAFETY: the driver's pointer.
        unsafe { open_of_process(process, access, attributes, opened) }
    })
}

/// Opens the token of the client that a thread impersonates.
///
/// # Safety
/// `opened` is the driver's.
unsafe fn open_of_thread(
    thread: HANDLE,
    access: u32,
    attributes: u32,
    opened: *mut HANDLE,
) -> Result<NTSTATUS, NTSTATUS> {
    let client = if thread as isize == CURRENT_THREAD {
        thread::current()
    } else {
        let object = handle::object_of_handle(thread)?;
        rights::has(handle::access_of_handle(thread)?, THREAD_QUERY_INFORMATION)?;
        thread::from_object(object).ok_or(STATUS_OBJECT_TYPE_MISMATCH)?
    };
    let token = client.impersonated().ok_or(STATUS_NO_TOKEN)?;
    // SAFETY: contract.
    unsafe { open_token(token, access, attributes, opened) }
}

/// `ZwOpenThreadToken`.
pub(super) unsafe extern "win64" fn open_thread(
    thread: HANDLE,
    access: u32,
    _as_self: u8,
    opened: *mut HANDLE,
    caller: usize,
) -> NTSTATUS {
    service("ZwOpenThreadToken", caller, || {
        // SAFETY: the driver's pointer.
        unsafe { open_of_thread(thread, access, 0, opened) }
    })
}

/// `ZwOpenThreadTokenEx`.
pub(super) unsafe extern "win64" fn open_thread_ex(
    thread: HANDLE,
    access: u32,
    _as_self: u8,
    attributes: u32,
    opened: *mut HANDLE,
    caller: usize,
) -> NTSTATUS {
    service("ZwOpenThreadTokenEx", caller, || {
        // SAFETY: the driver's pointer.
        unsafe { open_of_thread(thread, access, attributes, opened) }
    })
}

/// `ZwQueryInformationToken`: what refers to identifiers has them behind it, in the same buffer.
pub(super) unsafe extern "win64" fn query(
    handle: HANDLE,
    class: i32,
    information: *mut c_void,
    length: u32,
    returned: *mut u32,
    caller: usize,
) -> NTSTATUS {
    service("ZwQueryInformationToken", caller, || {
        let object = handle::object_of_handle(handle)?;
        // SAFETY: the handle keeps the object.
        if unsafe { object::kind_of(object) } != Some(Kind::Token) {
            return Err(STATUS_OBJECT_TYPE_MISMATCH);
        }
        rights::has(handle::access_of_handle(handle)?, QUERY)?;
        // SAFETY: the driver's buffer and its length.
        let mut buffer = unsafe { Buffer::new(information, length, returned) };
        let token = token::of_object(object);
        let (user, groups) = token::identifiers(token);
        // By their offsets and sizes: a pointer to an identifier, or one with attributes.
        match class {
            TokenUser => put(&mut buffer, &[], &[user], Some(0)),
            TokenOwner => put(&mut buffer, &[], &[user], None),
            TokenGroups => {
                let count = (groups.len() as u64).to_le_bytes();
                put(&mut buffer, &count, &groups, Some(token::ENABLED))
            }
            TokenType => put(&mut buffer, &TokenPrimary.to_le_bytes(), &[], None),
            TokenSessionId => put(&mut buffer, &token::session(token).to_le_bytes(), &[], None),
            _ => Err(STATUS_INVALID_INFO_CLASS),
        }
    })
}

/// Writes a header, an entry for each identifier (its address in the buffer, and its attributes where entries have
/// some), and the identifiers.
fn put(
    buffer: &mut Buffer,
    header: &[u8],
    identifiers: &[&'static Sid],
    attributes: Option<u32>,
) -> Result<NTSTATUS, NTSTATUS> {
    let entry = if attributes.is_some() { 16 } else { 8 };
    let mut behind = header.len() + entry * identifiers.len();
    let texts: Vec<&[u8]> = identifiers.iter().map(|sid| sid.bytes()).collect();
    let all = behind + texts.iter().map(|text| text.len()).sum::<usize>();
    let start = buffer.room(all, STATUS_BUFFER_TOO_SMALL)?;
    let mut bytes = header.to_vec();
    for text in &texts {
        bytes.extend((start.addr() + behind).to_le_bytes());
        if let Some(attributes) = attributes {
            bytes.extend(u64::from(attributes).to_le_bytes());
        }
        behind += text.len();
    }
    bytes.extend(texts.concat());
    // SAFETY: the buffer has room for all.
    unsafe {
        start
            .cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), all)
    };
    Ok(STATUS_SUCCESS)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
