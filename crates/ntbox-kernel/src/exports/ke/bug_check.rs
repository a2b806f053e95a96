//! `KeBugCheck` and exceptions.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::NTSTATUS;
use crate::verifier;

/// `KMODE_EXCEPTION_NOT_HANDLED`.
const KMODE_EXCEPTION_NOT_HANDLED: u32 = 0x1E;

/// `KeBugCheck`.
pub unsafe extern "win64" fn bug_check(code: u32, caller: usize) -> ! {
    verifier::bug_check(code, [0; 4], caller)
}

/// `KeBugCheckEx`.
pub unsafe extern "win64" fn bug_check_ex(
    code: u32,
    parameter1: u64,
    parameter2: u64,
    parameter3: u64,
    parameter4: u64,
    caller: usize,
) -> ! {
    verifier::bug_check(
        code,
        [parameter1, parameter2, parameter3, parameter4],
        caller,
    )
}

/// What a raised exception comes to: structured exception handling is not
/// modelled, so no handler of the driver runs.
pub fn raise(status: NTSTATUS, site: usize) -> ! {
    verifier::bug_check(
        KMODE_EXCEPTION_NOT_HANDLED,
        [u64::from(status.cast_unsigned()), site as u64, 0, 0],
        site,
    )
}
