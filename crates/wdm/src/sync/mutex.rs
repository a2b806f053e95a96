//! A mutex for PASSIVE_LEVEL that leaves the level as it is.
//!
//! A fast mutex would raise to APC_LEVEL, where devices can be neither created
//! nor attached. This one is a synchronization event, taken in a critical
//! region so that its owner cannot be suspended.

#![expect(unsafe_code, reason = "the event orders the accesses to the cell")]

use super::event::Event;
use crate::irql::Passive;
use crate::pool::NonPagedBox;
use crate::status::Status;
use core::cell::UnsafeCell;
use wdk_sys::ntddk;

/// Data that one thread at a time may touch. It lies in nonpaged pool: an event that has been
/// initialized does not move.
pub struct Mutex<T>(NonPagedBox<Guarded<T>>);

/// # Invariants
/// `free` is initialized.
struct Guarded<T> {
    free: Event,
    data: UnsafeCell<T>,
}

// SAFETY: an event that is in no queue belongs to no thread; nobody waits for what is moved.
unsafe impl<T: Send> Send for Guarded<T> {}
// SAFETY: the event admits one thread at a time to the data.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Mutex<T> {
    /// Bytes of nonpaged pool that it takes.
    pub const BYTES: usize = size_of::<Guarded<T>>();

    /// Puts `data` behind a mutex. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn try_new(data: T) -> Result<Self, Status> {
        let guarded = NonPagedBox::try_new(Guarded {
            free: Event::uninitialized(),
            data: UnsafeCell::new(data),
        })?;
        // SAFETY: in its final place, which nobody else knows yet.
        unsafe { guarded.free.initialize(true, true) };
        Ok(Self(guarded))
    }

    /// Runs `body` with the data, one thread at a time. Not recursive. The critical region ends here,
    /// so that the APC state is as before (D6).
    ///
    /// Rests on KeEnterCriticalRegion: "The KeEnterCriticalRegion routine temporarily disables the execution of
    /// normal kernel APCs, but does not prevent special kernel APCs from running."
    /// Rests on KeLeaveCriticalRegion: "The KeLeaveCriticalRegion routine reenables the delivery of normal
    /// kernel-mode APCs that were disabled by a preceding call to KeEnterCriticalRegion."
    pub fn with<R>(&self, level: &mut Passive, body: impl FnOnce(&mut T, &mut Passive) -> R) -> R {
        // SAFETY: the level is PASSIVE_LEVEL; paired with the leave below on every path,
        // because a kernel image does not unwind.
        unsafe { ntddk::KeEnterCriticalRegion() };
        // SAFETY: invariant of the type.
        unsafe { self.0.free.wait(level) };
        // SAFETY: the event admitted this thread alone.
        let result = body(unsafe { &mut *self.0.data.get() }, level);
        // SAFETY: initialized, and the mutex outlives the borrow `&self`.
        unsafe { Event::set(&raw const self.0.free) };
        // SAFETY: pairs with the enter above.
        unsafe { ntddk::KeLeaveCriticalRegion() };
        result
    }
}
