//! Semaphores and mutexes.
//!
//! Where NT raises an exception for a misuse, this reports a violation.

#![expect(unsafe_code, reason = "dispatcher objects live in driver memory")]

use super::header::{Object, ObjectType, expect_kind};
use super::waits::lock;
use crate::nt::{KMUTANT, KSEMAPHORE};
use crate::processor::{apc, lock_order, thread};
use crate::verifier::{rules, violation};
use std::cell::Cell;
use std::sync::atomic::Ordering;

thread_local! {
    static OWNED_MUTANTS: Cell<u32> = const { Cell::new(0) };
}

/// Mutants that this thread owns.
pub(in crate::processor) fn owned_mutants() -> u32 {
    OWNED_MUTANTS.get()
}

/// Counts mutexes that a wait has made this thread own: it is in a critical
/// region while it owns one.
pub(super) fn took_mutants(count: u32) {
    for _ in 0..count {
        OWNED_MUTANTS.set(OWNED_MUTANTS.get() + 1);
        apc::enter_critical_region();
    }
}

/// `KeInitializeSemaphore`.
///
/// # Safety
/// `semaphore` points to writable, aligned memory of a `KSEMAPHORE`.
pub unsafe fn initialize_semaphore(semaphore: *mut KSEMAPHORE, count: i32, limit: i32) {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(semaphore) };
    object.initialize(ObjectType::Semaphore, size_of::<KSEMAPHORE>(), count);
    // SAFETY: contract of the function.
    unsafe { (*semaphore).Limit = limit };
}

/// `KeReleaseSemaphore`: adds `adjustment` and returns the old count. Above the
/// limit NT raises `STATUS_SEMAPHORE_LIMIT_EXCEEDED`, which is a violation here.
///
/// # Safety
/// `semaphore` points to an initialized `KSEMAPHORE`.
pub unsafe fn release_semaphore(semaphore: *mut KSEMAPHORE, adjustment: i32) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(semaphore) };
    expect_kind(object, "KeReleaseSemaphore", &[ObjectType::Semaphore]);
    // SAFETY: contract of the function.
    let limit = unsafe { (*semaphore).Limit };
    let mut waits = lock();
    let old = object.state().load(Ordering::Acquire);
    match old.checked_add(adjustment) {
        Some(new) if adjustment > 0 && new <= limit => {
            object.state().store(new, Ordering::Release);
            waits.signal(object);
        }
        _ => {
            drop(waits);
            violation(
                &rules::SEMAPHORE_LIMIT,
                format!(
                    "{} has count {old} of {limit} and was released by {adjustment}",
                    object.describe()
                ),
                &[],
            );
        }
    }
    old
}

/// `KeInitializeMutex`: free.
///
/// # Safety
/// `mutant` points to writable, aligned memory of a `KMUTANT`.
pub unsafe fn initialize_mutant(mutant: *mut KMUTANT, caller: usize) {
    // SAFETY: contract of the function.
    unsafe { mutant.write_bytes(0, 1) };
    lock_order::initialized(mutant.addr(), size_of::<KMUTANT>(), caller);
    // SAFETY: contract of the function.
    unsafe { Object::at(mutant) }.initialize(ObjectType::Mutant, size_of::<KMUTANT>(), 1);
    // SAFETY: contract of the function. A KMUTEX holds off normal kernel APCs.
    unsafe { (*mutant).ApcDisable = 1 };
}

/// `KeReleaseMutex`: returns the old state; zero means that it is free now. NT
/// raises `STATUS_MUTANT_NOT_OWNED` in a thread that does not own it, which is a
/// violation here.
///
/// # Safety
/// `mutant` points to an initialized `KMUTANT`.
pub unsafe fn release_mutant(mutant: *mut KMUTANT) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(mutant) };
    expect_kind(object, "KeReleaseMutex", &[ObjectType::Mutant]);
    let me = thread::current().waiter.address();
    let mut waits = lock();
    // SAFETY: a mutant's field, under the lock.
    if unsafe { object.owner().read() }.addr() != me {
        drop(waits);
        violation(
            &rules::MUTEX_NOT_OWNED,
            format!(
                "{} was released by a thread that does not own it",
                object.describe()
            ),
            &[],
        );
        return object.state().load(Ordering::Acquire);
    }
    let old = object.state().fetch_add(1, Ordering::AcqRel);
    lock_order::released(mutant.addr());
    if old == 0 {
        // SAFETY: as above.
        unsafe { object.owner().write(std::ptr::null_mut()) };
        waits.signal(object);
        drop(waits);
        OWNED_MUTANTS.set(OWNED_MUTANTS.get().saturating_sub(1));
        apc::leave_critical_region();
    }
    old
}
