//! Who runs: the process and the thread of the caller.
//!
//! Wraps `PsGetCurrentProcessId` and `PsGetCurrentThreadId`.

#![expect(unsafe_code, reason = "the DDIs are unsafe to name")]

use wdk_sys::ntddk;

/// The id of the process in whose context this runs. IRQL: any.
///
/// Rests on PsGetCurrentProcessId: "The PsGetCurrentProcessId routine identifies the current thread's process."
#[must_use]
pub fn current_process_id() -> u32 {
    // SAFETY: no precondition.
    unsafe { ntddk::PsGetCurrentProcessId() as usize as u32 }
}

/// The id of the thread that runs this. IRQL: any.
///
/// Rests on PsGetCurrentThreadId: "The PsGetCurrentThreadId routine identifies the current thread."
#[must_use]
pub fn current_thread_id() -> u32 {
    // SAFETY: no precondition.
    unsafe { ntddk::PsGetCurrentThreadId() as usize as u32 }
}
