//! The time of day, and the performance counter.
//!
//! Wraps `KeQuerySystemTimePrecise` (Windows 8) and `KeQueryPerformanceCounter`.

#![expect(unsafe_code, reason = "the DDIs write through a pointer")]

use crate::scale::scale;
use wdk_sys::{LARGE_INTEGER, ntddk};

/// Now, in units of 100 ns since 1601 (UTC). IRQL: any.
///
/// Rests on KeQuerySystemTimePrecise: "The KeQuerySystemTimePrecise routine retrieves the current system time,
/// and is more precise than the KeQuerySystemTime routine."
#[must_use]
pub fn now() -> u64 {
    let mut time = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: a place for the result.
    unsafe { ntddk::KeQuerySystemTimePrecise(&raw mut time) };
    // SAFETY: the DDI writes all of it, and it was initialized before.
    unsafe { time.QuadPart }.cast_unsigned()
}

/// Ticks of the performance counter, which goes on at the same pace on all processors. IRQL: any.
///
/// Rests on KeQueryPerformanceCounter: "The KeQueryPerformanceCounter routine retrieves the current value and
/// frequency of the performance counter."
#[must_use]
pub fn ticks() -> u64 {
    // SAFETY: the place for the frequency may be null.
    let ticks = unsafe { ntddk::KeQueryPerformanceCounter(core::ptr::null_mut()) };
    // SAFETY: a union of integers.
    unsafe { ticks.QuadPart }.cast_unsigned()
}

/// Ticks since `started`, on whichever processor; none where this one's clock is a little behind. IRQL: any.
#[must_use]
pub fn since(started: u64) -> u64 {
    ticks().saturating_sub(started)
}

/// Ticks per second; the same as long as the system runs. IRQL: any.
///
/// Rests on KeQueryPerformanceCounter: "The KeQueryPerformanceCounter routine retrieves the current value and
/// frequency of the performance counter."
#[must_use]
pub fn ticks_per_second() -> u64 {
    let mut frequency = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: a place for the result.
    let _ticks = unsafe { ntddk::KeQueryPerformanceCounter(&raw mut frequency) };
    // SAFETY: the DDI writes all of it, and it was initialized before.
    unsafe { frequency.QuadPart }.cast_unsigned()
}

/// A number of ticks in units of 100 ns, rounded down. IRQL: any.
#[must_use]
pub fn in_100ns(ticks: u64) -> u64 {
    convert(ticks, A_SECOND, ticks_per_second())
}

/// A duration in units of 100 ns in ticks, rounded down. IRQL: any.
#[must_use]
pub fn in_ticks(hundreds: u64) -> u64 {
    convert(hundreds, ticks_per_second(), A_SECOND)
}

/// In units of 100 ns.
const A_SECOND: u64 = 10_000_000;

/// [`scale`], without a division on almost every machine: those count in 100 ns.
fn convert(value: u64, to: u64, from: u64) -> u64 {
    if to == from {
        return value;
    }
    scale(value, to, from)
}
