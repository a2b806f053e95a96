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

/// The system call fails where an access would have faulted. Runs in signal handlers, too.
#[cfg(target_os = "linux")]
pub(super) fn try_read(address: usize, into: &mut [u8]) -> bool {
    let here = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let there = libc::iovec {
        iov_base: address as *mut c_void,
        iov_len: into.len(),
    };
    let process = std::process::id() as libc::pid_t;
    // SAFETY: the slice has room for what is read; the kernel checks the source.
    let read =
        unsafe { libc::process_vm_readv(process, &raw const here, 1, &raw const there, 1, 0) };
    if let Ok(read) = usize::try_from(read) {
        return read == into.len();
    }
    // SAFETY: takes nothing.
    let error = unsafe { libc::__errno_location() };
    // SAFETY: this thread's own.
    match unsafe { *error } {
        libc::EFAULT => false,
        // A container may forbid it.
        _ => read_by_pipe(address, into),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn try_read(address: usize, into: &mut [u8]) -> bool {
    read_by_pipe(address, into)
}

/// A pipe copies from memory with a check of every page: five system calls.
fn read_by_pipe(address: usize, into: &mut [u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::super::PAGE;
    use super::super::memory::{self, Protection};
    use super::*;

    /// Where the one is forbidden the other is taken: they give the same.
    #[test]
    fn both_ways_to_read_what_may_not_be_there_agree() {
        let base = memory::reserve(3 * PAGE).expect("address space");
        // SAFETY: pages of the reservation, which nothing refers to.
        assert!(unsafe { memory::protect(base, 2 * PAGE, Protection::ReadWrite) });
        for (place, number) in [(base, 1), (base + PAGE, 2)] {
            // SAFETY: a page that is writable now.
            unsafe { (place as *mut u8).write_bytes(number, PAGE) };
        }
        for (address, bytes) in [
            (base, 16),
            (base + PAGE - 8, 16),
            (base, 2 * PAGE),
            (base + 2 * PAGE - 8, 16),
            (base + 2 * PAGE, 1),
            (base, 0),
            (usize::MAX - 3, 8),
            (16, 8),
        ] {
            let [mut read, mut piped] = [vec![0; bytes], vec![0; bytes]];
            let done = try_read(address, &mut read);
            assert_eq!(
                read_by_pipe(address, &mut piped),
                done,
                "{address:#x}, {bytes}"
            );
            assert!(!done || read == piped, "{address:#x}, {bytes}");
            let end = address.checked_add(bytes);
            let is_there = base <= address && end.is_some_and(|end| end <= base + 2 * PAGE);
            assert_eq!(done, is_there, "{address:#x}, {bytes}");
        }
        // SAFETY: the reservation from above; nothing refers to it.
        unsafe { memory::release(base, 3 * PAGE) };
    }
}
