//! Several values of one type in nonpaged pool.

#![expect(
    unsafe_code,
    reason = "a slice is a pointer into the pool, and its length"
)]

use super::block::{POOL_ALIGNMENT, allocate, free};
use crate::status::Status;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use zerocopy::FromZeros;

/// A slice in nonpaged pool.
///
/// # Invariants
/// The pointer comes from `allocate` and holds `length` valid values that nothing else owns.
pub struct NonPagedSlice<T> {
    first: NonNull<T>,
    length: usize,
}

// SAFETY: the slice owns its values as `[T]` itself would.
unsafe impl<T: Send> Send for NonPagedSlice<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for NonPagedSlice<T> {}

impl<T> NonPagedSlice<T> {
    /// No values yet, and zeroed memory for `length`.
    fn with_room(length: usize) -> Result<Self, Status> {
        const {
            assert!(
                align_of::<T>() <= POOL_ALIGNMENT,
                "the pool aligns to 16 bytes"
            )
        };
        let bytes = length.checked_mul(size_of::<T>());
        let memory = allocate(bytes.ok_or(Status::INSUFFICIENT_RESOURCES)?)?;
        Ok(Self {
            first: memory.cast(),
            length: 0,
        })
    }

    /// Makes `length` values, each by its place. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES, and those of `make`; what was made is dropped then.
    pub fn try_from_fn(
        length: usize,
        mut make: impl FnMut(usize) -> Result<T, Status>,
    ) -> Result<Self, Status> {
        let mut slice = Self::with_room(length)?;
        for at in 0..length {
            let value = make(at)?;
            // SAFETY: there is memory for `length` values.
            let place = unsafe { slice.first.add(at) };
            // SAFETY: as above, and aligned by the assertion.
            unsafe { place.write(value) };
            // INVARIANT: one more is valid.
            slice.length += 1;
        }
        Ok(slice)
    }
}

impl<T: FromZeros> NonPagedSlice<T> {
    /// `length` values that are all zeros, made in their place. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn try_zeroed(length: usize) -> Result<Self, Status> {
        let mut slice = Self::with_room(length)?;
        // INVARIANT: zeroed memory for so many, each of which is valid.
        slice.length = length;
        Ok(slice)
    }
}

impl<T> Deref for NonPagedSlice<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: invariant of the type.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.length) }
    }
}

impl<T> DerefMut for NonPagedSlice<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: invariant of the type; the slice is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.first.as_ptr(), self.length) }
    }
}

impl<T> Drop for NonPagedSlice<T> {
    fn drop(&mut self) {
        let values = core::ptr::slice_from_raw_parts_mut(self.first.as_ptr(), self.length);
        // SAFETY: invariant of the type; not used afterwards.
        unsafe { values.drop_in_place() };
        // SAFETY: the memory came from `allocate` and holds no value any more.
        unsafe { free(self.first.cast()) }
    }
}
