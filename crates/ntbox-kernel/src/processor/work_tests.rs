//! Work items and DPCs run where and as they should.

use super::*;
use crate::verifier::capture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn draining_waits_for_items_dpcs_and_delayed_calls() {
    let count = Arc::new(AtomicU32::new(0));
    let step = |level| {
        let count = Arc::clone(&count);
        move || {
            assert_eq!(irql::current(), level);
            assert!(thread::current().is_system());
            count.fetch_add(1, Ordering::AcqRel);
        }
    };
    for _ in 0..20 {
        queue(Box::new(step(PASSIVE_LEVEL)));
        queue_dpc(Box::new(step(DISPATCH_LEVEL)));
    }
    after(Duration::from_millis(20), Box::new(step(DISPATCH_LEVEL)));
    // An item that queues another one is waited for with what it queued.
    let inner = step(PASSIVE_LEVEL);
    queue(Box::new(move || {
        std::thread::sleep(Duration::from_millis(5));
        queue(Box::new(inner));
    }));
    drain();
    assert_eq!(count.load(Ordering::Acquire), 42);
}

#[test]
fn dpcs_run_in_order_one_at_a_time() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    for number in 0..50 {
        let seen = Arc::clone(&seen);
        queue_dpc(Box::new(move || {
            seen.try_lock().expect("one at a time").push(number)
        }));
    }
    flush_dpcs();
    assert_eq!(
        *seen.lock().expect("not poisoned"),
        (0..50).collect::<Vec<_>>()
    );
}

#[test]
fn items_that_wait_for_each_other_get_more_threads() {
    let barrier = Arc::new(std::sync::Barrier::new(WORKERS + 3));
    for _ in 0..WORKERS + 3 {
        let barrier = Arc::clone(&barrier);
        queue(Box::new(move || {
            barrier.wait();
        }));
    }
    drain();
}

#[test]
fn what_a_routine_leaves_behind_is_reported() {
    let ((), found) = capture(|| {
        irql::restore(DISPATCH_LEVEL);
        check_worker(0);
        thread::enter_critical_region();
        check_worker(0);
        irql::set(PASSIVE_LEVEL);
        check_dpc(0);
        irql::set(DISPATCH_LEVEL);
        thread::enter_critical_region();
        check_dpc(0);
        check_dpc(0);
        irql::restore(PASSIVE_LEVEL);
    });
    let names: Vec<_> = found.iter().map(|found| found.rule.name).collect();
    assert_eq!(
        names,
        [
            "WorkerReturnedAtBadIrql",
            "KernelApcDisabledDuringExit",
            "DpcReturnedAtBadIrql",
            "DpcApcState"
        ]
    );
}

#[test]
fn only_what_nothing_keeps_is_outstanding() {
    // No code lies there; the routines of this test are the box's.
    const CODE: Range<usize> = 0x100..0x200;
    let gate = Arc::new(std::sync::Barrier::new(3));
    let other = Arc::clone(&gate);
    queue_exposed(
        CODE.start,
        Box::new(move || {
            other.wait();
        }),
    );
    let other = Arc::clone(&gate);
    queue_for(
        CODE.start,
        Box::new(move || {
            other.wait();
        }),
    );
    assert_eq!(outstanding(&CODE).len(), 1);
    assert!(outstanding(&(0x200..0x300)).is_empty());
    gate.wait();
    drain();
    assert!(outstanding(&CODE).is_empty());
}
