//! Spin locks exclude, and wrong pairings are reported.

use super::*;
use crate::nt::PASSIVE_LEVEL;
use crate::verifier::capture;

fn names(found: &[crate::verifier::Recorded]) -> Vec<&'static str> {
    found.iter().map(|found| found.rule.name).collect()
}

#[test]
fn threads_exclude_each_other() {
    struct Shared(*mut usize, *mut u64);
    // SAFETY: the counter is only touched under the lock.
    unsafe impl Send for Shared {}
    let mut lock = 0_usize;
    let mut counter = 0_u64;
    let (lock_at, counter_at) = (&raw mut lock, &raw mut counter);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let shared = Shared(lock_at, counter_at);
            scope.spawn(move || {
                let shared = shared;
                let Shared(lock, counter) = shared;
                for _ in 0..2_000 {
                    // SAFETY: the lock outlives the scope.
                    let old = unsafe { acquire_raising(lock, 0) };
                    assert_eq!(irql::current(), DISPATCH_LEVEL);
                    // SAFETY: under the lock.
                    unsafe { *counter += 1 };
                    // SAFETY: held.
                    unsafe { release_lowering(lock, old, 0) };
                }
                assert_eq!((irql::current(), held_locks::count()), (PASSIVE_LEVEL, 0));
            });
        }
    });
    assert_eq!((counter, lock), (8_000, 0));
}

#[test]
fn recursion_and_double_release_are_reported() {
    let mut lock = 0_usize;
    let ((), found) = capture(|| {
        // SAFETY: a local lock.
        let old = unsafe { acquire_raising(&raw mut lock, 0) };
        // SAFETY: as above.
        unsafe { acquire(&raw mut lock) };
        // SAFETY: as above.
        unsafe { release_lowering(&raw mut lock, old, 0) };
        // SAFETY: as above.
        unsafe { release(&raw mut lock) };
    });
    assert_eq!(names(&found), ["SpinLock", "SpinLock"]);
    assert_eq!(held_locks::count(), 0);
}

#[test]
fn a_release_by_another_thread_is_reported() {
    let lock = Box::leak(Box::new(0_usize));
    let at = std::ptr::from_mut(lock).addr();
    // SAFETY: a leaked lock.
    let old = unsafe { acquire_raising(std::ptr::with_exposed_provenance_mut(at), 0) };
    let other = std::thread::spawn(move || {
        // SAFETY: a leaked lock.
        capture(|| unsafe { release(std::ptr::with_exposed_provenance_mut(at)) }).1
    });
    assert_eq!(names(&other.join().expect("no panic")), ["SpinLock"]);
    // SAFETY: still held here.
    unsafe { release_lowering(std::ptr::with_exposed_provenance_mut(at), old, 0) };
}

#[test]
fn the_level_given_back_must_be_the_one_before() {
    let mut lock = 0_usize;
    let ((), found) = capture(|| {
        let _apc = irql::raised_to(crate::nt::APC_LEVEL);
        // SAFETY: a local lock.
        let old = unsafe { acquire_raising(&raw mut lock, 0) };
        assert_eq!(old, crate::nt::APC_LEVEL);
        // SAFETY: held.
        unsafe { release_lowering(&raw mut lock, PASSIVE_LEVEL, 0) };
    });
    assert_eq!(names(&found), ["IrqlKeReleaseSpinLock"]);
}

#[test]
fn two_locks_may_be_released_in_any_order() {
    let (mut first, mut second) = (0_usize, 0_usize);
    let ((), found) = capture(|| {
        // SAFETY: local locks, here and below.
        let old_first = unsafe { acquire_raising(&raw mut first, 0) };
        // SAFETY: as above.
        let old_second = unsafe { acquire_raising(&raw mut second, 0) };
        assert_eq!((old_first, old_second), (PASSIVE_LEVEL, DISPATCH_LEVEL));
        // SAFETY: as above; hand over hand, each with the level that fits.
        unsafe { release_lowering(&raw mut first, old_second, 0) };
        // SAFETY: as above.
        unsafe { release_lowering(&raw mut second, old_first, 0) };
    });
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(irql::current(), PASSIVE_LEVEL);
}

#[test]
fn lowering_while_a_lock_is_held_is_reported() {
    let mut lock = 0_usize;
    let ((), found) = capture(|| {
        // SAFETY: a local lock.
        unsafe { acquire_raising(&raw mut lock, 0) };
        irql::lower(PASSIVE_LEVEL);
        // SAFETY: held, but no longer at DISPATCH_LEVEL.
        unsafe { release_lowering(&raw mut lock, PASSIVE_LEVEL, 0) };
    });
    assert_eq!(names(&found), ["SpinLock", "IrqlKeReleaseSpinLock"]);
}

#[test]
fn a_held_lock_is_not_taken() {
    let mut lock = 0_usize;
    let _dispatch = irql::raised_to(DISPATCH_LEVEL);
    // SAFETY: a local lock.
    assert!(unsafe { try_acquire(&raw mut lock, 0) });
    // SAFETY: as above.
    assert!(!unsafe { try_acquire(&raw mut lock, 0) });
    // SAFETY: held.
    unsafe { release(&raw mut lock) };
}
