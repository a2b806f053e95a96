//! APCs are delivered where the documentation says, and nowhere else.

#![expect(unsafe_code, reason = "waits take raw objects")]

use super::*;
use crate::nt::{DISPATCH_LEVEL, KEVENT, PASSIVE_LEVEL, STATUS_SUCCESS};
use crate::processor::dispatcher;
use crate::processor::thread::{current, queue_apc, spawn};
use crate::verifier::capture;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Queues an APC to the current thread that counts and checks its IRQL.
fn queue_counting(count: &Arc<AtomicU32>) {
    let count = Arc::clone(count);
    queue_apc(
        current(),
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
        assert_eq!(dispatcher::delay(-500_000, 0), STATUS_SUCCESS);
        assert_eq!(seen.load(Ordering::Acquire), 0);
        irql::lower(old);
        assert_eq!(seen.load(Ordering::Acquire), 1);
    });
    let thread = told.recv().expect("told");
    let count = Arc::clone(&ran);
    queue_apc(
        thread,
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
