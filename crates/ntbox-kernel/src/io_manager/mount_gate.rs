//! Keeping mounts out while a listener learns of the file systems that are there
//! (`IoRegisterFsRegistrationChangeMountAware`).

use crate::processor::points;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::ThreadId;

/// Mounts that are under way, and the thread that holds mounts off.
struct Gate {
    mounting: Mutex<(u32, Option<ThreadId>)>,
    changed: Condvar,
}

static GATE: Gate = Gate {
    mounting: Mutex::new((0, None)),
    changed: Condvar::new(),
};

/// Keeps other threads' mounts out until it is dropped.
pub(super) struct HeldOff;

/// A mount that is under way.
pub(super) struct Mounting;

/// Waits until no mount is under way, and keeps new ones of other threads out.
pub(super) fn hold_off() -> HeldOff {
    let mut gate = GATE.mounting.lock().unwrap_or_else(PoisonError::into_inner);
    while gate.0 != 0 || gate.1.is_some() {
        points::waits();
        gate = GATE
            .changed
            .wait(gate)
            .unwrap_or_else(PoisonError::into_inner);
    }
    gate.1 = Some(std::thread::current().id());
    drop(gate);
    points::goes_on();
    HeldOff
}

pub(super) fn enter_mount() -> Mounting {
    let this = std::thread::current().id();
    let mut gate = GATE.mounting.lock().unwrap_or_else(PoisonError::into_inner);
    while gate.1.is_some_and(|holder| holder != this) {
        points::waits();
        gate = GATE
            .changed
            .wait(gate)
            .unwrap_or_else(PoisonError::into_inner);
    }
    gate.0 += 1;
    drop(gate);
    points::goes_on();
    Mounting
}

impl Drop for HeldOff {
    fn drop(&mut self) {
        GATE.mounting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1 = None;
        GATE.changed.notify_all();
    }
}

impl Drop for Mounting {
    fn drop(&mut self) {
        GATE.mounting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0 -= 1;
        GATE.changed.notify_all();
    }
}
