//! How long an object lives: as long as it has a reference.
//!
//! An object is deleted when its last reference goes: at once at PASSIVE_LEVEL,
//! on a system worker thread above it (`ObfDereferenceObject` defers likewise).

#![expect(unsafe_code, reason = "drivers hold objects by pointer")]

use super::object::{delete, header};
use super::{irql, work};
use crate::nt::PASSIVE_LEVEL;
use std::ffi::c_void;
use std::sync::atomic::Ordering;

/// `ObReferenceObject`.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn reference(object: *mut c_void) {
    // SAFETY: contract.
    unsafe { header(object) }
        .references
        .fetch_add(1, Ordering::Relaxed);
}

/// `ObDereferenceObject`.
///
/// # Safety
/// `object` is the body of a live object, and the caller gives up a reference it owns.
pub unsafe fn dereference(object: *mut c_void) {
    // SAFETY: contract.
    let left = unsafe { header(object) }
        .references
        .fetch_sub(1, Ordering::AcqRel)
        - 1;
    if left > 0 {
        return;
    }
    if irql::current() == PASSIVE_LEVEL {
        // SAFETY: that was the last reference.
        unsafe { delete(object) };
    } else {
        let object = object as usize;
        work::queue(Box::new(move || {
            // SAFETY: that was the last reference; nobody else can reach the object.
            unsafe { delete(object as *mut c_void) };
        }));
    }
}
