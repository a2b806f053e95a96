//! Timers and DPC objects.

use super::*;
use crate::nt::{DISPATCH_LEVEL, NTSTATUS, STATUS_SUCCESS, STATUS_TIMEOUT};
use crate::processor::dispatcher;
use crate::processor::{irql, work};
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

const MILLISECOND: i64 = 10_000;

fn timer(notification: bool) -> *mut KTIMER {
    let timer = Box::into_raw(Box::<KTIMER>::default());
    // SAFETY: the memory of a timer.
    unsafe { initialize(timer, notification) };
    timer
}

fn wait(timer: *mut KTIMER, timeout: i64) -> NTSTATUS {
    // SAFETY: a leaked timer.
    unsafe { dispatcher::wait(&[timer.cast()], false, Some(timeout), false) }
}

/// Counts in the context; the arguments are added.
unsafe extern "win64" fn count(
    _dpc: *mut KDPC,
    context: *mut c_void,
    argument1: *mut c_void,
    argument2: *mut c_void,
) {
    assert_eq!(irql::current(), DISPATCH_LEVEL);
    // SAFETY: the tests pass a leaked counter.
    let counter = unsafe { &*context.cast::<AtomicUsize>() };
    counter.fetch_add(1 + argument1.addr() + argument2.addr(), Ordering::AcqRel);
}

fn counting_dpc() -> (*mut KDPC, &'static AtomicUsize) {
    let counter: &'static AtomicUsize = Box::leak(Box::default());
    let dpc = Box::into_raw(Box::<KDPC>::default());
    // SAFETY: the memory of a DPC.
    unsafe { dpc::initialize(dpc, count, std::ptr::from_ref(counter).cast_mut().cast(), 0) };
    (dpc, counter)
}

#[test]
fn a_timer_is_signaled_when_it_is_due() {
    let timer = timer(false);
    assert_eq!(wait(timer, 0), STATUS_TIMEOUT);
    // SAFETY: leaked, here and below.
    assert!(!unsafe { set(timer, -20 * MILLISECOND, 0, std::ptr::null_mut(), 0) });
    assert_eq!(wait(timer, 0), STATUS_TIMEOUT);
    assert_eq!(wait(timer, -5_000 * MILLISECOND), STATUS_SUCCESS);
    assert_eq!(
        wait(timer, 0),
        STATUS_TIMEOUT,
        "a synchronization timer is reset by the wait"
    );
    assert!(!cancel(timer), "it is not set any more");
}

#[test]
fn a_cancelled_timer_never_expires() {
    let (timer, (dpc, counter)) = (timer(true), counting_dpc());
    // SAFETY: leaked, here and below.
    unsafe { set(timer, -30 * MILLISECOND, 0, dpc, 0) };
    let code = count as *const () as usize;
    let has_dpc = || outstanding(&(code..code + 1)).len();
    let before = has_dpc();
    assert!(before >= 1);
    assert!(cancel(timer));
    assert!(!cancel(timer));
    // SAFETY: as above.
    unsafe { set(timer, -1_000_000 * MILLISECOND, 0, dpc, 0) };
    // SAFETY: as above; setting it again replaces the due time.
    assert!(unsafe { set(timer, -40 * MILLISECOND, 0, std::ptr::null_mut(), 0) });
    assert_eq!(wait(timer, -5_000 * MILLISECOND), STATUS_SUCCESS);
    work::flush_dpcs();
    assert_eq!(counter.load(Ordering::Acquire), 0);
    assert_eq!(
        wait(timer, 0),
        STATUS_SUCCESS,
        "a notification timer stays signaled"
    );
}

#[test]
fn a_periodic_timer_queues_its_dpc_each_time() {
    let (timer, (dpc, counter)) = (timer(true), counting_dpc());
    // SAFETY: leaked.
    unsafe { set(timer, -MILLISECOND, 2, dpc, 0) };
    let started = Instant::now();
    while counter.load(Ordering::Acquire) < 3 && started.elapsed() < Duration::from_secs(10) {
        std::thread::yield_now();
    }
    assert!(cancel(timer));
    work::flush_dpcs();
    let stopped = counter.load(Ordering::Acquire);
    assert!(stopped >= 3);
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!(counter.load(Ordering::Acquire), stopped);
}

