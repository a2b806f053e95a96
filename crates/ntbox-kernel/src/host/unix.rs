//! Linux and other Unix hosts.

#![expect(unsafe_code, reason = "system calls")]

use super::memory::Protection;
use std::ffi::c_void;

/// The kernel's documented default where it cannot be asked.
const DEFAULT_MAX_MAP_COUNT: usize = 65_530;

pub(super) fn mapping_limit() -> usize {
    let setting = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    setting
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT_MAX_MAP_COUNT)
}

pub(super) fn thread_id() -> u32 {
    #[cfg(target_os = "linux")]
    // SAFETY: no arguments, no side effects.
    let id = unsafe { libc::gettid() } as u32;
    // Nobody asks for threads by it.
    #[cfg(not(target_os = "linux"))]
    let id = 0;
    id
}

pub(super) fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * super::PAGE)
}

pub(super) fn reserve(bytes: usize) -> Option<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the system's choice.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    (address != libc::MAP_FAILED).then_some(address as usize)
}

pub(super) unsafe fn protect(address: usize, bytes: usize, protection: Protection) -> bool {
    let bits = match protection {
        Protection::None => libc::PROT_NONE,
        Protection::Read => libc::PROT_READ,
        Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        Protection::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        Protection::ReadWriteExecute => libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
    };
    // SAFETY: the caller owns the pages.
    unsafe { libc::mprotect(address as *mut c_void, bytes, bits) == 0 }
}

pub(super) unsafe fn discard(address: usize, bytes: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    // A new mapping over the old one frees the pages and makes them inaccessible
    // in one step, and merges with the reservation around it: no mapping is left
    // that counts against vm.max_map_count.
    // SAFETY: the caller owns the pages, and the kernel replaces them atomically.
    let new = unsafe { libc::mmap(address as *mut c_void, bytes, libc::PROT_NONE, flags, -1, 0) };
    new != libc::MAP_FAILED
}

/// `MADV_GUARD_INSTALL` and `MADV_GUARD_REMOVE` of Linux 6.13; other kernels refuse them.
const MADV_GUARD_INSTALL: i32 = 102;
const MADV_GUARD_REMOVE: i32 = 103;

pub(super) unsafe fn mark(address: usize, bytes: usize) -> bool {
    // SAFETY: the caller owns the pages.
    cfg!(target_os = "linux")
        && unsafe { libc::madvise(address as *mut c_void, bytes, MADV_GUARD_INSTALL) == 0 }
}

pub(super) unsafe fn unmark(address: usize, bytes: usize) -> bool {
    // SAFETY: the caller owns the pages.
    cfg!(target_os = "linux")
        && unsafe { libc::madvise(address as *mut c_void, bytes, MADV_GUARD_REMOVE) == 0 }
}

pub(super) unsafe fn release(address: usize, bytes: usize) {
    // SAFETY: the caller owns the whole mapping.
    unsafe { libc::munmap(address as *mut c_void, bytes) };
}

/// A pipe copies from memory with a check of every page: the system call fails
/// where an access would have faulted.
pub(super) fn try_read(address: usize, into: &mut [u8]) -> bool {
    let mut ends = [0_i32; 2];
    // SAFETY: the array has room for the two descriptors.
    if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
        return false;
    }
    let mut complete = true;
    for (index, chunk) in into.chunks_mut(super::PAGE).enumerate() {
        let Some(from) = address.checked_add(index * super::PAGE) else {
            complete = false;
            break;
        };
        // SAFETY: the kernel checks the source address; one page never fills the pipe.
        let written = unsafe { libc::write(ends[1], from as *const c_void, chunk.len()) };
        if written <= 0 {
            complete = false;
            break;
        }
        // SAFETY: the chunk has room for what was written.
        let read = unsafe { libc::read(ends[0], chunk.as_mut_ptr().cast(), written as usize) };
        if read != written || read as usize != chunk.len() {
            complete = false;
            break;
        }
    }
    for end in ends {
        // SAFETY: the descriptor was opened above.
        unsafe { libc::close(end) };
    }
    complete
}

pub(super) fn write_raw(to_standard_output: bool, text: &str) {
    let mut bytes = text.as_bytes();
    let descriptor = if to_standard_output {
        libc::STDOUT_FILENO
    } else {
        libc::STDERR_FILENO
    };
    while !bytes.is_empty() {
        // SAFETY: the slice is readable.
        let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
            _ if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

pub(super) fn exit_now(code: i32) -> ! {
    #[cfg(target_os = "linux")]
    super::file::sweep::sweep();
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}
