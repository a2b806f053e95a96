//! Reader/writer spin locks (`EX_SPIN_LOCK`).
//!
//! The value is opaque to drivers: the top bit while held exclusively, else the
//! number of shared holders. Like a spin lock it counts as held by the thread.
//!
//! Source: "Reader/Writer Spin Locks" in the kernel architecture guide.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{DISPATCH_LEVEL, Kirql};
use crate::processor::lock_manner::{self, Manner};
use crate::processor::lock_order::{self, Mode};
use crate::processor::{held_locks, irql};
use crate::verifier::rules::SPIN_LOCK_PAIRING;
use crate::verifier::{rules, violation};
use std::sync::atomic::{AtomicU32, Ordering};

const EXCLUSIVE: u32 = 1 << 31;
/// What the lock is called in reports.
const KIND: &str = "reader/writer spin lock";

/// # Safety
/// `lock` points to an `EX_SPIN_LOCK`.
unsafe fn word<'a>(lock: *mut u32) -> &'a AtomicU32 {
    // SAFETY: contract of the function.
    unsafe { AtomicU32::from_ptr(lock) }
}

fn spin(mut attempt: impl FnMut() -> bool) {
    let mut rounds = 0_u32;
    while !attempt() {
        rounds += 1;
        if rounds < 64 {
            std::hint::spin_loop()
        } else {
            std::thread::yield_now()
        }
    }
}

