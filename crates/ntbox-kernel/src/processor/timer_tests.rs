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
    unsafe { dpc::initialize(dpc, count, std::ptr::from_ref(counter).cast_mut().cast()) };
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
    assert!(unsafe { dpc::insert(dpc, number(10), number(100)) });
    // SAFETY: as above.
    assert!(!unsafe { dpc::insert(dpc, number(1), number(1)) });
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
    assert!(unsafe { dpc::insert(dpc, number(0), number(0)) });
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
