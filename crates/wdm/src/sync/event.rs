//! A notification event on the waiter's stack, and a delay.
//!
//! Wraps `KeInitializeEvent`, `KeSetEvent`, `KeWaitForSingleObject` and
//! `KeDelayExecutionThread`.

#![expect(
    unsafe_code,
    reason = "a KEVENT is shared with the thread that signals it"
)]

use crate::irql::Passive;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use wdk_sys::{_EVENT_TYPE, _KWAIT_REASON, _MODE, KEVENT, LARGE_INTEGER, ntddk};

/// An event that is initialized once it has reached its final place.
///
/// # Invariants
/// After [`Event::initialize`] the event does not move until the last waiter and
/// the last signaller are done with it.
pub(crate) struct Event(UnsafeCell<MaybeUninit<KEVENT>>);

// SAFETY: a KEVENT is made to be signalled and waited on from any thread.
unsafe impl Sync for Event {}

impl Event {
    pub(crate) const fn uninitialized() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    const fn raw(&self) -> *mut KEVENT {
        self.0.get().cast()
    }

    /// Initializes the event, not signalled unless `signalled`; a synchronization event
    /// (one waiter per signal) if `one_waiter`, a notification event otherwise.
    /// IRQL: any, for a place in nonpaged memory.
    ///
    /// # Safety
    /// The event is in its final place, and nobody waits on it or signals it yet.
    pub(crate) unsafe fn initialize(&self, one_waiter: bool, signalled: bool) {
        let kind = if one_waiter {
            _EVENT_TYPE::SynchronizationEvent
        } else {
            _EVENT_TYPE::NotificationEvent
        };
        // SAFETY: the cell is storage for a KEVENT; nobody else uses it yet.
        unsafe { ntddk::KeInitializeEvent(self.raw(), kind, u8::from(signalled)) }
    }

    /// Signals the event. IRQL: ≤ DISPATCH_LEVEL, because it does not wait.
    ///
    /// # Safety
    /// `event` points to an initialized event that stays valid until this returns.
    pub(crate) unsafe fn set(event: *const Self) {
        // SAFETY: contract of the function; only the place is computed.
        let raw = unsafe { &raw const (*event).0 };
        // SAFETY: contract of the function; increment 0, no wait follows.
        unsafe { ntddk::KeSetEvent(raw.cast_mut().cast(), 0, 0) };
    }

    /// Waits until the event is signalled. The wait is in kernel mode and not alertable, so
    /// that a stack event cannot be left behind.
    ///
    /// # Safety
    /// The event is initialized.
    pub(crate) unsafe fn wait(&self, _level: &mut Passive) {
        // SAFETY: the event is initialized, and the token proves PASSIVE_LEVEL.
        let _always_success = unsafe {
            ntddk::KeWaitForSingleObject(
                self.raw().cast(),
                _KWAIT_REASON::Executive,
                _MODE::KernelMode as _,
                0,
                core::ptr::null_mut(),
            )
        };
    }
}

/// Suspends the thread for `milliseconds`.
///
/// Rests on KeDelayExecutionThread: "The KeDelayExecutionThread routine puts the current thread into an
/// alertable or nonalertable wait state for a specified interval."
pub fn delay(milliseconds: u32, _level: &mut Passive) {
    const UNITS_PER_MILLISECOND: i64 = 10_000;
    // Negative: relative to now, in units of 100 ns.
    let mut interval = LARGE_INTEGER {
        QuadPart: -(i64::from(milliseconds) * UNITS_PER_MILLISECOND),
    };
    // SAFETY: the interval outlives the call, and the token proves PASSIVE_LEVEL.
    let _always_success =
        unsafe { ntddk::KeDelayExecutionThread(_MODE::KernelMode as _, 0, &raw mut interval) };
}
