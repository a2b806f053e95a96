//! What of a thread a wait needs: a lower floor than the thread, which has one.

use std::sync::Condvar;

/// The part of a thread that waits. Its address tells whose a mutex is.
pub(in crate::processor) struct Waiter {
    /// Client id of the thread.
    pub(in crate::processor) thread: u32,
    /// Signalled, under the dispatcher lock, when the thread's wait has ended or an APC came.
    pub(super) wake: Condvar,
}

impl Waiter {
    /// That of the thread with this id.
    pub(in crate::processor) fn new(thread: u32) -> Self {
        Self {
            thread,
            wake: Condvar::new(),
        }
    }
    /// What `OwnerThread` of a mutex that the thread owns is.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}
