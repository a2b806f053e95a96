//! A spin lock and what it guards.
//!
//! Wraps `KeAcquireSpinLockRaiseToDpc` and `KeReleaseSpinLock`.

#![expect(unsafe_code, reason = "the lock orders the accesses to the cell")]

use crate::irql::AtMostDispatch;
use core::cell::UnsafeCell;
use wdk_sys::{KSPIN_LOCK, ntddk};

/// Data that one processor at a time may touch, at DISPATCH_LEVEL.
pub struct SpinLock<T> {
    lock: UnsafeCell<KSPIN_LOCK>,
    data: UnsafeCell<T>,
}

// SAFETY: the lock admits one processor at a time to the data.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// Puts `data` behind a lock. A lock that is 0 is free (`KeInitializeSpinLock`).
    pub const fn new(data: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            data: UnsafeCell::new(data),
        }
    }

    /// The data, of which the caller is the only owner. IRQL: any.
    pub const fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    /// Runs `body` with the data at DISPATCH_LEVEL. The level is lent to this until `body` has returned, so that nothing
    /// which asks for it is called meanwhile: this lock once more, the next driver (D6), completion (D9).
    ///
    /// Rests on KeAcquireSpinLockRaiseToDpc: "The KeAcquireSpinLockRaiseToDpc routine is a faster version of
    /// the KeAcquireSpinLock routine."
    /// Rests on KeReleaseSpinLock: "The KeReleaseSpinLock routine releases a spin lock and restores the
    /// original IRQL at which the caller was running."
    pub fn with<R>(&self, _level: &mut AtMostDispatch, body: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the token proves the level; released below on every path, because a kernel image
        // does not unwind.
        let level = unsafe { ntddk::KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        // SAFETY: the lock admitted this processor alone.
        let result = body(unsafe { &mut *self.data.get() });
        // SAFETY: acquired above, at `level`.
        unsafe { ntddk::KeReleaseSpinLock(self.lock.get(), level) };
        result
    }
}
