//! Windows hosts.

#![expect(unsafe_code, reason = "system calls")]

use super::memory::Protection;
use std::arch::naked_asm;
use std::ffi::c_void;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::Console::{
    GetConsoleMode, GetStdHandle, STD_ERROR_HANDLE, STD_OUTPUT_HANDLE, WriteConsoleW,
};
use windows_sys::Win32::System::Memory as api;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThreadId, GetCurrentThreadStackLimits, TerminateProcess,
};

/// Pages of a reservation need no mappings of their own on Windows.
pub(super) fn mapping_limit() -> usize {
    usize::MAX
}

pub(super) fn thread_id() -> u32 {
    // SAFETY: no arguments, no side effects.
    unsafe { GetCurrentThreadId() }
}

pub(super) fn stack() -> std::ops::Range<usize> {
    let (mut low, mut high) = (0, 0);
    // SAFETY: both point to variables of this function.
    unsafe { GetCurrentThreadStackLimits(&raw mut low, &raw mut high) };
    low..high
}

pub(super) fn resident() -> Option<usize> {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let bytes = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    // SAFETY: a pseudo handle, which is always valid, here and below.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: room of the length that is given.
    let told = unsafe { K32GetProcessMemoryInfo(process, &raw mut counters, bytes) } != 0;
    told.then_some(counters.WorkingSetSize)
}

pub(super) fn reserve(bytes: usize) -> Option<usize> {
    // SAFETY: new address space at an address of the system's choice.
    let address = unsafe {
        api::VirtualAlloc(
            std::ptr::null(),
            bytes,
            api::MEM_RESERVE,
            api::PAGE_NOACCESS,
        )
    };
    (!address.is_null()).then_some(address as usize)
}

pub(super) unsafe fn protect(address: usize, bytes: usize, protection: Protection) -> bool {
    let bits = match protection {
        Protection::None => api::PAGE_NOACCESS,
        Protection::Read => api::PAGE_READONLY,
        Protection::ReadWrite => api::PAGE_READWRITE,
        Protection::ReadExecute => api::PAGE_EXECUTE_READ,
        Protection::ReadWriteExecute => api::PAGE_EXECUTE_READWRITE,
    };
    let pages = address as *const c_void;
    // Pages that are committed may be committed again. What becomes of their protection then is not
    // said, so it is set once more.
    // SAFETY: the caller owns the pages.
    if unsafe { api::VirtualAlloc(pages, bytes, api::MEM_COMMIT, bits) }.is_null() {
        return false;
    }
    let mut before = 0;
    // SAFETY: as above; they are committed.
    unsafe { api::VirtualProtect(pages, bytes, bits, &raw mut before) != 0 }
}

pub(super) unsafe fn discard(address: usize, bytes: usize) -> bool {
    // SAFETY: the caller owns the pages; they stay reserved.
    unsafe { api::VirtualFree(address as *mut c_void, bytes, api::MEM_DECOMMIT) != 0 }
}

pub(super) unsafe fn mark(_address: usize, _bytes: usize) -> bool {
    false
}

pub(super) unsafe fn unmark(_address: usize, _bytes: usize) -> bool {
    false
}

pub(super) unsafe fn release(address: usize, _bytes: usize) {
    // SAFETY: the caller owns the reservation.
    unsafe { api::VirtualFree(address as *mut c_void, 0, api::MEM_RELEASE) };
}

pub(super) fn try_read(address: usize, into: &mut [u8]) -> bool {
    // SAFETY: the destination is the slice; a fault of the source ends the copy.
    is_readable(address, into.len())
        && unsafe { copy(into.as_mut_ptr(), address, 0, into.len()) } == 0
}

/// Copies, and returns how many bytes are left; where `tell` is not 0, returns the address of the instruction that copies
/// instead. Another thread may take the source away meanwhile: a fault at that instruction goes on behind it, which the
/// handler for exceptions sees to. `ReadProcessMemory` does the same in a system call, which Wine hands to another process.
///
/// # Safety
/// `to` has room for the bytes.
#[unsafe(naked)]
unsafe extern "sysv64" fn copy(to: *mut u8, from: usize, tell: usize, bytes: usize) -> usize {
    naked_asm!(
        "test rdx, rdx",
        "jnz 3f",
        "2: rep movsb",
        "mov rax, rcx",
        "ret",
        "3: lea rax, [rip + 2b]",
        "ret",
    )
}