fn take_exclusive(word: &AtomicU32, base: Kirql, caller: usize) {
    let address = word.as_ptr().addr();
    lock_manner::acquires(
        "ExAcquireSpinLockExclusive",
        address,
        Manner::ReaderWriter,
        caller,
    );
    lock_order::acquiring(address, KIND, Mode::Exclusive, caller);
    if lock_order::holds(address) {
        // Nobody else gives it back.
        return lock_order::self_deadlock(address, KIND, caller);
    }
    spin(|| {
        word.compare_exchange_weak(0, EXCLUSIVE, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    });
    held_locks::acquired(base);
    lock_order::acquired(address, KIND, Mode::Exclusive, caller);
}

fn take_shared(word: &AtomicU32, base: Kirql, caller: usize) {
    let address = word.as_ptr().addr();
    lock_manner::acquires(
        "ExAcquireSpinLockShared",
        address,
        Manner::ReaderWriter,
        caller,
    );
    lock_order::acquiring(address, KIND, Mode::Shared, caller);
    if word.load(Ordering::Relaxed) == EXCLUSIVE && lock_order::holds(address) {
        return lock_order::self_deadlock(address, KIND, caller);
    }
    spin(|| {
        word.fetch_update(Ordering::Acquire, Ordering::Relaxed, |held| {
            (held & EXCLUSIVE == 0).then_some(held + 1)
        })
        .is_ok()
    });
    held_locks::acquired(base);
    lock_order::acquired(address, KIND, Mode::Shared, caller);
}

fn give(word: &AtomicU32, exclusive: bool, caller: usize) {
    let ddi = match exclusive {
        true => "ExReleaseSpinLockExclusive",
        false => "ExReleaseSpinLockShared",
    };
    lock_manner::releases(ddi, word.as_ptr().addr(), Manner::ReaderWriter, caller);
    let given = word.fetch_update(
        Ordering::Release,
        Ordering::Relaxed,
        |held| match exclusive {
            true => (held == EXCLUSIVE).then_some(0),
            false => (held & EXCLUSIVE == 0 && held > 0).then(|| held - 1),
        },
    );
    if given.is_err() {
        violation(
            &SPIN_LOCK_PAIRING,
            format!(
                "reader/writer spin lock {:p} was released, but it is not held that way",
                word.as_ptr()
            ),
            &[("released at", caller)],
        );
        return;
    }
    lock_order::released(word.as_ptr().addr());
    held_locks::released();
}

fn require_dispatch(ddi: &str, caller: usize) {
    let level = irql::current();
    if level < DISPATCH_LEVEL {
        violation(
            &rules::SPIN_LOCK_BELOW_DISPATCH,
            format!("{ddi} was called at {} ({level})", irql::name(level)),
            &[("called at", caller)],
        );
    }
}

/// `ExAcquireSpinLockExclusive`.
pub unsafe extern "win64" fn acquire_exclusive(lock: *mut u32, caller: usize) -> Kirql {
    irql::require("ExAcquireSpinLockExclusive", caller);
    let old = irql::raised_silently(DISPATCH_LEVEL);
    // SAFETY: the driver passes a lock.
    take_exclusive(unsafe { word(lock) }, old, caller);
    old
}

/// `ExReleaseSpinLockExclusive`.
pub unsafe extern "win64" fn release_exclusive(lock: *mut u32, level: Kirql, caller: usize) {
    // SAFETY: the driver passes a lock.
    give(unsafe { word(lock) }, true, caller);
    irql::lower_for(level, caller);
}

/// `ExAcquireSpinLockShared`.
pub unsafe extern "win64" fn acquire_shared(lock: *mut u32, caller: usize) -> Kirql {
    irql::require("ExAcquireSpinLockShared", caller);
    let old = irql::raised_silently(DISPATCH_LEVEL);
    // SAFETY: the driver passes a lock.
    take_shared(unsafe { word(lock) }, old, caller);
    old
}

/// `ExReleaseSpinLockShared`.
pub unsafe extern "win64" fn release_shared(lock: *mut u32, level: Kirql, caller: usize) {
    // SAFETY: the driver passes a lock.
    give(unsafe { word(lock) }, false, caller);
    irql::lower_for(level, caller);
}

/// `ExAcquireSpinLockExclusiveAtDpcLevel`.
pub unsafe extern "win64" fn acquire_exclusive_at_dpc_level(lock: *mut u32, caller: usize) {
    require_dispatch("ExAcquireSpinLockExclusiveAtDpcLevel", caller);
    // SAFETY: the driver passes a lock.
    take_exclusive(unsafe { word(lock) }, irql::current(), caller);
}

/// `ExReleaseSpinLockExclusiveFromDpcLevel`.
pub unsafe extern "win64" fn release_exclusive_from_dpc_level(lock: *mut u32, caller: usize) {
    require_dispatch("ExReleaseSpinLockExclusiveFromDpcLevel", caller);
    // SAFETY: the driver passes a lock.
    give(unsafe { word(lock) }, true, caller);
}

/// `ExAcquireSpinLockSharedAtDpcLevel`.
pub unsafe extern "win64" fn acquire_shared_at_dpc_level(lock: *mut u32, caller: usize) {
    require_dispatch("ExAcquireSpinLockSharedAtDpcLevel", caller);
    // SAFETY: the driver passes a lock.
    take_shared(unsafe { word(lock) }, irql::current(), caller);
}

/// `ExReleaseSpinLockSharedFromDpcLevel`.
pub unsafe extern "win64" fn release_shared_from_dpc_level(lock: *mut u32, caller: usize) {
    require_dispatch("ExReleaseSpinLockSharedFromDpcLevel", caller);
    // SAFETY: the driver passes a lock.
    give(unsafe { word(lock) }, false, caller);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::{Recorded, capture};

    #[test]
    fn readers_share_and_a_writer_excludes() {
        let mut lock = 0_u32;
        let at = &raw mut lock;
        let ((), found) = capture(|| {
            // SAFETY: a local lock, here and below.
            let first = unsafe { acquire_shared(at, 0) };
            // SAFETY: as above.
            let second = unsafe { acquire_shared(at, 0) };
            assert_eq!((first, second, held_locks::count()), (0, DISPATCH_LEVEL, 2));
            // SAFETY: as above.
            unsafe { release_shared(at, second, 0) };
            // SAFETY: as above.
            unsafe { release_shared(at, first, 0) };
            // SAFETY: as above.
            let old = unsafe { acquire_exclusive(at, 0) };
            assert_eq!(lock, EXCLUSIVE);
            // SAFETY: as above.
            unsafe { release_exclusive(at, old, 0) };
            assert_eq!((irql::current(), held_locks::count()), (0, 0));
        });
        assert!(found.is_empty(), "{found:?}");
        // SAFETY: as above.
        let ((), found) = capture(|| unsafe { release_shared(at, 0, 0) });
        assert_eq!(found[0].rule.name, "SpinLock");
    }

    #[test]
    fn who_holds_it_does_not_wait_for_itself() {
        let mut lock = 0_u32;
        let at = &raw mut lock;
        let names = |found: &[Recorded]| {
            found
                .iter()
                .map(|found| found.rule.name)
                .collect::<Vec<_>>()
        };
        let ((), found) = capture(|| {
            // SAFETY: a local lock, here and below.
            let old = unsafe { acquire_shared(at, 1) };
            // SAFETY: as above.
            unsafe { acquire_shared_at_dpc_level(at, 2) };
            // SAFETY: as above.
            unsafe { release_shared_from_dpc_level(at, 2) };
            // SAFETY: as above.
            unsafe { acquire_exclusive_at_dpc_level(at, 3) };
            // SAFETY: as above.
            unsafe { release_shared(at, old, 4) };
        });
        assert_eq!(names(&found), ["SelfDeadlock"]);
        let ((), found) = capture(|| {
            // SAFETY: as above.
            let old = unsafe { acquire_exclusive(at, 1) };
            // SAFETY: as above.
            unsafe { acquire_shared_at_dpc_level(at, 2) };
            // SAFETY: as above.
            unsafe { release_exclusive(at, old, 3) };
        });
        assert_eq!(names(&found), ["SelfDeadlock"]);
        assert_eq!((lock, held_locks::count()), (0, 0));
    }
}
