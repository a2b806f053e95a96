//! APCs are delivered where the documentation says, and nowhere else.

#![expect(unsafe_code, reason = "waits take raw objects")]

use super::*;
use crate::nt::{
    DISPATCH_LEVEL, KEVENT, PASSIVE_LEVEL, STATUS_SUCCESS, STATUS_TIMEOUT, STATUS_USER_APC,
};
use crate::processor::thread::{current, queue_apc, spawn};
use crate::processor::{dispatcher, thread};
use crate::verifier::capture;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Queues an APC to the current thread that counts and checks its IRQL.
fn queue_counting(count: &Arc<AtomicU32>) {
    let count = Arc::clone(count);
    queue_apc(
        current(),
        Sort::Special,
        Box::new(move || {
            assert_eq!(irql::current(), APC_LEVEL);
            count.fetch_add(1, Ordering::AcqRel);
        }),
    );
}

#[test]
fn an_apc_to_oneself_runs_at_once_below_apc_level() {
    let count = Arc::new(AtomicU32::new(0));
    queue_counting(&count);
    assert_eq!(count.load(Ordering::Acquire), 1);
    assert_eq!(irql::current(), PASSIVE_LEVEL);
}

#[test]
fn lowering_the_irql_delivers() {
    let count = Arc::new(AtomicU32::new(0));
    for level in [APC_LEVEL, DISPATCH_LEVEL] {
        let old = irql::raise(level);
        queue_counting(&count);
        assert!(all_apcs_disabled());
        let before = count.load(Ordering::Acquire);
        if level == DISPATCH_LEVEL {
            irql::lower(APC_LEVEL);
            assert_eq!(count.load(Ordering::Acquire), before, "not at APC_LEVEL");
        }
        irql::lower(old);
        assert_eq!(count.load(Ordering::Acquire), before + 1);
    }
}

#[test]
fn a_guarded_region_holds_off_and_a_critical_region_does_not() {
    let count = Arc::new(AtomicU32::new(0));
    enter_critical_region();
    assert!(apcs_disabled() && !all_apcs_disabled());
    queue_counting(&count);
    assert_eq!(
        count.load(Ordering::Acquire),
        1,
        "special kernel APCs run in a critical region"
    );
    enter_guarded_region();
    queue_counting(&count);
    deliver_apcs();
    assert_eq!(count.load(Ordering::Acquire), 1);
    leave_guarded_region();
    assert_eq!(count.load(Ordering::Acquire), 2);
    leave_critical_region();
    assert!(!apcs_disabled());
}

#[test]
fn a_wait_is_interrupted_and_goes_on() {
    let (tell, told) = std::sync::mpsc::channel();
    let waiter = spawn("apc test", move || {
        let mut event = KEVENT::default();
        let at = &raw mut event;
        // SAFETY: a local event that the APC sets while this thread waits.
        unsafe { dispatcher::initialize_event(at, true, false) };
        tell.send((current(), at.expose_provenance()))
            .expect("told");
        // SAFETY: as above.
        let status = unsafe { dispatcher::wait(&[at.cast()], false, None, false) };
        assert_eq!(status, STATUS_SUCCESS);
        assert_eq!(irql::current(), PASSIVE_LEVEL);
    });
    let (thread, event) = told.recv().expect("told");
    let ran = Arc::new(AtomicU32::new(0));
    for number in 1..=3 {
        let seen = Arc::clone(&ran);
        queue_apc(
            thread,
            Sort::Special,
            Box::new(move || {
                assert_eq!(irql::current(), APC_LEVEL);
                assert!(std::ptr::eq(thread, current()));
                seen.store(number, Ordering::Release);
                if number == 3 {
                    // SAFETY: the event lies in the frame of the wait that this APC interrupts.
                    unsafe { dispatcher::set_event(std::ptr::with_exposed_provenance_mut(event)) };
                }
            }),
        );
        while ran.load(Ordering::Acquire) < number {
            std::thread::yield_now();
        }
    }
    waiter.join().expect("no panic");
}

