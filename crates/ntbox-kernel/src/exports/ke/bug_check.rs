//! `KeBugCheck`.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::verifier;

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
