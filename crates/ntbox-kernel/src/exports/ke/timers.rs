//! DPCs, timers and clocks.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::exports::resident;
use crate::nt::routines::DeferredRoutine;
use crate::nt::{KDPC, KTIMER};
use crate::processor::given;
use crate::processor::{counter, dpc, irql, time, timer, work};
use std::ffi::c_void;

/// `KeInitializeDpc`.
pub unsafe extern "win64" fn initialize_dpc(
    dpc: *mut KDPC,
    routine: DeferredRoutine,
    context: *mut c_void,
    caller: usize,
) {
    given::remember(routine as usize, "KeInitializeDpc", caller);
    // SAFETY: the driver passes the memory of a DPC.
    unsafe { dpc::initialize(dpc, routine, context, caller) }
}

/// `KeInsertQueueDpc`.
pub unsafe extern "win64" fn insert_queue_dpc(
    dpc: *mut KDPC,
    argument1: *mut c_void,
    argument2: *mut c_void,
    caller: usize,
) -> u8 {
    // SAFETY: the driver passes a DPC.
    u8::from(unsafe { dpc::insert(dpc, argument1, argument2, caller) })
}

/// `KeRemoveQueueDpc`.
pub unsafe extern "win64" fn remove_queue_dpc(dpc: *mut KDPC) -> u8 {
    // SAFETY: the driver passes a DPC.
    u8::from(unsafe { dpc::remove(dpc) })
}

/// `KeFlushQueuedDpcs`.
pub unsafe extern "win64" fn flush_queued_dpcs(caller: usize) {
    irql::require("KeFlushQueuedDpcs", caller);
    work::flush_dpcs();
}

/// `KeInitializeTimer`: a notification timer.
pub unsafe extern "win64" fn initialize_timer(timer: *mut KTIMER, caller: usize) {
    // SAFETY: as for the driver.
    unsafe { initialize_as("KeInitializeTimer", timer, true, caller) }
}

/// `KeInitializeTimerEx`. `kind` is a `TIMER_TYPE`: 0 is a notification timer.
pub unsafe extern "win64" fn initialize_timer_ex(timer: *mut KTIMER, kind: i32, caller: usize) {
    // SAFETY: as for the driver.
    unsafe { initialize_as("KeInitializeTimerEx", timer, kind == 0, caller) }
}

unsafe fn initialize_as(ddi: &'static str, timer: *mut KTIMER, notification: bool, caller: usize) {
    irql::require(ddi, caller);
    resident::object(ddi, timer.addr(), caller);
    timer::check_not_set(ddi, timer, caller);
    // SAFETY: the driver passes the memory of a timer.
    unsafe { timer::initialize(timer, notification) }
}

/// `KeSetTimer`.
pub unsafe extern "win64" fn set_timer(
    timer: *mut KTIMER,
    due: i64,
    dpc: *mut KDPC,
    caller: usize,
) -> u8 {
    // SAFETY: as for the driver.
    unsafe { set_as("KeSetTimer", timer, (due, 0), dpc, caller) }
}

/// `KeSetTimerEx`.
pub unsafe extern "win64" fn set_timer_ex(
    timer: *mut KTIMER,
    due: i64,
    period: i32,
    dpc: *mut KDPC,
    caller: usize,
) -> u8 {
    // SAFETY: as for the driver.
    unsafe { set_as("KeSetTimerEx", timer, (due, period), dpc, caller) }
}

unsafe fn set_as(
    ddi: &'static str,
    timer: *mut KTIMER,
    (due, period): (i64, i32),
    dpc: *mut KDPC,
    caller: usize,
) -> u8 {
    irql::require(ddi, caller);
    // SAFETY: the driver passes memory of a timer.
    if !unsafe { timer::expect(ddi, timer, dpc, caller) } {
        return 0;
    }
    let period = period.max(0).cast_unsigned();
    // SAFETY: the driver passes a timer and a DPC or null, which were looked at.
    u8::from(unsafe { timer::set(timer, due, period, dpc, caller) })
}

/// `KeCancelTimer`.
pub unsafe extern "win64" fn cancel_timer(timer: *mut KTIMER, caller: usize) -> u8 {
    irql::require("KeCancelTimer", caller);
    u8::from(timer::cancel(timer))
}

/// `KeQueryPerformanceCounter`.
pub unsafe extern "win64" fn query_performance_counter(frequency: *mut i64) -> i64 {
    if !frequency.is_null() {
        // SAFETY: the driver passes a `LARGE_INTEGER` or null.
        unsafe { frequency.write_unaligned(counter::FREQUENCY) };
    }
    counter::performance_counter()
}

/// `KeQuerySystemTimePrecise`.
pub unsafe extern "win64" fn query_system_time_precise(now: *mut i64) {
    // SAFETY: the driver passes a `LARGE_INTEGER`.
    unsafe { now.write_unaligned(time::system_time()) };
}

/// `KeQueryInterruptTime`, and `KeQueryUnbiasedInterruptTime`: the box never sleeps.
pub unsafe extern "win64" fn query_interrupt_time() -> i64 {
    time::interrupt_time()
}

/// `KeQueryInterruptTimePrecise`.
pub unsafe extern "win64" fn query_interrupt_time_precise(counter: *mut i64) -> i64 {
    let now = time::interrupt_time();
    // SAFETY: the driver passes a `LARGE_INTEGER` for the performance counter.
    unsafe { counter.write_unaligned(now) };
    now
}

/// `KeQueryTimeIncrement`.
pub unsafe extern "win64" fn query_time_increment() -> u32 {
    time::UNITS_PER_TICK as u32
}

/// `KeStallExecutionProcessor`: spins for some microseconds.
pub unsafe extern "win64" fn stall_execution_processor(microseconds: u32) {
    let until =
        std::time::Instant::now() + std::time::Duration::from_micros(u64::from(microseconds));
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
}
