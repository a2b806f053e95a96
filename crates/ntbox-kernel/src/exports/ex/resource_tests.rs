//! Modes, waiting and misuse of resources.

use super::*;
use crate::verifier::capture;

const ME: Owner = 8;
const OTHER: Owner = 16;

#[test]
fn modes_follow_the_documented_rules() {
    let mut state = State::default();
    assert!(state.take(ME, Mode::Shared) && state.take(OTHER, Mode::Shared));
    assert!(
        !state.take(ME, Mode::Exclusive),
        "not over another's shared access"
    );
    state.exclusive_waiters = 1;
    assert!(
        !state.take(3, Mode::Shared),
        "a waiting exclusive request comes first"
    );
    assert!(
        state.take(ME, Mode::Shared),
        "but not before a recursive one"
    );
    assert!(!state.take(ME, Mode::SharedWaitForExclusive));
    assert!(state.take(3, Mode::SharedStarveExclusive));
    for owner in [ME, ME, OTHER, 3] {
        assert!(state.give(owner));
    }
    assert!(!state.give(ME));
    assert!(state.take(ME, Mode::Exclusive) && state.take(ME, Mode::Exclusive));
    assert!(
        state.take(ME, Mode::Shared),
        "an exclusive owner gets shared access"
    );
    assert!(!state.take(OTHER, Mode::SharedStarveExclusive));
    assert_eq!(state.exclusive, Some((ME, 3)));
}

#[test]
fn a_waiting_writer_gets_in_after_the_reader() {
    let at = Box::into_raw(Box::<ERESOURCE>::default()).expose_provenance();
    let get = move || std::ptr::with_exposed_provenance_mut::<ERESOURCE>(at);
    // SAFETY: a leaked resource, here and below.
    unsafe { initialize(get(), 0) };
    thread::enter_critical_region();
    // SAFETY: as above.
    assert_eq!(unsafe { acquire_shared(get(), 1, 0) }, 1);
    let writer = std::thread::spawn(move || {
        thread::enter_critical_region();
        // SAFETY: as above.
        assert_eq!(unsafe { acquire_exclusive(get(), 0, 0) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { acquire_exclusive(get(), 1, 0) }, 1);
        // SAFETY: as above.
        assert_eq!(unsafe { is_acquired_exclusive(get()) }, 1);
        // SAFETY: as above.
        unsafe { release(get(), 0) };
        thread::leave_critical_region();
    });
    // SAFETY: as above.
    while unsafe { exclusive_waiters(get()) } == 0 {
        std::thread::yield_now();
    }
    // SAFETY: as above.
    unsafe { release(get(), 0) };
    writer.join().expect("no panic");
    // SAFETY: as above.
    assert_eq!(unsafe { is_acquired_shared(get()) }, 0);
    thread::leave_critical_region();
}

#[test]
fn misuse_is_reported() {
    let mut resource = ERESOURCE::default();
    let at = &raw mut resource;
    let ((), found) = capture(|| {
        // SAFETY: a local resource, here and below.
        unsafe { initialize(at, 0) };
        // SAFETY: as above.
        unsafe { acquire_exclusive(at, 1, 0) };
        // SAFETY: as above.
        unsafe { release(at, 0) };
        // SAFETY: as above.
        unsafe { release(at, 0) };
        // SAFETY: as above.
        unsafe { enter_and_acquire_shared(at, 0) };
        // SAFETY: as above.
        unsafe { delete(at, 0) };
        thread::leave_critical_region();
    });
    let names: Vec<_> = found.iter().map(|found| found.rule.name).collect();
    assert_eq!(
        names,
        [
            "ResourceApcsEnabled",
            "ResourceReleasedWithApcs",
            "ResourceReleasedWithApcs",
            "ResourceNotOwned",
            "ResourceDeletedOwned"
        ]
    );
}
