//! `Cm`: registry callbacks, of which a list is kept ([`registry_callbacks`]).
//!
//! Left out: what a callback asks of the operation that it was called for, as none is called.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{
    DRIVER_OBJECT, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS, UNICODE_STRING, unicode,
};
use crate::pool::failure;
use crate::processor::given;
use crate::processor::{irql, registry_callbacks};
use std::ffi::c_void;

super::table! {
    caller(3) "CmRegisterCallback" => register,
    caller(6) "CmRegisterCallbackEx" => register_ex,
    caller(1) "CmUnRegisterCallback" => unregister,
    caller(2) "CmGetCallbackVersion" => get_version,
}

/// `STATUS_FLT_INSTANCE_ALTITUDE_COLLISION`.
const ALTITUDE_COLLISION: NTSTATUS = 0xC01C_0011_u32.cast_signed();

unsafe fn register_at(
    routine: *const c_void,
    altitude: Option<String>,
    cookie: *mut i64,
    caller: usize,
) -> NTSTATUS {
    if failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    match registry_callbacks::add(routine.addr(), altitude) {
        Some(new) => {
            // SAFETY: the driver's pointer.
            unsafe { cookie.write(new) };
            STATUS_SUCCESS
        }
        None => ALTITUDE_COLLISION,
    }
}

/// `CmRegisterCallback`: the system chooses the altitude.
unsafe extern "win64" fn register(
    routine: *const c_void,
    _context: *mut c_void,
    cookie: *mut i64,
    caller: usize,
) -> NTSTATUS {
    irql::require("CmRegisterCallback", caller);
    given::remember(routine.addr(), "CmRegisterCallback", caller);
    // SAFETY: the driver's pointer.
    unsafe { register_at(routine, None, cookie, caller) }
}

/// `CmRegisterCallbackEx`.
unsafe extern "win64" fn register_ex(
    routine: *const c_void,
    altitude: *const UNICODE_STRING,
    _driver: *mut DRIVER_OBJECT,
    _context: *mut c_void,
    cookie: *mut i64,
    _reserved: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("CmRegisterCallbackEx", caller);
    given::remember(routine.addr(), "CmRegisterCallbackEx", caller);
    // SAFETY: the driver's string.
    let altitude = unsafe { unicode::to_string(altitude) };
    // SAFETY: the driver's pointer.
    unsafe { register_at(routine, Some(altitude), cookie, caller) }
}

/// `CmUnRegisterCallback`.
unsafe extern "win64" fn unregister(cookie: i64, caller: usize) -> NTSTATUS {
    irql::require("CmUnRegisterCallback", caller);
    if registry_callbacks::remove(cookie) {
        STATUS_SUCCESS
    } else {
        STATUS_INVALID_PARAMETER
    }
}

/// `CmGetCallbackVersion`: 1.1, as since Windows 8.1.
unsafe extern "win64" fn get_version(major: *mut u32, minor: *mut u32, caller: usize) {
    irql::require("CmGetCallbackVersion", caller);
    for version in [major, minor] {
        if !version.is_null() {
            // SAFETY: the driver's pointer.
            unsafe { version.write(1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::APC_LEVEL;
    use crate::nt::unicode::OwnedUnicodeString;
    use crate::verifier::capture;
    use std::ptr::{null_mut, without_provenance};

    #[test]
    fn a_callback_is_outstanding_until_its_cookie_comes_back() {
        let code = 0x7100_0000..0x7100_1000;
        let routine = without_provenance(code.start);
        let left = || crate::processor::outstanding(&code).len();
        let altitude = OwnedUnicodeString::new("371337.5");
        let altitude = altitude.as_unicode();
        let (mut first, mut second) = (0, 0);
        let register_high = |cookie: *mut i64| {
            // SAFETY: a string of this test; the routine is never called, here and below.
            unsafe {
                register_ex(
                    routine,
                    &raw const altitude,
                    null_mut(),
                    null_mut(),
                    cookie,
                    null_mut(),
                    0,
                )
            }
        };
        assert_eq!(register_high(&raw mut first), STATUS_SUCCESS);
        assert_eq!(register_high(&raw mut second), ALTITUDE_COLLISION);
        for count in [2, 3] {
            // SAFETY: as above.
            let status = unsafe { register(routine, null_mut(), &raw mut second, 0) };
            assert_eq!((status, left()), (STATUS_SUCCESS, count));
        }
        // SAFETY: no pointers.
        let back = |cookie| unsafe { unregister(cookie, 0) };
        let ((), found) = capture(|| {
            let _level = irql::raised_to(APC_LEVEL);
            assert_eq!(
                [back(first), back(second), back(second - 1)],
                [STATUS_SUCCESS; 3]
            );
        });
        assert!(found.is_empty());
        assert_eq!((back(first), left()), (STATUS_INVALID_PARAMETER, 0));
        assert_eq!(register_high(&raw mut first), STATUS_SUCCESS);
        assert_eq!(back(first), STATUS_SUCCESS);
    }
}