/// Where a thread goes on that has faulted at `instruction`; `None` if that is not [`try_read`]'s.
pub(crate) fn goes_on_at(instruction: usize) -> Option<usize> {
    const REP_MOVSB: usize = 2;
    // SAFETY: nothing is copied.
    let copies = unsafe { copy(std::ptr::null_mut(), 0, 1, 0) };
    (instruction == copies).then_some(copies + REP_MOVSB)
}

/// Asks before it reads: an access would use up the guard page of a stack.
fn is_readable(address: usize, bytes: usize) -> bool {
    const NOT_READABLE: u32 = api::PAGE_NOACCESS | api::PAGE_EXECUTE | api::PAGE_GUARD;
    let Some(end) = address.checked_add(bytes) else {
        return false;
    };
    let mut at = address;
    while at < end {
        let mut region = api::MEMORY_BASIC_INFORMATION::default();
        let length = size_of_val(&region);
        // SAFETY: room of the length that is given.
        if unsafe { api::VirtualQuery(at as *const c_void, &raw mut region, length) } == 0
            || region.State != api::MEM_COMMIT
            || region.Protect & NOT_READABLE != 0
        {
            return false;
        }
        at = region.BaseAddress as usize + region.RegionSize;
    }
    true
}

pub(super) fn write_raw(to_standard_output: bool, text: &str) {
    let which = if to_standard_output {
        STD_OUTPUT_HANDLE
    } else {
        STD_ERROR_HANDLE
    };
    // SAFETY: a handle of the process, or none.
    let handle = unsafe { GetStdHandle(which) };
    let mut mode = 0;
    // SAFETY: room for the answer.
    if unsafe { GetConsoleMode(handle, &raw mut mode) } != 0 {
        write_to_console(handle, text);
    } else {
        write_to_file(handle, text.as_bytes());
    }
}

/// A console shows UTF-16, whatever its code page is.
fn write_to_console(handle: HANDLE, text: &str) {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut rest = &units[..];
    while !rest.is_empty() {
        // Consoles of old take no more than 64 KiB at a time.
        let count = rest.len().min(8192) as u32;
        let mut written = 0;
        // SAFETY: that many units are readable.
        let done = unsafe {
            WriteConsoleW(
                handle,
                rest.as_ptr(),
                count,
                &raw mut written,
                std::ptr::null(),
            )
        };
        if done == 0 || written == 0 {
            return;
        }
        rest = rest.get(written as usize..).unwrap_or_default();
    }
}

fn write_to_file(handle: HANDLE, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut written = 0;
        // SAFETY: that many bytes are readable.
        let done = unsafe {
            WriteFile(
                handle,
                bytes.as_ptr(),
                count,
                &raw mut written,
                std::ptr::null_mut(),
            )
        };
        if done == 0 || written == 0 {
            return;
        }
        bytes = bytes.get(written as usize..).unwrap_or_default();
    }
}

pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: a pseudo handle, which is always valid.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: ends this process.
    unsafe { TerminateProcess(process, code as u32) };
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_goes_away_ends_the_copy() {
        crate::processor::fault::prepare_thread();
        let page = super::super::PAGE;
        let base = reserve(2 * page).expect("address space");
        // SAFETY: pages of the reservation above, which nothing refers to.
        assert!(unsafe { protect(base, page, Protection::Read) });
        let mut bytes = [1; 8];
        for (left, readable) in [(0, 8), (5, 3), (8, 0)] {
            let from = base + page - readable;
            // SAFETY: the array has room; the second page is no more than reserved.
            assert_eq!(unsafe { copy(bytes.as_mut_ptr(), from, 0, 8) }, left);
        }
        // SAFETY: the reservation ends here.
        unsafe { release(base, 2 * page) };
    }
}
