//! A value in nonpaged pool with several owners.

#![expect(
    unsafe_code,
    reason = "a reference is a pointer into the pool, which the count keeps"
)]

use super::boxed::NonPagedBox;
use crate::status::Status;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

/// A counted reference to a value in nonpaged pool; the last one that is dropped frees it.
///
/// # Invariants
/// The pointer comes from [`NonPagedBox::into_raw`]; `owners` is the number of references there are.
pub struct NonPagedArc<T>(NonNull<Counted<T>>);

struct Counted<T> {
    owners: AtomicUsize,
    value: T,
}

// SAFETY: references are used and dropped in any thread, and the value with the last of them.
unsafe impl<T: Send + Sync> Send for NonPagedArc<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for NonPagedArc<T> {}

impl<T> NonPagedArc<T> {
    /// Moves `value` into nonpaged pool, if there is any (P2). IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; `value` is dropped then.
    pub fn try_new(value: T) -> Result<Self, Status> {
        let counted = NonPagedBox::try_new(Counted {
            owners: AtomicUsize::new(1),
            value,
        })?;
        // INVARIANT: one reference, of which there is one.
        Ok(Self(counted.into_raw()))
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: invariant of the type: alive while there is a reference.
        unsafe { self.0.as_ref() }
    }

    /// Whether this is the only reference at this moment. IRQL: any.
    #[must_use]
    pub fn is_unique(this: &Self) -> bool {
        this.counted().owners.load(Ordering::Acquire) == 1
    }

    /// Gives the reference up; [`NonPagedArc::from_raw`] takes it back.
    pub(crate) fn into_raw(self) -> NonNull<core::ffi::c_void> {
        core::mem::ManuallyDrop::new(self).0.cast()
    }

    /// # Safety
    /// `raw` comes from [`NonPagedArc::into_raw`] of the same type and is taken back once.
    pub(crate) const unsafe fn from_raw(raw: NonNull<core::ffi::c_void>) -> Self {
        Self(raw.cast())
    }
}

impl<T> Clone for NonPagedArc<T> {
    fn clone(&self) -> Self {
        // Whoever gets the new reference has it from this one, so nothing has to be ordered.
        self.counted().owners.fetch_add(1, Ordering::Relaxed);
        // INVARIANT: counted in the line above.
        Self(self.0)
    }
}

impl<T> Deref for NonPagedArc<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T> Drop for NonPagedArc<T> {
    /// IRQL: ≤ DISPATCH_LEVEL.
    fn drop(&mut self) {
        if self.counted().owners.fetch_sub(1, Ordering::Release) == 1 {
            // What the other owners did is before the value is dropped.
            fence(Ordering::Acquire);
            // SAFETY: invariant of the type; there is no other reference any more.
            drop(unsafe { NonPagedBox::from_raw(self.0) });
        }
    }
}
