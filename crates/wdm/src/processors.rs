//! One value for each processor.
//!
//! Wraps `KeGetCurrentProcessorNumberEx`, `KeQueryMaximumProcessorCountEx` and
//! `KeQueryActiveProcessorCountEx` (Windows 7), which count the processors of all groups.

#![expect(unsafe_code, reason = "the DDIs are unsafe to name")]

use crate::pool::NonPagedSlice;
use crate::status::Status;
use wdk_sys::{ALL_PROCESSOR_GROUPS, ntddk};

/// Values that do not share a cache line. IRQL of its functions: ≤ DISPATCH_LEVEL.
pub struct PerProcessor<T>(NonPagedSlice<Padded<T>>);

/// With so much behind it that the next value begins in another cache line.
struct Padded<T> {
    value: T,
    _behind: [u8; CACHE_LINE],
}

/// Bytes of a cache line on x64 and ARM64.
const CACHE_LINE: usize = 64;

/// How many processors the system can have: those that may be added while it runs included. IRQL: any.
///
/// Rests on KeQueryMaximumProcessorCountEx: "The KeQueryMaximumProcessorCountEx routine returns the maximum
/// number of logical processors in a specified group in a multiprocessor system."
#[must_use]
pub fn maximum() -> usize {
    // SAFETY: no precondition.
    let count = unsafe { ntddk::KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS as u16) };
    count.max(1) as usize
}

/// How many processors run. IRQL: any.
///
/// Rests on KeQueryActiveProcessorCountEx: "The KeQueryActiveProcessorCountEx routine returns the number of
/// active logical processors in a specified group in a multiprocessor system or in the entire system."
#[must_use]
pub fn active() -> usize {
    // SAFETY: no precondition.
    let count = unsafe { ntddk::KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS as u16) };
    count.max(1) as usize
}

/// The number of the processor on which this runs, at this moment. IRQL: any.
///
/// Rests on KeGetCurrentProcessorNumberEx: "The KeGetCurrentProcessorNumberEx routine gets the processor number
/// of the logical processor that the caller is running on."
#[must_use]
pub fn current() -> usize {
    // SAFETY: the place for the number's parts may be null.
    unsafe { ntddk::KeGetCurrentProcessorNumberEx(core::ptr::null_mut()) as usize }
}

impl<T> PerProcessor<T> {
    /// Bytes that each takes beyond its own.
    pub const BEHIND: usize = size_of::<Padded<T>>() - size_of::<T>();

    /// Makes so many: for each processor one, or another number that they share.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES, and those of `make`.
    pub fn try_new(
        count: usize,
        mut make: impl FnMut() -> Result<T, Status>,
    ) -> Result<Self, Status> {
        NonPagedSlice::try_from_fn(count, |_| {
            Ok(Padded {
                value: make()?,
                _behind: [0; CACHE_LINE],
            })
        })
        .map(Self)
    }

    /// How many there are. IRQL: any.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The one of that number. IRQL: any.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&T> {
        self.0.get(number).map(|padded| &padded.value)
    }

    /// All of them. IRQL: any.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().map(|padded| &padded.value)
    }
}
