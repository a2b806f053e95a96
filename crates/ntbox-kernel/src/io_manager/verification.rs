//! What is kept of threads for media that may have changed: which device each is to verify, and whether the user is told.
//!
//! Source: `IoSetDeviceToVerify`, `IoGetDeviceToVerify`, `IoSetThreadHardErrorMode` in the DDI reference.

use crate::nt::DEVICE_OBJECT;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, PoisonError};

/// What is kept of a thread.
#[derive(Default)]
struct Kept {
    /// The device that is to be verified.
    device: usize,
    /// The user is told nothing.
    silent: bool,
}

/// Looks at what is kept of a thread, by its object.
fn of_thread<R>(object: *mut c_void, f: impl FnOnce(&mut Kept) -> R) -> R {
    static KEPT: LazyLock<Mutex<HashMap<usize, Kept>>> = LazyLock::new(Mutex::default);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    f(kept.entry(object.addr()).or_default())
}

/// The thread is to verify `device`; null for none.
pub fn set_device(thread: *mut c_void, device: *mut DEVICE_OBJECT) {
    of_thread(thread, |kept| kept.device = device.expose_provenance());
}

/// The device that the thread is to verify, or null.
pub fn device(thread: *mut c_void) -> *mut DEVICE_OBJECT {
    std::ptr::with_exposed_provenance_mut(of_thread(thread, |kept| kept.device))
}

/// Whether the user is told nothing of what goes wrong in the thread.
pub fn is_silent(thread: *mut c_void) -> bool {
    of_thread(thread, |kept| kept.silent)
}

/// Sets [`is_silent`]; what it was.
pub fn set_silent(thread: *mut c_void, silent: bool) -> bool {
    of_thread(thread, |kept| std::mem::replace(&mut kept.silent, silent))
}
