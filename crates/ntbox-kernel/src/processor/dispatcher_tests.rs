//! Waits against the documented semantics of dispatcher objects.

use super::*;
use crate::nt::{
    DISPATCH_LEVEL, KMUTANT, KSEMAPHORE, NTSTATUS, PASSIVE_LEVEL, STATUS_SUCCESS, STATUS_TIMEOUT,
};
use crate::processor::{irql, lifetime, object, thread, time};
use crate::verifier::capture;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

const SECOND: i64 = 10_000_000;

/// A leaked object that several threads of a test use.
struct Shared<T>(*mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: dispatcher objects are for all threads.
unsafe impl<T> Send for Shared<T> {}

impl<T> Shared<T> {
    fn new() -> Self
    where
        T: Default,
    {
        Self(Box::into_raw(Box::<T>::default()))
    }
    fn object(self) -> *mut c_void {
        self.0.cast()
    }
}

fn event(notification: bool, signaled: bool) -> Shared<KEVENT> {
    let event = Shared::<KEVENT>::new();
    // SAFETY: the memory of an event.
    unsafe { initialize_event(event.0, notification, signaled) };
    event
}

fn wait_one<T>(object: Shared<T>, timeout: Option<i64>) -> NTSTATUS {
    // SAFETY: the tests' objects are leaked.
    unsafe { wait(&[object.object()], false, timeout, false) }
}

fn set(event: Shared<KEVENT>) -> i32 {
    // SAFETY: leaked.
    unsafe { set_event(event.0) }
}

/// Waits until `count` threads wait for the object.
fn until_waiting<T>(object: Shared<T>, count: usize) {
    let waiting = || {
        let waits = lock();
        // SAFETY: blocks in the list are alive under the lock.
        waits
            .blocks
            .iter()
            .filter(|block| unsafe { &***block }.objects.contains(&object.object()))
            .count()
    };
    while waiting() < count {
        std::thread::yield_now();
    }
}

#[test]
fn a_notification_event_stays_signaled() {
    let event = event(true, false);
    assert_eq!(wait_one(event, Some(0)), STATUS_TIMEOUT);
    assert_eq!(set(event), 0);
    assert_eq!(set(event), 1);
    assert_eq!([wait_one(event, Some(0)), wait_one(event, None)], [0, 0]);
    // SAFETY: leaked, here and below.
    assert_eq!(unsafe { reset_event(event.0) }, 1);
    // SAFETY: as above.
    assert_eq!(unsafe { read_state_event(event.0) }, 0);
    assert_eq!(wait_one(event, Some(0)), STATUS_TIMEOUT);
}

#[test]
fn a_synchronization_event_satisfies_one_wait() {
    let event = event(false, true);
    assert_eq!(
        [wait_one(event, Some(0)), wait_one(event, Some(0))],
        [0, STATUS_TIMEOUT]
    );
    let released = Shared(Box::into_raw(Box::new(AtomicU32::new(0))));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(move || {
                let released = released;
                assert_eq!(wait_one(event, None), STATUS_SUCCESS);
                // SAFETY: leaked.
                unsafe { &*released.0 }.fetch_add(1, Ordering::AcqRel)
            })
        })
        .collect();
    // SAFETY: leaked.
    let count = || unsafe { &*released.0 }.load(Ordering::Acquire);
    until_waiting(event, 3);
    for expected in 1..=3 {
        set(event);
        while count() < expected {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(count(), expected, "one wait for each signal");
        assert_eq!(
            // SAFETY: leaked.
            unsafe { read_state_event(event.0) },
            0,
            "the wait consumed the signal"
        );
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
}

#[test]
fn a_wait_for_any_gives_the_first_index() {
    let (first, second) = (event(false, false), event(false, true));
    let objects = [first.object(), second.object()];
    // SAFETY: leaked, here and below.
    assert_eq!(unsafe { wait(&objects, false, None, false) }, 1);
    let waiter = std::thread::spawn(move || {
        let objects = [first.object(), second.object()];
        // SAFETY: as above.
        unsafe { wait(&objects, false, None, false) }
    });
    until_waiting(second, 1);
    set(first);
    assert_eq!(waiter.join().expect("no panic"), 0);
    set(first);
    set(second);
    // SAFETY: as above.
    assert_eq!(unsafe { wait(&objects, false, None, false) }, 0);
    assert_eq!(
        wait_one(second, Some(0)),
        STATUS_SUCCESS,
        "only the object that satisfied the wait is reset"
    );
}

#[test]
fn a_wait_for_all_takes_nothing_until_it_takes_everything() {
    let (first, second) = (event(false, true), event(false, false));
    let waiter = std::thread::spawn(move || {
        let objects = [first.object(), second.object()];
        // SAFETY: leaked.
        unsafe { wait(&objects, true, None, false) }
    });
    until_waiting(second, 1);
    // SAFETY: leaked, here and below.
    assert_eq!(unsafe { read_state_event(first.0) }, 1);
    set(second);
    assert_eq!(waiter.join().expect("no panic"), STATUS_SUCCESS);
    assert_eq!(
        [first, second].map(|event| {
            // SAFETY: as above.
            unsafe { read_state_event(event.0) }
        }),
        [0, 0]
    );
}

#[test]
fn timeouts_are_relative_or_absolute() {
    let event = event(true, false);
    let relative: fn() -> i64 = || -SECOND / 20;
    for timeout in [relative, || time::system_time() + SECOND / 20] {
        let timeout = timeout();
        let started = Instant::now();
        assert_eq!(wait_one(event, Some(timeout)), STATUS_TIMEOUT);
        let waited = started.elapsed();
        assert!(
            waited >= Duration::from_millis(30) && waited < Duration::from_secs(5),
            "{waited:?}"
        );
    }
    assert_eq!(
        wait_one(event, Some(time::system_time() - SECOND)),
        STATUS_TIMEOUT
    );
    assert!(lock().blocks.iter().all(|block| {
        // SAFETY: alive under the lock.
        !unsafe { &**block }.objects.contains(&event.object())
    }));
}

#[test]
fn pulsing_wakes_who_waits_and_leaves_nothing() {
    let event = event(true, false);
    let waiter = std::thread::spawn(move || wait_one(event, None));
    until_waiting(event, 1);
    // SAFETY: leaked.
    assert_eq!(unsafe { pulse_event(event.0) }, 0);
    assert_eq!(waiter.join().expect("no panic"), STATUS_SUCCESS);
    assert_eq!(wait_one(event, Some(0)), STATUS_TIMEOUT);
}

#[test]
fn the_event_may_be_gone_when_the_waiter_returns() {
    // As drivers do it: the event lies in the frame of the thread that waits.
    for _ in 0..200 {
        let mut local = KEVENT::default();
        let at = &raw mut local;
        // SAFETY: local, and set before this frame ends.
        unsafe { initialize_event(at, true, false) };
        let other = Shared(at);
        let setter = std::thread::spawn(move || set(other));
        assert_eq!(wait_one(Shared(at), None), STATUS_SUCCESS);
        // What a stack frame holds next.
        // SAFETY: the setter does not touch the event after the wait is satisfied.
        unsafe { at.write_bytes(0xEE, 1) };
        setter.join().expect("no panic");
        // SAFETY: local.
        assert_eq!(unsafe { at.cast::<u8>().read() }, 0xEE);
    }
}

#[test]
fn semaphores_count_to_their_limit() {
    let semaphore = Shared::<KSEMAPHORE>::new();
    // SAFETY: leaked, here and below.
    unsafe { initialize_semaphore(semaphore.0, 1, 2) };
    assert_eq!(
        [wait_one(semaphore, Some(0)), wait_one(semaphore, Some(0))],
        [0, STATUS_TIMEOUT]
    );
    // SAFETY: as above.
    assert_eq!(unsafe { release_semaphore(semaphore.0, 2) }, 0);
    // SAFETY: as above.
    let (_, found) = capture(|| unsafe { release_semaphore(semaphore.0, 1) });
    assert_eq!(found[0].rule.name, "SemaphoreLimitExceeded");
    assert_eq!(
        [wait_one(semaphore, Some(0)), wait_one(semaphore, Some(0))],
        [0, 0]
    );
    assert_eq!(wait_one(semaphore, Some(0)), STATUS_TIMEOUT);
}

#[test]
fn mutexes_are_owned_and_recursive() {
    let mutex = Shared::<KMUTANT>::new();
    // SAFETY: leaked, here and below.
    unsafe { initialize_mutant(mutex.0, 0) };
    assert_eq!([wait_one(mutex, None), wait_one(mutex, None)], [0, 0]);
    assert!(
        thread::apcs_disabled(),
        "owning a mutex holds off normal kernel APCs"
    );
    let other = std::thread::spawn(move || {
        assert_eq!(wait_one(mutex, Some(0)), STATUS_TIMEOUT);
        // SAFETY: as above.
        let (_, found) = capture(|| unsafe { release_mutant(mutex.0) });
        assert_eq!(found[0].rule.name, "MutexNotOwned");
        assert_eq!(wait_one(mutex, None), STATUS_SUCCESS);
        assert_eq!(owned_mutants(), 1);
        // SAFETY: as above.
        unsafe { release_mutant(mutex.0) };
        assert!(!thread::apcs_disabled());
    });
    until_waiting(mutex, 1);
    // SAFETY: as above.
    assert_ne!(unsafe { release_mutant(mutex.0) }, 0, "still owned once");
    assert!(thread::apcs_disabled());
    // SAFETY: as above.
    assert_eq!(unsafe { release_mutant(mutex.0) }, 0);
    assert!(!thread::apcs_disabled());
    other.join().expect("no panic");
}

#[test]
fn a_wait_that_may_block_at_dispatch_is_reported() {
    let event = event(true, true);
    let ((), found) = capture(|| {
        let _dispatch = irql::raised_to(DISPATCH_LEVEL);
        wait_one(event, Some(0));
    });
    assert!(found.is_empty(), "a poll is allowed");
    let ((), found) = capture(|| {
        let _dispatch = irql::raised_to(DISPATCH_LEVEL);
        wait_one(event, None);
    });
    assert_eq!(found[0].rule.name, "WaitAtDispatch");
    assert_eq!(irql::current(), PASSIVE_LEVEL);
}

#[test]
fn an_object_that_was_never_initialized_is_reported() {
    let event = Shared::<KEVENT>::new();
    let ((), found) = capture(|| {
        set(event);
        wait_one(event, Some(0));
    });
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|found| found.rule.name == "UninitializedObject")
    );
}