#[test]
fn no_apc_interrupts_a_wait_at_apc_level() {
    let (tell, told) = std::sync::mpsc::channel();
    let ran = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&ran);
    let waiter = spawn("apc level test", move || {
        let old = irql::raise(APC_LEVEL);
        tell.send(current()).expect("told");
        assert_eq!(dispatcher::delay(-500_000, false, 0), STATUS_SUCCESS);
        assert_eq!(seen.load(Ordering::Acquire), 0);
        irql::lower(old);
        assert_eq!(seen.load(Ordering::Acquire), 1);
    });
    let thread = told.recv().expect("told");
    let count = Arc::clone(&ran);
    queue_apc(
        thread,
        Sort::Special,
        Box::new(move || {
            count.fetch_add(1, Ordering::AcqRel);
        }),
    );
    waiter.join().expect("no panic");
}

#[test]
fn leaving_a_region_that_was_not_entered_is_reported() {
    let ((), found) = capture(|| {
        leave_critical_region();
        leave_guarded_region();
    });
    let codes: Vec<_> = found.iter().map(|found| found.rule.name).collect();
    assert_eq!(codes, ["KeLeaveCriticalRegion", "GuardedRegions"]);
    assert_eq!(Regions::current(), Regions::default());
}

#[test]
fn a_normal_apc_runs_at_passive_level_and_not_in_a_critical_region() {
    let count = Arc::new(AtomicU32::new(0));
    let queue = || {
        let count = Arc::clone(&count);
        queue_apc(
            current(),
            Sort::Normal,
            Box::new(move || {
                assert_eq!(irql::current(), PASSIVE_LEVEL);
                count.fetch_add(1, Ordering::AcqRel);
            }),
        );
    };
    queue();
    assert_eq!(count.load(Ordering::Acquire), 1);
    enter_critical_region();
    queue();
    assert_eq!(count.load(Ordering::Acquire), 1, "held off");
    leave_critical_region();
    assert_eq!(count.load(Ordering::Acquire), 2);
    let old = irql::raise(APC_LEVEL);
    queue();
    assert_eq!(count.load(Ordering::Acquire), 2, "held off");
    irql::lower(old);
    assert_eq!(count.load(Ordering::Acquire), 3);
    // One is held off by another, and comes behind it.
    let (outer, inner) = (Arc::clone(&count), Arc::clone(&count));
    let nested = move || {
        queue_apc(
            current(),
            Sort::Normal,
            Box::new(move || {
                inner.fetch_add(1, Ordering::AcqRel);
            }),
        );
        assert_eq!(outer.load(Ordering::Acquire), 3, "held off");
    };
    queue_apc(current(), Sort::Normal, Box::new(nested));
    assert_eq!(count.load(Ordering::Acquire), 4);
}

#[test]
fn a_user_apc_ends_an_alertable_wait_of_user_mode_and_runs_behind_it() {
    let count = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&count);
    let apc = move || {
        seen.fetch_add(1, Ordering::AcqRel);
    };
    queue_apc(current(), Sort::User, Box::new(apc));
    let mut event = KEVENT::default();
    // SAFETY: a local event.
    unsafe { dispatcher::initialize_event(&raw mut event, true, true) };
    let wait = |timeout, alertable| {
        let object = (&raw const event).cast_mut().cast();
        // SAFETY: as above.
        thread::from_user_mode(|| unsafe { dispatcher::wait(&[object], false, timeout, alertable) })
    };
    assert_eq!(
        wait(None, true),
        STATUS_SUCCESS,
        "what is signaled ends it first"
    );
    // SAFETY: as above.
    unsafe { dispatcher::clear_event((&raw const event).cast_mut()) };
    assert_eq!(wait(Some(-1), false), STATUS_TIMEOUT);
    assert_eq!(count.load(Ordering::Acquire), 0);
    assert_eq!(wait(None, true), STATUS_USER_APC);
    assert_eq!(count.load(Ordering::Acquire), 1);
    assert_eq!(wait(Some(0), true), STATUS_TIMEOUT);
}
