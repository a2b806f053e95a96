//! Dispatcher objects and the waits on them.
//!
//! Events, semaphores, mutants, queues and timers lie in driver memory, with the layout
//! that drivers know; threads and processes begin with the same header. Their
//! state is in `SignalState`, as in NT, and is changed under one lock for the
//! whole process. A thread that must wait leaves a wait block in a list; who
//! signals an object satisfies the waits on it in the order they began and
//! consumes its state for the waiter (an auto-reset event wakes exactly one).
//!
//! A wait is interrupted for APCs and then begins anew, at the end of the list.
//! `WaitListHead` is initialized but not linked: nothing documented reads it.
//!
//! | part | holds | knows threads |
//! |---|---|---|
//! | `header`, `waiter`, `waits` | the objects, who waits, the list of waits | no: threads are built on it |
//! | `wait`, `counted`, `queue`, this file | waiting, and what drivers call | yes |
//!
//! Source: "Kernel Dispatcher Objects" in the kernel architecture guide,
//! `KeWaitForSingleObject`, `KeWaitForMultipleObjects` in the DDI reference.

#![expect(unsafe_code, reason = "dispatcher objects live in driver memory")]

mod counted;
pub(super) mod header;
mod queue;
mod wait;
pub(super) mod waiter;
pub(super) mod waits;

pub(super) use counted::owned_mutants;
pub use counted::{initialize_mutant, initialize_semaphore, release_mutant, release_semaphore};
pub use header::ObjectType;
pub use queue::{initialize_queue, insert_queue, remove_queue, rundown_queue};
pub use wait::{MAXIMUM_WAIT_OBJECTS, THREAD_WAIT_OBJECTS, delay, wait, wait_for};
pub use waits::{UnderWay, under_way};

use crate::nt::KEVENT;
use header::{Object, expect_kind};
use std::ffi::c_void;
use std::sync::atomic::Ordering;
use waits::lock;

const EVENTS: &[ObjectType] = &[
    ObjectType::NotificationEvent,
    ObjectType::SynchronizationEvent,
];

/// `KeInitializeEvent`. Any IRQL.
///
/// # Safety
/// `event` points to writable, aligned memory of a `KEVENT` that nobody waits for.
pub unsafe fn initialize_event(event: *mut KEVENT, notification: bool, signaled: bool) {
    let kind = if notification {
        ObjectType::NotificationEvent
    } else {
        ObjectType::SynchronizationEvent
    };
    // SAFETY: contract of the function.
    unsafe { Object::at(event) }.initialize(kind, size_of::<KEVENT>(), i32::from(signaled));
}

/// `KeSetEvent`: signals and returns the old state. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// `event` points to an initialized `KEVENT` that is alive until this call has
/// taken the lock; the waiter it wakes may free it.
pub unsafe fn set_event(event: *mut KEVENT) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(event) };
    expect_kind(object, "KeSetEvent", EVENTS);
    let mut waits = lock();
    let old = object.state().swap(1, Ordering::AcqRel);
    if old == 0 {
        waits.signal(object);
    }
    old
}

/// `KePulseEvent`: satisfies the waits under way and resets. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// As [`set_event`].
pub unsafe fn pulse_event(event: *mut KEVENT) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(event) };
    expect_kind(object, "KePulseEvent", EVENTS);
    let mut waits = lock();
    let old = object.state().swap(1, Ordering::AcqRel);
    if old == 0 {
        waits.signal(object);
    }
    // The lock is held, so no waiter that was satisfied has run and freed the event.
    object.state().store(0, Ordering::Release);
    old
}

/// `KeResetEvent`: resets and returns the old state. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// `event` points to an initialized `KEVENT`.
pub unsafe fn reset_event(event: *mut KEVENT) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(event) };
    expect_kind(object, "KeResetEvent", EVENTS);
    let _waits = lock();
    object.state().swap(0, Ordering::AcqRel)
}

/// `KeClearEvent`: resets. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// `event` points to an initialized `KEVENT`.
pub unsafe fn clear_event(event: *mut KEVENT) {
    // SAFETY: contract of the function.
    unsafe { reset_event(event) };
}

/// `KeReadStateEvent`: non-zero if signaled. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// `event` points to an initialized `KEVENT`.
pub unsafe fn read_state_event(event: *mut KEVENT) -> i32 {
    // SAFETY: contract of the function.
    unsafe { read_state(event.cast()) }
}

/// `SignalState` of any dispatcher object.
///
/// # Safety
/// `object` points to a dispatcher object.
pub unsafe fn read_state(object: *mut c_void) -> i32 {
    // SAFETY: contract of the function.
    unsafe { Object::at(object) }
        .state()
        .load(Ordering::Acquire)
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
