//! Events, semaphores, mutexes and waits.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::exports::resident;
use crate::io_manager::early_cancel::{self, Moment};
use crate::io_manager::{own_waits, running};
use crate::nt::{
    APC_LEVEL, DISPATCH_LEVEL, KEVENT, KMUTANT, KSEMAPHORE, Kirql, NTSTATUS, PASSIVE_LEVEL,
};
use crate::pe_image::crossing;
use crate::processor::{dispatcher, irql, points};
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::ptr::null;

/// `ddi` returns, which was told by `wait` whether a wait follows at once.
fn returns(ddi: &'static str, wait: u8, caller: usize) {
    points::point();
    if wait != 0 {
        irql::promise::make(ddi, caller);
    }
}

/// Ceiling of a routine that may be told that a wait follows at once.
fn signal_ceiling(wait_follows: u8) -> Kirql {
    if wait_follows == 0 {
        DISPATCH_LEVEL
    } else {
        APC_LEVEL
    }
}

/// `KeInitializeEvent`. `kind` is an `EVENT_TYPE`: 0 is a notification event.
pub unsafe extern "win64" fn initialize_event(
    event: *mut KEVENT,
    kind: i32,
    state: u8,
    caller: usize,
) {
    resident::object("KeInitializeEvent", event.addr(), caller);
    own_waits::settled(event.addr());
    // SAFETY: the driver passes the memory of an event.
    unsafe { dispatcher::initialize_event(event, kind == 0, state != 0) }
}

/// `KeSetEvent`. There are no thread priorities to boost by `increment`.
pub unsafe extern "win64" fn set_event(
    event: *mut KEVENT,
    _increment: i32,
    wait: u8,
    caller: usize,
) -> i32 {
    irql::require_at_most("KeSetEvent", signal_ceiling(wait), caller);
    points::point();
    running::event_is_set(event as usize, caller);
    // SAFETY: the driver passes an event.
    let before = unsafe { dispatcher::set_event(event) };
    // Who waited may go on, and who has woken him is still in its driver; so wherever a wait is ended.
    returns("KeSetEvent", wait, caller);
    before
}

/// `KeResetEvent`.
pub unsafe extern "win64" fn reset_event(event: *mut KEVENT, caller: usize) -> i32 {
    irql::require("KeResetEvent", caller);
    // SAFETY: the driver passes an event.
    unsafe { dispatcher::reset_event(event) }
}

/// `KeClearEvent`.
pub unsafe extern "win64" fn clear_event(event: *mut KEVENT, caller: usize) {
    irql::require("KeClearEvent", caller);
    // SAFETY: the driver passes an event.
    unsafe { dispatcher::clear_event(event) }
}

/// `KePulseEvent`.
pub unsafe extern "win64" fn pulse_event(
    event: *mut KEVENT,
    _increment: i32,
    wait: u8,
    caller: usize,
) -> i32 {
    irql::require_at_most("KePulseEvent", signal_ceiling(wait), caller);
    points::point();
    // SAFETY: the driver passes an event.
    let before = unsafe { dispatcher::pulse_event(event) };
    returns("KePulseEvent", wait, caller);
    before
}

/// `KeReadStateEvent`, `KeReadStateSemaphore`, `KeReadStateMutex`, `KeReadStateTimer`.
pub unsafe extern "win64" fn read_state(object: *mut c_void) -> i32 {
    // SAFETY: the driver passes a dispatcher object.
    unsafe { dispatcher::read_state(object) }
}

/// Reads the timeout of a wait: null is none.
///
/// # Safety
/// `timeout` is null or points to a `LARGE_INTEGER`.
pub(super) unsafe fn timeout_at(timeout: *const i64) -> Option<i64> {
    // SAFETY: contract of the function.
    (!timeout.is_null()).then(|| unsafe { timeout.read_unaligned() })
}

/// Reports a wait in user mode for an object on the stack.
fn check_mode(objects: &[*mut c_void], mode: i8, caller: usize) {
    if mode == 0 {
        return;
    }
    let stack = crossing::stack_in_use((&raw const objects).addr());
    if objects.iter().any(|object| stack.contains(&object.addr())) {
        violation(
            &rules::USER_WAIT_ON_STACK,
            "an object on the stack is waited for with UserMode".to_owned(),
            &[("waited at", caller)],
        );
    }
}

/// True for a wait that ends for the user APCs of its thread ("Waits and APCs").
fn takes_user_apcs(mode: i8, alertable: u8) -> bool {
    mode != 0 && alertable != 0
}