#[test]
fn a_dpc_is_queued_once_with_its_arguments() {
    let (dpc, counter) = counting_dpc();
    // The DPC thread is kept busy, so that the second insertion finds the first.
    let gate = std::sync::Arc::new(std::sync::Barrier::new(2));
    let other = std::sync::Arc::clone(&gate);
    work::queue_dpc(Box::new(move || {
        other.wait();
    }));
    let number = std::ptr::without_provenance_mut;
    // SAFETY: leaked, here and below.
    assert!(unsafe { dpc::insert(dpc, number(10), number(100), 0) });
    // SAFETY: as above.
    assert!(!unsafe { dpc::insert(dpc, number(1), number(1), 0) });
    gate.wait();
    work::flush_dpcs();
    assert_eq!(counter.load(Ordering::Acquire), 111);
    // SAFETY: as above.
    assert!(!unsafe { dpc::remove(dpc) });
    let other = std::sync::Arc::clone(&gate);
    work::queue_dpc(Box::new(move || {
        other.wait();
    }));
    // SAFETY: as above.
    assert!(unsafe { dpc::insert(dpc, number(0), number(0), 0) });
    // SAFETY: as above.
    assert!(unsafe { dpc::remove(dpc) });
    gate.wait();
    work::flush_dpcs();
    assert_eq!(counter.load(Ordering::Acquire), 111);
}

#[test]
fn calls_come_in_the_order_of_their_time() {
    let (tell, told) = std::sync::mpsc::channel();
    for (delay, number) in [(30, 3), (10, 1), (20, 2)] {
        let tell = tell.clone();
        after(
            Duration::from_millis(delay),
            Box::new(move || tell.send(number).expect("told")),
        );
    }
    drop(tell);
    assert_eq!(told.iter().collect::<Vec<_>>(), [1, 2, 3]);
}

/// What verifier has to say of `what`, by the names of its rules.
fn found(what: impl FnOnce()) -> Vec<&'static str> {
    let ((), found) = crate::verifier::capture(what);
    found.iter().map(|found| found.rule.name).collect()
}

/// Memory of one that was never initialized, of one that is in a list of the system, and of one that was there.
#[test]
fn what_is_no_timer_and_no_dpc_is_refused() {
    let zeroed = Box::into_raw(Box::<KTIMER>::default());
    let no_dpc = Box::into_raw(Box::<KDPC>::default());
    let (timer, (dpc, counter)) = (timer(true), counting_dpc());
    let is_uninitialized = [rules::UNINITIALIZED_OBJECT.name];
    let set_with = |timer, dpc| {
        // SAFETY: leaked, here and below.
        found(|| assert!(!unsafe { expect("KeSetTimer", timer, dpc, 0) }))
    };
    assert_eq!(set_with(zeroed, std::ptr::null_mut()), is_uninitialized);
    assert_eq!(set_with(timer, no_dpc), is_uninitialized);
    let insert = |dpc| {
        found(|| {
            let none = std::ptr::null_mut();
            // SAFETY: as above.
            unsafe { dpc::insert(dpc, none, none, 0) };
            work::flush_dpcs();
        })
    };
    assert_eq!(insert(no_dpc), is_uninitialized);
    assert_eq!(insert(dpc), [""; 0]);
    assert_eq!(counter.load(Ordering::Acquire), 1);
    // SAFETY: as above.
    unsafe { set(timer, -1_000_000 * MILLISECOND, 0, dpc, 0) };
    let anew = || found(|| check_not_set("KeInitializeTimer", timer, 0));
    assert_eq!(anew(), [rules::ACTIVE_INITIALIZED.name]);
    assert_eq!(anew(), [""; 0]);
}

#[test]
fn a_timer_that_is_written_over_is_not_touched() {
    let mut timers = Timers::default();
    let timer = timer(true);
    let expiration = Expiration {
        caller: 7,
        dpc: 0,
        site: 0,
        period: Duration::ZERO,
    };
    let mut expire = || {
        timers.arm(timer.addr(), Instant::now(), expiration);
        timers.expire(timer.addr())
    };
    assert!(expire().is_none());
    // SAFETY: leaked.
    unsafe { timer.write_bytes(0x5A, 1) };
    assert!(expire().is_some_and(|(_, lost, caller)| (lost, caller) == (timer.addr(), 7)));
    // SAFETY: as above.
    let bytes = unsafe { timer.cast::<[u8; size_of::<KTIMER>()]>().read() };
    assert!(bytes.iter().all(|byte| *byte == 0x5A));
}
