//! Code in which a thread is not suspended.
//!
//! Wraps `KeEnterCriticalRegion` and `KeLeaveCriticalRegion`, which keep off the normal kernel APCs with which a
//! thread is suspended.

#![expect(unsafe_code, reason = "the DDIs are unsafe to name")]

use crate::irql::{self, AtMostDispatch};
use wdk_sys::ntddk;

/// Calls `body`: the thread is not suspended before it is over. At DISPATCH_LEVEL that is so anyway.
/// IRQL: ≤ DISPATCH_LEVEL.
///
/// Rests on KeEnterCriticalRegion: "The KeEnterCriticalRegion routine temporarily disables the execution of
/// normal kernel APCs, but does not prevent special kernel APCs from running."
/// Rests on KeLeaveCriticalRegion: "The KeLeaveCriticalRegion routine reenables the delivery of normal
/// kernel-mode APCs that were disabled by a preceding call to KeEnterCriticalRegion."
pub fn unsuspended<R>(_level: &mut AtMostDispatch, body: impl FnOnce() -> R) -> R {
    let enters = irql::current() < irql::DISPATCH;
    if enters {
        // SAFETY: the level is ≤ APC_LEVEL; paired with the leave below, because a kernel image does not unwind.
        unsafe { ntddk::KeEnterCriticalRegion() }
    }
    let result = body();
    if enters {
        // SAFETY: pairs with the enter above; the level is the same again.
        unsafe { ntddk::KeLeaveCriticalRegion() }
    }
    result
}
