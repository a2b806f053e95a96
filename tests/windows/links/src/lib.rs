//! `links.dll`: symbolic links for programs in Wine.
//!
//! Wine 8.0's CreateSymbolicLinkW succeeds and makes nothing, and its DeleteFileW deletes what a
//! link of Linux leads to. wdk-build's load script does both. This library does both by calls of
//! Linux's kernel, which a program in Wine can make; the scripts are linked with it in place of
//! `kernel32` (see `fsglass_windows::scripts`).
//!
//! The exports have names of their own, so that this library can import Wine's.
#![cfg(windows)]
#![expect(
    unsafe_code,
    reason = "it is called by programs, and calls Wine and Linux"
)]

use std::arch::asm;
use std::ffi::{CStr, c_char};

/// System calls of Linux for x86-64.
const SYMLINK: isize = 88;
const UNLINK: isize = 87;
const READLINK: isize = 89;

const TRUE: i32 = 1;
const FALSE: i32 = 0;
const ERROR_ACCESS_DENIED: u32 = 5;
const ERROR_PATH_NOT_FOUND: u32 = 3;

#[link(name = "kernel32", kind = "raw-dylib")]
unsafe extern "C" {
    /// Wine's: the path of Linux for a path of Windows, from the process heap, or null.
    fn wine_get_unix_file_name(path: *const u16) -> *mut c_char;
}

#[link(name = "kernel32", kind = "raw-dylib")]
unsafe extern "system" {
    fn DeleteFileW(path: *const u16) -> i32;
    fn SetLastError(code: u32);
}

/// CreateSymbolicLinkW, for an absolute target.
///
/// # Safety
/// As for CreateSymbolicLinkW: both paths end with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn create_link(link: *const u16, target: *const u16, _: u32) -> i32 {
    // SAFETY: the caller's paths end with a zero.
    let (link, target) = unsafe { (linux_path(link), linux_path(target)) };
    let (Some(link), Some(target)) = (link, target) else {
        return fail(ERROR_PATH_NOT_FOUND);
    };
    // SAFETY: symlink(2) reads two strings, and both are.
    let result = unsafe { call(SYMLINK, target.as_ptr() as usize, link.as_ptr() as usize, 0) };
    match result {
        0 => TRUE,
        _ => fail(ERROR_ACCESS_DENIED),
    }
}

/// DeleteFileW, which of a link deletes the link.
///
/// # Safety
/// As for DeleteFileW: the path ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn delete_file(path: *const u16) -> i32 {
    let mut target = [0_u8; 1];
    // SAFETY: the caller's path ends with a zero.
    if let Some(link) = unsafe { linux_path(path) } {
        let (name, buffer) = (link.as_ptr() as usize, target.as_mut_ptr() as usize);
        // SAFETY: readlink(2) reads a string, and writes as much as the buffer is said to have.
        if unsafe { call(READLINK, name, buffer, target.len()) } >= 0 {
            // SAFETY: unlink(2) reads a string.
            return match unsafe { call(UNLINK, name, 0, 0) } {
                0 => TRUE,
                _ => fail(ERROR_ACCESS_DENIED),
            };
        }
    }
    // SAFETY: the caller's path ends with a zero.
    unsafe { DeleteFileW(path) }
}

/// The path of Linux for a path of Windows. It stays allocated: there are few.
///
/// # Safety
/// The path ends with a zero.
unsafe fn linux_path(path: *const u16) -> Option<&'static CStr> {
    // SAFETY: the path ends with a zero.
    let found = unsafe { wine_get_unix_file_name(path) };
    // SAFETY: what Wine returns is null, or a string that nobody frees.
    (!found.is_null()).then(|| unsafe { CStr::from_ptr(found) })
}

fn fail(code: u32) -> i32 {
    // SAFETY: it may be called with any code.
    unsafe { SetLastError(code) };
    FALSE
}

/// A system call of Linux; a negative result is an error.
///
/// # Safety
/// The arguments are what this call takes.
unsafe fn call(number: isize, first: usize, second: usize, third: usize) -> isize {
    let result;
    // SAFETY: the kernel keeps all registers but these three, and the stack.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack)
        );
    }
    result
}