/// `KeWaitForSingleObject`.
pub unsafe extern "win64" fn wait_for_single_object(
    object: *mut c_void,
    _reason: i32,
    mode: i8,
    alertable: u8,
    timeout: *const i64,
    caller: usize,
) -> NTSTATUS {
    irql::promise::keep();
    check_mode(&[object], mode, caller);
    resident::object("KeWaitForSingleObject", object.addr(), caller);
    // SAFETY: the driver passes a `LARGE_INTEGER` or null.
    let timeout = unsafe { timeout_at(timeout) };
    early_cancel::at(Moment::Waits, null());
    let noted = timeout.is_none() && running::wait_begins(object as usize, caller);
    // SAFETY: the driver passes a dispatcher object.
    let status = unsafe {
        dispatcher::wait_for(
            &[object],
            false,
            timeout,
            takes_user_apcs(mode, alertable),
            caller,
        )
    };
    if noted {
        running::wait_ended(object as usize);
    }
    status
}

/// `KeWaitForMultipleObjects`. `kind` is a `WAIT_TYPE`: 0 waits for all.
pub unsafe extern "win64" fn wait_for_multiple_objects(
    count: u32,
    objects: *const *mut c_void,
    kind: i32,
    _reason: i32,
    mode: i8,
    alertable: u8,
    timeout: *const i64,
    wait_blocks: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::promise::keep();
    let most = if wait_blocks.is_null() {
        dispatcher::THREAD_WAIT_OBJECTS
    } else {
        dispatcher::MAXIMUM_WAIT_OBJECTS
    };
    let count = count as usize;
    if count == 0 || count > most {
        violation(
            &rules::TOO_MANY_WAIT_OBJECTS,
            format!(
                "KeWaitForMultipleObjects was called for {count} objects; the limit of this call is {most}"
            ),
            &[("called at", caller)],
        );
    }
    // SAFETY: the driver passes an array of `count` objects.
    let objects = unsafe { std::slice::from_raw_parts(objects, count) };
    check_mode(objects, mode, caller);
    for object in objects {
        resident::object("KeWaitForMultipleObjects", object.addr(), caller);
    }
    // SAFETY: as in `wait_for_single_object`.
    let timeout = unsafe { timeout_at(timeout) };
    // SAFETY: the driver passes dispatcher objects.
    unsafe {
        dispatcher::wait_for(
            objects,
            kind == 0,
            timeout,
            takes_user_apcs(mode, alertable),
            caller,
        )
    }
}

/// `KeDelayExecutionThread`.
pub unsafe extern "win64" fn delay_execution_thread(
    mode: i8,
    alertable: u8,
    interval: *const i64,
    caller: usize,
) -> NTSTATUS {
    irql::promise::broken_by("KeDelayExecutionThread", caller);
    // SAFETY: the driver passes a `LARGE_INTEGER`.
    let interval = unsafe { interval.read_unaligned() };
    dispatcher::delay(interval, takes_user_apcs(mode, alertable), caller)
}

/// `KeInitializeSemaphore`.
pub unsafe extern "win64" fn initialize_semaphore(
    semaphore: *mut KSEMAPHORE,
    count: i32,
    limit: i32,
    caller: usize,
) {
    irql::require("KeInitializeSemaphore", caller);
    resident::object("KeInitializeSemaphore", semaphore.addr(), caller);
    // SAFETY: the driver passes the memory of a semaphore.
    unsafe { dispatcher::initialize_semaphore(semaphore, count, limit) }
}

/// `KeReleaseSemaphore`.
pub unsafe extern "win64" fn release_semaphore(
    semaphore: *mut KSEMAPHORE,
    _increment: i32,
    adjustment: i32,
    wait: u8,
    caller: usize,
) -> i32 {
    let maximum = if wait == 0 {
        DISPATCH_LEVEL
    } else {
        PASSIVE_LEVEL
    };
    irql::require_at_most("KeReleaseSemaphore", maximum, caller);
    points::point();
    // SAFETY: the driver passes a semaphore.
    let before = unsafe { dispatcher::release_semaphore(semaphore, adjustment) };
    returns("KeReleaseSemaphore", wait, caller);
    before
}

/// `KeInitializeMutex`. The level is reserved.
pub unsafe extern "win64" fn initialize_mutex(mutex: *mut KMUTANT, _level: u32, caller: usize) {
    resident::object("KeInitializeMutex", mutex.addr(), caller);
    // SAFETY: the driver passes the memory of a mutex.
    unsafe { dispatcher::initialize_mutant(mutex, caller) }
}

/// `KeReleaseMutex`.
pub unsafe extern "win64" fn release_mutex(mutex: *mut KMUTANT, wait: u8, caller: usize) -> i32 {
    irql::require_at_most("KeReleaseMutex", signal_ceiling(wait), caller);
    points::point();
    // SAFETY: the driver passes a mutex.
    let before = unsafe { dispatcher::release_mutant(mutex) };
    returns("KeReleaseMutex", wait, caller);
    before
}
