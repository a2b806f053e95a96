//! The Windows version that drivers see, and assertions.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::strings::terminated;
use crate::exports::debug;
use crate::nt::version::{BUILD, MAJOR, MINOR, PLATFORM_NT, SUITE, WORKSTATION};
use crate::nt::{NTSTATUS, STATUS_SUCCESS, UNICODE_STRING};
use crate::processor::irql;
use crate::verifier::{rules, violation};
use windows_sys::Win32::System::SystemInformation::{OSVERSIONINFOEXW, OSVERSIONINFOW};

/// `RtlGetVersion`. The size says which of the two structures it is.
pub unsafe extern "win64" fn get_version(
    information: *mut OSVERSIONINFOW,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlGetVersion", caller);
    // SAFETY: the driver passes one of the structures with its size set.
    let size = unsafe { (*information).dwOSVersionInfoSize };
    let basic = OSVERSIONINFOW {
        dwOSVersionInfoSize: size,
        dwMajorVersion: MAJOR,
        dwMinorVersion: MINOR,
        dwBuildNumber: BUILD,
        dwPlatformId: PLATFORM_NT,
        szCSDVersion: [0; 128],
    };
    // SAFETY: as above.
    unsafe { information.write(basic) };
    if size as usize == size_of::<OSVERSIONINFOEXW>() {
        let extended = information.cast::<OSVERSIONINFOEXW>();
        // SAFETY: the size says so.
        let extended = unsafe { &mut *extended };
        (extended.wServicePackMajor, extended.wServicePackMinor) = (0, 0);
        (extended.wSuiteMask, extended.wProductType) = (SUITE, WORKSTATION);
        extended.wReserved = 0;
    }
    STATUS_SUCCESS
}

/// `PsGetVersion`: false, this is no checked build. Each pointer may be null.
pub unsafe extern "win64" fn ps_get_version(
    major: *mut u32,
    minor: *mut u32,
    build: *mut u32,
    service_pack: *mut UNICODE_STRING,
) -> u8 {
    irql::require("PsGetVersion", 0);
    for (target, value) in [(major, MAJOR), (minor, MINOR), (build, BUILD)] {
        if !target.is_null() {
            // SAFETY: the driver passes a `ULONG` or null.
            unsafe { target.write(value) };
        }
    }
    if !service_pack.is_null() {
        // SAFETY: the driver passes the memory of a string or null.
        unsafe { service_pack.write(UNICODE_STRING::default()) };
    }
    0
}

/// `RtlAssert`: an assertion of the driver has failed.
pub unsafe extern "win64" fn assert(
    expression: *const u8,
    file: *const u8,
    line: u32,
    message: *const u8,
    caller: usize,
) {
    let text = |at: *const u8| {
        if at.is_null() {
            return String::new();
        }
        // SAFETY: the driver passes terminated strings or null.
        String::from_utf8_lossy(unsafe { terminated(at) }).into_owned()
    };
    let message = text(message);
    let separator = if message.is_empty() { "" } else { ": " };
    let line = format!(
        "Assertion failed{separator}{message}: {} ({}, line {line})",
        text(expression),
        text(file)
    );
    debug::write(&format!("{line}\n"));
    violation(&rules::ASSERTION, line, &[("asserted at", caller)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_structures_are_filled() {
        let mut extended = OSVERSIONINFOEXW {
            dwOSVersionInfoSize: size_of::<OSVERSIONINFOEXW>() as u32,
            wProductType: 0xFF,
            ..OSVERSIONINFOEXW::default()
        };
        assert_eq!(
            // SAFETY: the size is set.
            unsafe { get_version((&raw mut extended).cast(), 0) },
            STATUS_SUCCESS
        );
        assert_eq!(
            (extended.dwMajorVersion, extended.wProductType),
            (10, WORKSTATION)
        );
        let mut build = 0;
        let null = std::ptr::null_mut();
        assert_eq!(
            // SAFETY: null is allowed.
            unsafe { ps_get_version(null, null, &raw mut build, std::ptr::null_mut()) },
            0
        );
        assert_eq!(build, extended.dwBuildNumber);
    }

    #[test]
    fn a_failed_assertion_is_reported() {
        let ((), found) = crate::verifier::capture(|| {
            // SAFETY: terminated strings.
            unsafe {
                assert(
                    c"Irp != NULL".as_ptr().cast(),
                    c"x.c".as_ptr().cast(),
                    7,
                    std::ptr::null(),
                    0,
                )
            };
        });
        assert_eq!(
            found[0].message,
            "Assertion failed: Irp != NULL (x.c, line 7)"
        );
    }
}
