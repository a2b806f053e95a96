//! Spin locks that know their owner.
//!
//! A `KSPIN_LOCK` in driver memory is opaque: zero is free, and while it is held
//! it contains the address of the owning [`thread::Thread`], so that a recursive
//! acquire and a release by another thread are seen at once. Acquiring changes no
//! IRQL here except in [`acquire_raising`].
//!
//! Source: "Introduction to Spin Locks", `KeAcquireSpinLock`, `KeReleaseSpinLock`
//! and the `AtDpcLevel` variants in the DDI reference.

#![expect(unsafe_code, reason = "spin locks live in driver memory")]

use super::lock_order::{self, Mode};
use super::{held_locks, irql, thread};
use crate::nt::{DISPATCH_LEVEL, Kirql};
use crate::pool;
use crate::verifier::rules::SPIN_LOCK_PAIRING;
use crate::verifier::{rules, violation};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What the lock is called in reports.
const KIND: &str = "spin lock";

fn owner() -> usize {
    std::ptr::from_ref(thread::current()).addr()
}

fn describe(lock: *mut usize) -> String {
    match pool::describe(lock.addr()) {
        Some(place) => format!("spin lock {lock:p} ({place})"),
        None => format!("spin lock {lock:p}"),
    }
}

/// Marks the lock as free (`KeInitializeSpinLock`).
///
/// # Safety
/// `lock` points to writable, aligned memory of a `KSPIN_LOCK`.
pub unsafe fn initialize(lock: *mut usize, caller: usize) {
    // SAFETY: contract of the function.
    let word = unsafe { AtomicUsize::from_ptr(lock) };
    word.store(0, Ordering::Release);
    lock_order::initialized(lock.addr(), size_of::<usize>(), caller);
}

/// Acquires the lock. Acquiring it twice is a violation.
///
/// # Safety
/// `lock` points to a `KSPIN_LOCK` that stays alive while it is held.
pub unsafe fn acquire(lock: *mut usize) {
    // SAFETY: contract of the function.
    unsafe { acquire_for(lock, irql::current(), 0) }
}

/// Raises to `DISPATCH_LEVEL`, acquires the lock and returns the old level
/// (`KeAcquireSpinLockRaiseToDpc`).
///
/// # Safety
/// As for [`acquire`].
pub unsafe fn acquire_raising(lock: *mut usize, caller: usize) -> Kirql {
    irql::require("KeAcquireSpinLockRaiseToDpc", caller);
    let old = irql::current();
    irql::set(old.max(DISPATCH_LEVEL));
    // SAFETY: contract of the function.
    unsafe { acquire_for(lock, old, caller) };
    old
}

/// [`acquire`] for a driver at `caller`, which ran at `base` before it.
///
/// # Safety
/// As for [`acquire`].
pub unsafe fn acquire_for(lock: *mut usize, base: Kirql, caller: usize) {
    // SAFETY: contract of the function.
    let word = unsafe { AtomicUsize::from_ptr(lock) };
    let me = owner();
    lock_order::acquiring(lock.addr(), KIND, Mode::Exclusive, caller);
    if let Err(holder) = word.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
        if holder == me {
            violation(
                &SPIN_LOCK_PAIRING,
                format!(
                    "{} was acquired again by the thread that holds it",
                    describe(lock)
                ),
                &[("acquired again at", caller)],
            );
            return;
        }
        spin(lock, word, me, caller);
    }
    held_locks::acquired(base);
    lock_order::acquired(lock.addr(), KIND, Mode::Exclusive, caller);
}

/// Waits for a lock that another thread holds. Host threads are preempted while
/// they hold it, so the processor is given up after a short spin.
#[cold]
fn spin(lock: *mut usize, word: &AtomicUsize, me: usize, caller: usize) {
    let started = Instant::now();
    let mut told = false;
    let mut rounds = 0_u32;
    while word
        .compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed)
        .is_err()
    {
        rounds += 1;
        if rounds < 64 {
            std::hint::spin_loop();
            continue;
        }
        std::thread::yield_now();
        if !told && rounds.is_multiple_of(1024) && started.elapsed() > Duration::from_secs(10) {
            told = true;
            let holder = word.load(Ordering::Relaxed);
            if !thread::is_thread(holder) {
                violation(
                    &SPIN_LOCK_PAIRING,
                    format!(
                        "{} contains 0x{holder:x}: it was never initialized",
                        describe(lock)
                    ),
                    &[("acquired at", caller)],
                );
                word.store(0, Ordering::Relaxed);
            } else {
                eprintln!(
                    "ntbox: {} has been waited for since 10 seconds",
                    describe(lock)
                );
            }
        }
    }
}

