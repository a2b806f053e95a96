//! A place for a value that is made when it is first needed, and then stays.

#![expect(unsafe_code, reason = "the value is found through a pointer")]

use super::boxed::NonPagedBox;
use crate::status::Status;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Empty, and then a value for as long as this lives. Zeroed memory is an empty one.
///
/// # Invariants
/// The pointer is null, or comes from [`NonPagedBox::into_raw`]; once it is not null it stays.
#[derive(zerocopy::FromZeros)]
pub struct SetOnce<T> {
    value: AtomicPtr<T>,
    /// Owns a value; a pointer, so that only what is said below makes it `Send` and `Sync`.
    owned: PhantomData<(NonPagedBox<T>, *mut T)>,
}

// SAFETY: with it goes the value.
unsafe impl<T: Send> Send for SetOnce<T> {}
// SAFETY: it hands out `&T`, and any thread may put in the `T` that another one drops.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            value: AtomicPtr::new(core::ptr::null_mut()),
            owned: PhantomData,
        }
    }

    /// The value, if there is one. IRQL: any.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: invariant of the type: valid until this is dropped.
        unsafe { self.value.load(Ordering::Acquire).as_ref() }
    }

    /// The value, made by `make` if there is none. Of two that make one at the same time, one is
    /// dropped. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: those of `make`, and STATUS_INSUFFICIENT_RESOURCES.
    pub fn get_or_try(&self, make: impl FnOnce() -> Result<T, Status>) -> Result<&T, Status> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        Ok(self.get_or_set(NonPagedBox::try_new(make()?)?).0)
    }

    /// The value, which is `new` if there is none, and whether it is. IRQL: ≤ DISPATCH_LEVEL.
    pub fn get_or_set(&self, new: NonPagedBox<T>) -> (&T, bool) {
        let new = new.into_raw();
        let set = self.value.compare_exchange(
            core::ptr::null_mut(),
            new.as_ptr(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        let value = match set {
            Ok(_null) => new.as_ptr(),
            Err(other) => {
                // SAFETY: given up above, and nobody else has seen it.
                drop(unsafe { NonPagedBox::from_raw(new) });
                other
            }
        };
        // SAFETY: invariant of the type: valid until this is dropped.
        (unsafe { &*value }, set.is_ok())
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for SetOnce<T> {
    fn drop(&mut self) {
        if let Some(value) = NonNull::new(*self.value.get_mut()) {
            // SAFETY: invariant of the type; taken back once, here.
            drop(unsafe { NonPagedBox::from_raw(value) });
        }
    }
}
