//! A mutex for PASSIVE_LEVEL that leaves the level as it is.
//!
//! A fast mutex would raise to APC_LEVEL, where devices can be neither created
//! nor attached. This one is a synchronization event, taken in a critical
//! region so that its owner cannot be suspended.

#![expect(unsafe_code, reason = "the event orders the accesses to the cell")]

use crate::irql::Passive;
use crate::sync::Event;
use core::cell::UnsafeCell;
use wdk_sys::ntddk;

/// Data that one thread at a time may touch.
pub struct Mutex<T> {
    free: Event,
    data: UnsafeCell<T>,
}

// SAFETY: the event admits one thread at a time to the data.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    pub(crate) const fn uninitialized(data: T) -> Self {
        Self {
            free: Event::uninitialized(),
            data: UnsafeCell::new(data),
        }
    }

    /// # Safety
    /// The mutex is in its final place, and nobody uses it yet.
    pub(crate) unsafe fn initialize(&self) {
        // SAFETY: contract of the function.
        unsafe { self.free.initialize(true, true) }
    }

    /// Runs `body` with the data, one thread at a time. Not recursive. The critical region ends here,
    /// so that the APC state is as before (D6).
    pub fn with<R>(&self, level: &mut Passive, body: impl FnOnce(&mut T, &mut Passive) -> R) -> R {
        // SAFETY: the level is PASSIVE_LEVEL; paired with the leave below on every path,
        // because a kernel image does not unwind.
        unsafe { ntddk::KeEnterCriticalRegion() };
        // SAFETY: a mutex that can be reached was initialized when its owner was made.
        unsafe { self.free.wait(level) };
        // SAFETY: the event admitted this thread alone.
        let result = body(unsafe { &mut *self.data.get() }, level);
        // SAFETY: initialized, and the mutex outlives the borrow `&self`.
        unsafe { Event::set(&raw const self.free) };
        // SAFETY: pairs with the enter above.
        unsafe { ntddk::KeLeaveCriticalRegion() };
        result
    }
}