/// True if nobody holds the lock now (`KeTestSpinLock`).
///
/// # Safety
/// As for [`acquire`].
pub unsafe fn is_free(lock: *mut usize) -> bool {
    // SAFETY: contract of the function.
    unsafe { AtomicUsize::from_ptr(lock) }.load(Ordering::Relaxed) == 0
}

/// Acquires the lock if it is free (`KeTryToAcquireSpinLockAtDpcLevel`).
///
/// # Safety
/// As for [`acquire`].
pub unsafe fn try_acquire(lock: *mut usize, caller: usize) -> bool {
    // SAFETY: contract of the function.
    let word = unsafe { AtomicUsize::from_ptr(lock) };
    let taken = word
        .compare_exchange(0, owner(), Ordering::Acquire, Ordering::Relaxed)
        .is_ok();
    if taken {
        held_locks::acquired(irql::current());
        lock_order::acquired(lock.addr(), KIND, Mode::Exclusive, caller);
    }
    taken
}

/// Releases the lock. Releasing a lock that this thread does not hold is a violation.
///
/// # Safety
/// As for [`acquire`].
pub unsafe fn release(lock: *mut usize) {
    // SAFETY: contract of the function.
    unsafe { release_for(lock, 0) };
}

/// [`release`] for a driver at `caller`; false if the lock was not held.
///
/// # Safety
/// As for [`acquire`].
pub unsafe fn release_for(lock: *mut usize, caller: usize) -> bool {
    // SAFETY: contract of the function.
    let word = unsafe { AtomicUsize::from_ptr(lock) };
    lock_order::released(lock.addr());
    if let Err(holder) = word.compare_exchange(owner(), 0, Ordering::Release, Ordering::Relaxed) {
        let what = if holder == 0 {
            "is not held"
        } else {
            "is held by another thread"
        };
        violation(
            &SPIN_LOCK_PAIRING,
            format!("{} was released, but it {what}", describe(lock)),
            &[("released at", caller)],
        );
        return false;
    }
    held_locks::released();
    true
}

/// Releases the lock and lowers to `level` (`KeReleaseSpinLock`). `level` is the
/// one that the acquire returned; locks may be released in any order, so this is
/// checked when the last one is.
///
/// # Safety
/// As for [`acquire`].
pub unsafe fn release_lowering(lock: *mut usize, level: Kirql, caller: usize) {
    let current = irql::current();
    if current != DISPATCH_LEVEL {
        violation(
            &rules::SPIN_LOCK_RELEASE_IRQL,
            format!(
                "KeReleaseSpinLock was called at {} ({current})",
                irql::name(current)
            ),
            &[("released at", caller)],
        );
    }
    // SAFETY: contract of the function.
    let released = unsafe { release_for(lock, caller) };
    let (held, base) = (held_locks::count(), held_locks::base());
    if released && held == 0 && level != base {
        violation(
            &rules::SPIN_LOCK_RELEASE_IRQL,
            format!(
                "KeReleaseSpinLock lowered to {} ({level}); the lock was acquired at {} ({base})",
                irql::name(level),
                irql::name(base)
            ),
            &[("released at", caller)],
        );
    }
    if held > 0 && level < DISPATCH_LEVEL {
        violation(
            &rules::RELEASE_ORDER,
            format!(
                "KeReleaseSpinLock lowered to {} ({level}) while {held} other spin lock(s) are held",
                irql::name(level)
            ),
            &[("released at", caller)],
        );
    }
    irql::restore(level.min(current));
}

#[cfg(test)]
#[path = "spin_lock_tests.rs"]
mod tests;