#[test]
fn the_object_of_a_thread_is_signaled_when_it_ends() {
    let (tell, told) = std::sync::mpsc::channel();
    let (go, wait_to_go) = std::sync::mpsc::channel::<()>();
    let handle = thread::spawn("dispatcher test", move || {
        let object = thread::current().object();
        // SAFETY: that of the thread that runs.
        unsafe { lifetime::reference(object) };
        tell.send(object.expose_provenance()).expect("told");
        wait_to_go.recv().expect("go");
    });
    let object = Shared::<c_void>(std::ptr::with_exposed_provenance_mut(
        told.recv().expect("told"),
    ));
    assert_eq!(wait_one(object, Some(0)), STATUS_TIMEOUT);
    go.send(()).expect("alive");
    assert_eq!(wait_one(object, Some(-5 * SECOND)), STATUS_SUCCESS);
    handle.join().expect("no panic");
    assert_eq!(wait_one(object, Some(0)), STATUS_SUCCESS);
    // SAFETY: as above.
    assert_eq!(unsafe { object::pointer_count(object.0) }, 1);
    // SAFETY: the reference that was taken.
    unsafe { lifetime::dereference(object.0) };
}

#[test]
fn a_delay_takes_its_time() {
    let started = Instant::now();
    assert_eq!(delay(-SECOND / 50, false, 0), STATUS_SUCCESS);
    assert!(started.elapsed() >= Duration::from_millis(20));
}
