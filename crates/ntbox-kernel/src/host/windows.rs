//! Windows hosts.

#![expect(unsafe_code, reason = "system calls")]

use super::memory::Protection;
use std::ffi::c_void;
use std::io::Write;

const MEM_COMMIT: u32 = 0x1000;
const MEM_RESERVE: u32 = 0x2000;
const MEM_DECOMMIT: u32 = 0x4000;
const MEM_RELEASE: u32 = 0x8000;
const PAGE_NOACCESS: u32 = 0x01;
const PAGE_READONLY: u32 = 0x02;
const PAGE_READWRITE: u32 = 0x04;
const PAGE_EXECUTE_READ: u32 = 0x20;
const PAGE_EXECUTE_READWRITE: u32 = 0x40;

#[link(name = "kernel32")]
unsafe extern "system" {
    fn VirtualAlloc(address: *mut c_void, bytes: usize, kind: u32, protection: u32) -> *mut c_void;
    fn VirtualFree(address: *mut c_void, bytes: usize, kind: u32) -> i32;
    fn GetCurrentProcess() -> *mut c_void;
    fn ReadProcessMemory(
        process: *mut c_void,
        from: *const c_void,
        into: *mut c_void,
        bytes: usize,
        read: *mut usize,
    ) -> i32;
    fn TerminateProcess(process: *mut c_void, code: u32) -> i32;
}

/// Pages of a reservation need no mappings of their own on Windows.
pub(super) fn mapping_limit() -> usize {
    usize::MAX
}

pub(super) fn resident() -> Option<usize> {
    None
}

pub(super) fn reserve(bytes: usize) -> Option<usize> {
    // SAFETY: new address space at an address of the system's choice.
    let address = unsafe { VirtualAlloc(std::ptr::null_mut(), bytes, MEM_RESERVE, PAGE_NOACCESS) };
    (!address.is_null()).then_some(address as usize)
}

pub(super) unsafe fn protect(address: usize, bytes: usize, protection: Protection) -> bool {
    let bits = match protection {
        Protection::None => PAGE_NOACCESS,
        Protection::Read => PAGE_READONLY,
        Protection::ReadWrite => PAGE_READWRITE,
        Protection::ReadExecute => PAGE_EXECUTE_READ,
        Protection::ReadWriteExecute => PAGE_EXECUTE_READWRITE,
    };
    // Committing pages that are committed changes their protection alone.
    // SAFETY: the caller owns the pages.
    unsafe { !VirtualAlloc(address as *mut c_void, bytes, MEM_COMMIT, bits).is_null() }
}

pub(super) unsafe fn discard(address: usize, bytes: usize) -> bool {
    // SAFETY: the caller owns the pages; they stay reserved.
    unsafe { VirtualFree(address as *mut c_void, bytes, MEM_DECOMMIT) != 0 }
}

pub(super) unsafe fn mark(_address: usize, _bytes: usize) -> bool {
    false
}

pub(super) unsafe fn unmark(_address: usize, _bytes: usize) -> bool {
    false
}

pub(super) unsafe fn release(address: usize, _bytes: usize) {
    // SAFETY: the caller owns the reservation.
    unsafe { VirtualFree(address as *mut c_void, 0, MEM_RELEASE) };
}

pub(super) fn try_read(address: usize, into: &mut [u8]) -> bool {
    let mut read = 0;
    // SAFETY: a pseudo handle, which is always valid.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the source is checked by the system, the destination is the slice.
    let done = unsafe {
        ReadProcessMemory(
            process,
            address as *const c_void,
            into.as_mut_ptr().cast(),
            into.len(),
            &mut read,
        )
    };
    done != 0 && read == into.len()
}

pub(super) fn write_raw(to_standard_output: bool, bytes: &[u8]) {
    if to_standard_output {
        let _ = std::io::stdout().write_all(bytes);
        let _ = std::io::stdout().flush();
    } else {
        let _ = std::io::stderr().write_all(bytes);
    }
}

pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: a pseudo handle, which is always valid.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: ends this process.
    unsafe { TerminateProcess(process, code as u32) };
    std::process::abort()
}
