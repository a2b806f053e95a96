//! One value for each processor.
//!
//! Wraps `KeGetCurrentProcessorNumberEx` and `KeQueryMaximumProcessorCountEx` (Windows 7), which
//! count the processors of all groups, those that may be added while the system runs included.

#![expect(unsafe_code, reason = "the DDIs are unsafe to name")]

use crate::pool::NonPagedSlice;
use crate::status::Status;
use wdk_sys::{ALL_PROCESSOR_GROUPS, ntddk};
use zerocopy::FromZeros;

/// Values that do not share a cache line. IRQL of its functions: ≤ DISPATCH_LEVEL.
pub struct PerProcessor<T>(NonPagedSlice<Padded<T>>);

#[derive(FromZeros)]
/// With so much behind it that the next value begins in another cache line.
struct Padded<T> {
    value: T,
    _behind: [u8; CACHE_LINE],
}

/// Bytes of a cache line on x64 and ARM64.
const CACHE_LINE: usize = 64;

/// How many processors the system can have.
fn count() -> usize {
    // SAFETY: no precondition.
    let count = unsafe { ntddk::KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS as u16) };
    count.max(1) as usize
}

impl<T> PerProcessor<T> {
    /// Makes one for each processor that the system can have.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES, and those of `make`.
    pub fn try_new(mut make: impl FnMut() -> Result<T, Status>) -> Result<Self, Status> {
        NonPagedSlice::try_from_fn(count(), |_| {
            Ok(Padded {
                value: make()?,
                _behind: [0; CACHE_LINE],
            })
        })
        .map(Self)
    }

    /// Values that are all zeros, made in their place.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn try_zeroed() -> Result<Self, Status>
    where
        T: FromZeros,
    {
        NonPagedSlice::try_zeroed(count()).map(Self)
    }

    /// That of the processor on which this runs. The thread may be moved at any time, so it is not its
    /// alone; most of the time it is.
    #[must_use]
    pub fn current(&self) -> Option<&T> {
        // SAFETY: the place for the number's parts may be null.
        let number = unsafe { ntddk::KeGetCurrentProcessorNumberEx(core::ptr::null_mut()) };
        self.0.get(number as usize).map(|padded| &padded.value)
    }

    /// Those of all processors.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().map(|padded| &padded.value)
    }
}
