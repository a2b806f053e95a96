//! The routines that drivers want to be called for operations on the registry. No program of the box works on it,
//! and for what drivers do none is called: the list is for what is left at unload.
//!
//! Source: `CmRegisterCallbackEx`, `CmUnRegisterCallback` in the DDI reference.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Callback {
    routine: usize,
    /// None for one that the system places.
    altitude: Option<String>,
    cookie: i64,
}

#[derive(Default)]
struct Callbacks {
    last_cookie: i64,
    all: Vec<Callback>,
}

static CALLBACKS: Mutex<Callbacks> = Mutex::new(Callbacks {
    last_cookie: 0,
    all: Vec::new(),
});

fn callbacks() -> MutexGuard<'static, Callbacks> {
    CALLBACKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a routine; the cookie to remove it by, or none if its altitude is taken.
pub fn add(routine: usize, altitude: Option<String>) -> Option<i64> {
    let mut callbacks = callbacks();
    let taken = |known: &Callback| altitude.is_some() && known.altitude == altitude;
    if callbacks.all.iter().any(taken) {
        return None;
    }
    callbacks.last_cookie += 1;
    let cookie = callbacks.last_cookie;
    callbacks.all.push(Callback {
        routine,
        altitude,
        cookie,
    });
    Some(cookie)
}

/// Takes a routine out; false if there is none of that cookie.
pub fn remove(cookie: i64) -> bool {
    let mut callbacks = callbacks();
    let index = callbacks
        .all
        .iter()
        .position(|known| known.cookie == cookie);
    index.map(|index| callbacks.all.remove(index)).is_some()
}

/// The routines whose code lies in `code`.
pub(super) fn outstanding(code: &Range<usize>) -> Vec<(&'static str, usize)> {
    let callbacks = callbacks();
    let ours = callbacks
        .all
        .iter()
        .filter(|known| code.contains(&known.routine));
    ours.map(|known| ("its registry callback is registered", known.routine))
        .collect()
}
