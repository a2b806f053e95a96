//! A rundown waits for what was acquired and refuses what comes later.

use super::*;
use crate::nt::DISPATCH_LEVEL;
use crate::verifier::capture;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

fn leaked<T>(value: T) -> usize {
    Box::into_raw(Box::new(value)).expose_provenance()
}

#[test]
fn it_waits_for_the_last_reference() {
    static RELEASED: AtomicBool = AtomicBool::new(false);
    let at = leaked(0_usize);
    let get = move || std::ptr::with_exposed_provenance_mut::<usize>(at);
    // SAFETY: a leaked reference, here and below.
    unsafe { initialize(get()) };
    // SAFETY: as above.
    assert_eq!(unsafe { acquire_ex(get(), 2, 0) }, 1);
    let other = std::thread::spawn(move || {
        // SAFETY: as above.
        unsafe { release(get(), 0) };
        // SAFETY: as above.
        while unsafe { acquire(get(), 0) } == 1 {
            // SAFETY: as above.
            unsafe { release(get(), 0) };
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(20));
        RELEASED.store(true, Ordering::Release);
        // SAFETY: as above.
        unsafe { release(get(), 0) };
    });
    // SAFETY: as above.
    unsafe { wait_for_release(get(), 0) };
    assert!(
        RELEASED.load(Ordering::Acquire),
        "the wait ended before the last release"
    );
    other.join().expect("no panic");
    // Waiting again for what is run down returns at once.
    // SAFETY: as above.
    unsafe { wait_for_release(get(), 0) };
    // SAFETY: as above.
    unsafe { completed(get()) };
    // SAFETY: as above.
    assert_eq!(unsafe { acquire(get(), 0) }, 0);
    // SAFETY: as above.
    unsafe { initialize(get()) };
    // SAFETY: as above.
    assert_eq!(unsafe { acquire(get(), 0) }, 1);
}

#[test]
fn a_release_too_many_is_reported() {
    let mut reference = 0_usize;
    // SAFETY: a local reference.
    let ((), found) = capture(|| unsafe { release(&raw mut reference, 0) });
    assert_eq!(found[0].rule.name, "RundownProtection");
    assert_eq!(reference, 0);
}

#[test]
fn references_may_move_between_processors() {
    let at = leaked(CacheAware {
        lines: [[0xFF; 8]; PROCESSORS as usize],
    });
    let get = move || std::ptr::with_exposed_provenance_mut::<CacheAware>(at);
    // SAFETY: a leaked reference, here and below.
    unsafe { initialize_cache_aware(get(), size_of::<CacheAware>()) };
    let acquired: Vec<u8> = (0..3)
        .map(|_| {
            // SAFETY: as above.
            std::thread::spawn(move || unsafe { acquire_cache_aware(get(), 0) })
        })
        .map(|thread| thread.join().expect("no panic"))
        .collect();
    assert_eq!(acquired, [1, 1, 1]);
    // SAFETY: as above; released here, wherever they were acquired.
    unsafe { release_cache_aware_ex(get(), 2, 0) };
    let other = std::thread::spawn(move || {
        // SAFETY: as above.
        while unsafe { acquire_cache_aware(get(), 0) } == 1 {
            // SAFETY: as above.
            unsafe { release_cache_aware(get(), 0) };
        }
        std::thread::sleep(Duration::from_millis(10));
        // SAFETY: as above.
        unsafe { release_cache_aware(get(), 0) };
    });
    // SAFETY: as above.
    unsafe { wait_for_release_cache_aware(get(), 0) };
    other.join().expect("no panic");
    // SAFETY: as above.
    assert_eq!(unsafe { acquire_cache_aware(get(), 0) }, 0);
    // SAFETY: as above.
    unsafe { reinitialize_cache_aware(get()) };
    // SAFETY: as above.
    assert_eq!(unsafe { acquire_cache_aware(get(), 0) }, 1);
}

#[test]
fn a_wait_at_dispatch_is_reported() {
    let mut reference = 0_usize;
    let ((), found) = capture(|| {
        let _dispatch = irql::raised_to(DISPATCH_LEVEL);
        // SAFETY: a local reference.
        unsafe { wait_for_release(&raw mut reference, 0) };
    });
    assert_eq!(found[0].rule.name, "IrqlTooHigh");
}
