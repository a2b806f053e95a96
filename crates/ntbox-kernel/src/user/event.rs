//! Event objects, as `NtCreateEvent` makes them.

#![expect(unsafe_code, reason = "events are kernel objects, reached by pointer")]

use crate::nt::{HANDLE, KEVENT, NTSTATUS, STATUS_OBJECT_TYPE_MISMATCH};
use crate::processor::dispatcher;
use crate::processor::object::{self, Kind};
use crate::processor::{handle, lifetime};
use std::ffi::c_void;

/// A notification event that a program owns by handle.
pub struct Event {
    handle: HANDLE,
    object: *mut KEVENT,
}

// SAFETY: the object is reference-counted and every operation on it takes the dispatcher lock.
unsafe impl Send for Event {}

impl Event {
    /// A new event, not signaled.
    pub fn new() -> Self {
        let object = object::create(Kind::Event, size_of::<KEVENT>());
        // SAFETY: a new object of this size, not yet known to anybody.
        unsafe { dispatcher::initialize_event(object.cast(), true, false) };
        // SAFETY: a live object.
        let handle = unsafe { handle::open_handle(object, 0x1F_0003, false) };
        // SAFETY: the handle keeps the object; the creation's reference goes.
        unsafe { lifetime::dereference(object) };
        Self {
            handle,
            object: object.cast(),
        }
    }
    /// The handle to pass to a service.
    pub fn handle(&self) -> HANDLE {
        self.handle
    }
    /// Waits until it is signaled, or for `timeout` (100 ns units, negative is relative).
    pub fn wait(&self, timeout: Option<i64>) -> NTSTATUS {
        // SAFETY: the handle keeps the object alive.
        unsafe { dispatcher::wait(&[self.object.cast::<c_void>()], false, timeout, false) }
    }
    /// True if it is signaled.
    pub fn is_signaled(&self) -> bool {
        // SAFETY: the handle keeps the object alive.
        unsafe { dispatcher::read_state_event(self.object) != 0 }
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        handle::close_handle(self.handle);
    }
}

/// The event behind a handle; null for a null handle. The handle keeps it: a program
/// closes an event only after the request that signals it.
pub(super) fn by_handle(handle: HANDLE) -> Result<*mut KEVENT, NTSTATUS> {
    if handle.is_null() {
        return Ok(std::ptr::null_mut());
    }
    let object = handle::object_of_handle(handle)?;
    // SAFETY: an open handle's object is alive.
    if unsafe { object::kind_of(object) } != Some(Kind::Event) {
        return Err(STATUS_OBJECT_TYPE_MISMATCH);
    }
    Ok(object.cast())
}
