//! Counted pointers to trackers: the request's own, and one for each of its routines that is on a stack.

#![expect(unsafe_code, reason = "the last pointer frees what it points to")]

use super::super::history::History;
use super::{Buffers, Inner, Location, Tracker};
use crate::nt::IRP;
use std::cell::UnsafeCell;
use std::ops::Deref;
use std::sync::atomic::AtomicBool;

/// A counted pointer to a tracker.
pub struct Reference(*const Tracker);

impl Reference {
    /// The tracker of a new request; the reference is the request's own.
    pub fn new(irp: *mut IRP, stack_count: i8) -> Self {
        let count = usize::from(stack_count.unsigned_abs());
        // SAFETY: all-zero memory is an empty history, as its documentation says.
        let history: History = unsafe { std::mem::zeroed() };
        Self(Box::into_raw(Box::new(Tracker {
            locked: AtomicBool::new(false),
            inner: UnsafeCell::new(Inner {
                references: 1,
                irp,
                address: irp,
                sequence: 0,
                completing: false,
                finished: false,
                reported: false,
                completed_at: 0,
                begun: (0, 0),
                buffers: Buffers::default(),
                ending: None,
                refused: None,
                holders: Vec::with_capacity(count + 1),
                locations: vec![Location::default(); count + 1].into_boxed_slice(),
            }),
            history,
        })))
    }
    /// One more reference to a tracker that its request keeps, and what `begin`
    /// does with it under the same lock.
    ///
    /// # Safety
    /// `tracker` is the one in the prefix of a live request.
    pub unsafe fn another<R>(
        tracker: *const Tracker,
        begin: impl FnOnce(&mut Inner) -> R,
    ) -> (Self, R) {
        // SAFETY: contract.
        let mut inner = unsafe { &*tracker }.lock();
        inner.references += 1;
        let result = begin(&mut inner);
        (Self(tracker), result)
    }
    /// Gives the reference back after `end`, under the same lock.
    pub fn release(self, end: impl FnOnce(&mut Inner)) {
        let pointer = self.into_raw();
        let left = {
            // SAFETY: the reference that is given back keeps it until then.
            let mut inner = unsafe { &*pointer }.lock();
            end(&mut inner);
            inner.references -= 1;
            inner.references
        };
        if left == 0 {
            // SAFETY: it came from Box::into_raw and that was the last reference.
            drop(unsafe { Box::from_raw(pointer.cast_mut()) });
        }
    }
    /// Leaves the count to the pointer that is returned.
    pub fn into_raw(self) -> *const Tracker {
        let pointer = self.0;
        std::mem::forget(self);
        pointer
    }
    /// Takes the count back.
    ///
    /// # Safety
    /// `tracker` came from [`Reference::into_raw`] and is not used that way again.
    pub unsafe fn from_raw(tracker: *const Tracker) -> Self {
        Self(tracker)
    }
}

impl Deref for Reference {
    type Target = Tracker;
    fn deref(&self) -> &Tracker {
        // SAFETY: the counted reference keeps it.
        unsafe { &*self.0 }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        Self(self.0).release(|_| {});
    }
}
