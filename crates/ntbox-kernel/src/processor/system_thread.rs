//! Threads that drivers create.

#![expect(
    unsafe_code,
    reason = "a driver's routine is called, and left without returning"
)]

use super::thread::{self, Thread};
use super::{dispatcher, escape, irql, lock_order, process, work};
use crate::nt::routines::ContextRoutine;
use crate::nt::{NTSTATUS, PASSIVE_LEVEL};
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

/// Routines of the threads that run.
fn running() -> MutexGuard<'static, Vec<usize>> {
    static RUNNING: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended(routine: usize) {
    let mut running = running();
    if let Some(index) = running.iter().position(|site| *site == routine) {
        running.swap_remove(index);
    }
}

/// Threads of a driver whose code lies in `code`.
pub(super) fn outstanding(code: &Range<usize>) -> Vec<(&'static str, usize)> {
    let running = running();
    let inside = running.iter().filter(|site| code.contains(site));
    inside
        .map(|site| ("a system thread of it runs", *site))
        .collect()
}

/// Starts a thread of `owner` that calls `routine(context)`; `publish` is called
/// with it before the routine runs. False if the host has no more threads.
///
/// # Safety
/// The routine may be called with that context on another thread.
pub unsafe fn start(
    owner: &'static process::Process,
    routine: ContextRoutine,
    context: *mut c_void,
    publish: impl FnOnce(&'static Thread),
) -> bool {
    let (tell, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let context = context.expose_provenance();
    running().push(routine as usize);
    let started = thread::start("system thread", owner, move || {
        let _ = tell.send(thread::current());
        // An error means that the creator is gone, which it is not before it has published.
        let _ = wait.recv();
        let context = std::ptr::with_exposed_provenance_mut(context);
        // SAFETY: contract of the function; only driver frames are left without returning.
        unsafe { escape::call(routine, context) };
        ended(routine as usize);
        check(routine as usize);
    });
    let Ok(_handle) = started else {
        ended(routine as usize);
        return false;
    };
    let Ok(thread) = told.recv() else {
        return false;
    };
    publish(thread);
    let _ = go.send(());
    true
}

/// Ends the current thread, if [`start`] made it; returns otherwise.
pub fn terminate(status: NTSTATUS) {
    if escape::can_leave() {
        thread::current().set_exit_status(status);
        // SAFETY: checked; this frame and that of the export need no destructors, and
        // the driver's frames are abandoned as the kernel abandons them.
        unsafe { escape::leave() }
    }
}

/// Reports what the thread leaves behind.
fn check(site: usize) {
    irql::promise::broken_by("the end of the thread", site);
    let level = irql::current();
    if level != PASSIVE_LEVEL {
        violation(
            &rules::WORKER_IRQL,
            format!("a system thread ended at {} ({level})", irql::name(level)),
            &[("thread routine", site)],
        );
        irql::restore(PASSIVE_LEVEL);
    }
    let mutexes = dispatcher::owned_mutants();
    if mutexes > 0 {
        violation(
            &rules::THREAD_HELD_MUTEX,
            format!("a system thread ended while it owned {mutexes} mutex(es)"),
            &[("thread routine", site)],
        );
    }
    work::check_regions("system thread routine", site);
    lock_order::thread_ends(site);
}
