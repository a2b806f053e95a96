//! The time of day.
//!
//! Wraps `KeQuerySystemTimePrecise` (Windows 8).

#![expect(unsafe_code, reason = "the DDI writes through a pointer")]

use wdk_sys::{LARGE_INTEGER, ntddk};

/// Now, in units of 100 ns since 1601 (UTC). IRQL: any.
#[must_use]
pub fn now() -> u64 {
    let mut time = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: a place for the result.
    unsafe { ntddk::KeQuerySystemTimePrecise(&raw mut time) };
    // SAFETY: the DDI writes all of it, and it was initialized before.
    unsafe { time.QuadPart }.cast_unsigned()
}
