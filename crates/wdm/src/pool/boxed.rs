//! One value in nonpaged pool.

#![expect(
    unsafe_code,
    reason = "pool memory is a raw pointer until it is owned here"
)]

use super::block::{POOL_ALIGNMENT, allocate, free};
use crate::status::Status;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use zerocopy::FromZeros;

/// A value in nonpaged pool.
///
/// # Invariants
/// The pointer comes from `allocate` and holds a valid `T` that nothing else owns.
pub struct NonPagedBox<T>(NonNull<T>);

// SAFETY: the box owns its value as `T` itself would.
unsafe impl<T: Send> Send for NonPagedBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for NonPagedBox<T> {}

impl<T> NonPagedBox<T> {
    /// Moves `value` into nonpaged pool, if there is any (P2). IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; `value` is dropped then.
    ///
    /// Rests on ExAllocatePool2: "The ExAllocatePool2 routine allocates pool memory of the specified type and
    /// returns a pointer to the allocated block."
    pub fn try_new(value: T) -> Result<Self, Status> {
        Ok(Self::write(Self::try_uninit()?, value))
    }

    /// Memory for a value, which [`NonPagedBox::write`] puts there. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn try_uninit() -> Result<NonPagedBox<MaybeUninit<T>>, Status> {
        const {
            assert!(
                align_of::<T>() <= POOL_ALIGNMENT,
                "the pool aligns to 16 bytes"
            )
        };
        // INVARIANT: large enough, aligned by the assertion, and anything is a `MaybeUninit`.
        allocate(size_of::<T>()).map(|memory| NonPagedBox(memory.cast()))
    }

    /// Moves `value` into memory for it. IRQL: any.
    #[must_use]
    pub fn write(room: NonPagedBox<MaybeUninit<T>>, value: T) -> Self {
        let memory = room.into_raw().cast::<T>();
        // SAFETY: owned, and made for a `T`.
        unsafe { memory.write(value) };
        // INVARIANT: written in the line above.
        Self(memory)
    }

    /// A value that is all zeros, made in its place: it never lies on the stack. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn try_zeroed() -> Result<Self, Status>
    where
        T: FromZeros,
    {
        const {
            assert!(
                align_of::<T>() <= POOL_ALIGNMENT,
                "the pool aligns to 16 bytes"
            )
        };
        // INVARIANT: zeroed memory, which is a valid `T`.
        Ok(Self(allocate(size_of::<T>())?.cast()))
    }

    /// Gives up ownership; [`NonPagedBox::from_raw`] takes it back.
    #[must_use]
    pub fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// `raw` comes from [`NonPagedBox::into_raw`] and is taken back once.
    #[must_use]
    pub const unsafe fn from_raw(raw: NonNull<T>) -> Self {
        Self(raw)
    }

    /// Moves the value out and frees the memory. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Rests on ExFreePoolWithTag: "The ExFreePoolWithTag routine deallocates a block of pool memory allocated
    /// with the specified tag."
    #[must_use]
    pub fn into_inner(self) -> T {
        let raw = self.into_raw();
        // SAFETY: invariant of the type; the value is read once and the memory freed below.
        let value = unsafe { raw.read() };
        // SAFETY: `raw` came from `allocate`; the value has been moved out.
        unsafe { free(raw.cast()) };
        value
    }
}

impl<T> Deref for NonPagedBox<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: invariant of the type.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for NonPagedBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: invariant of the type; the box is borrowed mutably.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for NonPagedBox<T> {
    fn drop(&mut self) {
        // SAFETY: invariant of the type; the value is not used afterwards.
        unsafe { self.0.drop_in_place() };
        // SAFETY: the memory came from `allocate` and holds no value any more.
        unsafe { free(self.0.cast()) }
    }
}
