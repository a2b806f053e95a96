//! A lock for a few instructions. Wine's kernel threads are threads of a process, without IRQL.

use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value that one thread at a time has.
pub struct Spin<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` gives the value to one thread at a time.
unsafe impl<T: Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    pub const fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `body` with the value. Not to be nested.
    pub fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        self.acquire();
        // SAFETY: this thread has the lock.
        let result = body(unsafe { &mut *self.value.get() });
        self.release();
        result
    }

    /// Half of [`Self::with`], for routines that the kernel has as a pair.
    pub fn acquire(&self) {
        while self.taken.swap(true, Ordering::Acquire) {
            spin_loop();
        }
    }

    /// The other half.
    pub fn release(&self) {
        self.taken.store(false, Ordering::Release);
    }
}
