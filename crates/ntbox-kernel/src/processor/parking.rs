//! Blocking on an address: what locks without a dispatcher object wait with.
//!
//! A waiter leaves an event for the address; who changes the state behind the
//! address sets the events. Waits take APCs, as waits on dispatcher objects do.

#![expect(
    unsafe_code,
    reason = "events of waiting threads are reached by pointer"
)]

use super::dispatcher;
use crate::nt::KEVENT;
use std::sync::{Mutex, PoisonError};

struct Parked {
    address: usize,
    event: *mut KEVENT,
}

// SAFETY: the event belongs to a thread inside `wait_until` and is set under the lock.
unsafe impl Send for Parked {}

static PARKED: Mutex<Vec<Parked>> = Mutex::new(Vec::new());

/// Calls `attempt` until it succeeds; between two calls the thread waits for
/// [`wake`] of the same address. `attempt` runs under a lock and must not block.
/// `site` is the driver's address that waits.
pub fn wait_until(address: usize, site: usize, mut attempt: impl FnMut() -> bool) {
    loop {
        let mut event = KEVENT::default();
        let at = &raw mut event;
        {
            let mut parked = PARKED.lock().unwrap_or_else(PoisonError::into_inner);
            if attempt() {
                return;
            }
            // SAFETY: a local event.
            unsafe { dispatcher::initialize_event(at, false, false) };
            parked.push(Parked { address, event: at });
        }
        // SAFETY: `wake` has removed the event from the list when this returns.
        unsafe { dispatcher::wait_for(&[at.cast()], false, None, false, site) };
    }
}

/// Lets the waiters of `address` try again. The state is changed before this.
pub fn wake(address: usize) {
    let mut parked = PARKED.lock().unwrap_or_else(PoisonError::into_inner);
    parked.retain(|parked| {
        if parked.address == address {
            // SAFETY: the waiter cannot return before the event is set.
            unsafe { dispatcher::set_event(parked.event) };
            return false;
        }
        true
    });
}

/// What is waited for: each event, with the address that it stands for.
pub fn parked() -> Vec<(*mut KEVENT, usize)> {
    let parked = PARKED.lock().unwrap_or_else(PoisonError::into_inner);
    let each = |parked: &Parked| (parked.event, parked.address);
    parked.iter().map(each).collect()
}

/// Number of threads that wait for `address`.
pub fn waiting(address: usize) -> usize {
    let parked = PARKED.lock().unwrap_or_else(PoisonError::into_inner);
    parked
        .iter()
        .filter(|parked| parked.address == address)
        .count()
}
