//! Dispatcher objects and the waits on them.
//!
//! Events, semaphores, mutants and timers lie in driver memory, with the layout
//! that drivers know; threads and processes begin with the same header. Their
//! state is in `SignalState`, as in NT, and is changed under one lock for the
//! whole process. A thread that must wait leaves a [`WaitBlock`] in a list; who
//! signals an object satisfies the waits on it in the order they began and
//! consumes its state for the waiter (an auto-reset event wakes exactly one).
//!
//! A wait is interrupted for APCs and then begins anew, at the end of the list.
//! `WaitListHead` is initialized but not linked: nothing documented reads it.
//!
//! Source: "Kernel Dispatcher Objects" in the kernel architecture guide,
//! `KeWaitForSingleObject`, `KeWaitForMultipleObjects` in the DDI reference.

#![expect(unsafe_code, reason = "dispatcher objects live in driver memory")]

mod counted;
mod header;
mod wait;

pub(super) use counted::owned_mutants;
pub use counted::{initialize_mutant, initialize_semaphore, release_mutant, release_semaphore};
pub use header::ObjectType;
pub(super) use wait::interrupt_wait;
pub use wait::{MAXIMUM_WAIT_OBJECTS, THREAD_WAIT_OBJECTS, delay, wait, wait_for};

use crate::nt::KEVENT;
use header::{Object, expect_kind};
use std::ffi::c_void;
use std::sync::atomic::Ordering;
use wait::lock;

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

/// Prepares the header of a thread object.
pub(super) fn initialize_thread_object(object: *mut c_void, ended: bool) {
    // SAFETY: the caller has just made the object.
    unsafe { Object::at(object) }.initialize(ObjectType::Thread, 0, i32::from(ended));
}

/// Signals the object of a thread that ends.
pub(super) fn signal_thread_object(object: *mut c_void) {
    // SAFETY: made by `initialize_thread_object`, and never freed.
    unsafe { signal(object) };
}

/// Prepares the header of a process object.
pub(super) fn initialize_process_object(object: *mut c_void) {
    // SAFETY: the caller passes the memory of one.
    unsafe { Object::at(object) }.initialize(ObjectType::Process, 0, 0);
}

/// Prepares the header of a timer.
///
/// # Safety
/// `object` points to writable, aligned memory of a `KTIMER`.
pub(super) unsafe fn initialize_timer_object(
    object: *mut c_void,
    notification: bool,
    bytes: usize,
) {
    let kind = if notification {
        ObjectType::NotificationTimer
    } else {
        ObjectType::SynchronizationTimer
    };
    // SAFETY: contract of the function.
    unsafe { Object::at(object) }.initialize(kind, bytes, 0);
}

/// Sets the state of an object to signaled and ends waits.
///
/// # Safety
/// `object` points to an initialized dispatcher object.
pub(super) unsafe fn signal(object: *mut c_void) {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(object) };
    let mut waits = lock();
    object.state().store(1, Ordering::Release);
    waits.signal(object);
}

/// Sets the state of an object to not signaled.
///
/// # Safety
/// `object` points to an initialized dispatcher object.
pub(super) unsafe fn unsignal(object: *mut c_void) {
    let _waits = lock();
    // SAFETY: contract of the function.
    unsafe { Object::at(object) }
        .state()
        .store(0, Ordering::Release);
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
