//! Handles that are of nothing.
//!
//! A program may pass any number; a driver that uses a kernel handle, or any handle in a thread of
//! the system, has got it from a routine, and must know whether it is open.
//!
//! Source: bug checks 0x93 and 0xC4/3C.

use crate::nt::HANDLE;
use crate::processor::{handle, thread};
use crate::verifier::{Rule, violation};

/// `NtCurrentProcess()` down to `NtCurrentThreadEffectiveToken()` are in no table.
const PSEUDO: std::ops::RangeInclusive<isize> = -6..=-1;

/// Reports that `ddi` is called with a handle that is of nothing.
pub(super) fn require(rule: &'static Rule, ddi: &str, value: HANDLE, caller: usize) {
    let is_nothing = !value.is_null()
        && !PSEUDO.contains(&(value as isize))
        && (handle::is_kernel_handle(value) || thread::current().is_system())
        && handle::object_of_handle(value).is_err();
    if is_nothing {
        let closed = handle::closed_at(value);
        violation(
            rule,
            format!("{ddi} was called with the handle {value:p}, which is of nothing"),
            &[
                ("called at", caller),
                ("closed before", closed.unwrap_or(0)),
            ],
        );
    }
}
