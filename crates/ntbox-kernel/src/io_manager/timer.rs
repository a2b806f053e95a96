//! The once-a-second timer of a device (`IoInitializeTimer`, `IoStartTimer`, `IoStopTimer`).

#![expect(
    unsafe_code,
    reason = "timer routines are called with their device by pointer"
)]

use super::checks;
use super::database::describe;
use crate::nt::{DEVICE_OBJECT, NTSTATUS, STATUS_SUCCESS};
use crate::processor::driver_code::entering;
use crate::processor::lifetime;
use crate::processor::work;
use crate::verifier::rules;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// `IO_TIMER_ROUTINE`.
pub type TimerRoutine = unsafe extern "win64" fn(*mut DEVICE_OBJECT, *mut c_void);

const PERIOD: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
struct Timer {
    routine: TimerRoutine,
    context: usize,
    /// Changes with every start and stop, so that a tick of an earlier start ends.
    generation: u64,
    running: bool,
}

static TIMERS: LazyLock<Mutex<HashMap<usize, Timer>>> = LazyLock::new(Mutex::default);

fn timers() -> MutexGuard<'static, HashMap<usize, Timer>> {
    TIMERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `IoInitializeTimer`, called by `site`: gives the device its timer, stopped.
///
/// # Safety
/// `device` is alive.
pub unsafe fn initialize(
    device: *mut DEVICE_OBJECT,
    routine: TimerRoutine,
    context: *mut c_void,
    site: usize,
) -> NTSTATUS {
    let timer = Timer {
        routine,
        context: context as usize,
        generation: 0,
        running: false,
    };
    if timers().insert(device as usize, timer).is_some() {
        checks::report(
            &rules::TIMER_AGAIN,
            // SAFETY: contract.
            unsafe {
                format!(
                    "the timer of {} is initialized a second time",
                    describe(device)
                )
            },
            std::ptr::null_mut(),
            vec![("initialized again by", site)],
        );
    }
    STATUS_SUCCESS
}

/// `IoStartTimer`: the routine is called at DISPATCH_LEVEL once a second.
///
/// # Safety
/// `device` is alive.
pub unsafe fn start(device: *mut DEVICE_OBJECT) {
    let mut timers = timers();
    let Some(timer) = timers.get_mut(&(device as usize)) else {
        return;
    };
    timer.running = true;
    timer.generation += 1;
    let generation = timer.generation;
    drop(timers);
    tick_later(device as usize, generation);
}

fn tick_later(device: usize, generation: u64) {
    work::later(
        PERIOD,
        Box::new(move || {
            let Some(timer) = timers().get(&device).copied() else {
                return;
            };
            if !timer.running || timer.generation != generation {
                return;
            }
            let pointer = device as *mut DEVICE_OBJECT;
            // SAFETY: a timer leaves the table before its device is deleted.
            unsafe { lifetime::reference(pointer.cast()) };
            // SAFETY: the driver gave the routine for this device.
            unsafe { entering(timer.routine)(pointer, timer.context as *mut c_void) };
            // SAFETY: referenced above.
            unsafe { lifetime::dereference(pointer.cast()) };
            tick_later(device, generation);
        }),
    );
}

/// `IoStopTimer`.
///
/// # Safety
/// `device` is alive.
pub unsafe fn stop(device: *mut DEVICE_OBJECT) {
    if let Some(timer) = timers().get_mut(&(device as usize)) {
        timer.running = false;
        timer.generation += 1;
    }
}

/// The device is being deleted.
pub(super) fn remove(device: *mut DEVICE_OBJECT) {
    timers().remove(&(device as usize));
}

/// True if a timer of one of these devices is running.
pub(super) fn running(device: *mut DEVICE_OBJECT) -> bool {
    timers()
        .get(&(device as usize))
        .is_some_and(|timer| timer.running)
}
