//! Passing a request on and waiting for it: `IoForwardIrpSynchronously`.

#![expect(unsafe_code, reason = "requests are shared with drivers by pointer")]

use super::{call, fence, irp, stack};
use crate::nt::{
    DEVICE_OBJECT, IRP, KEVENT, NTSTATUS, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING,
};
use crate::processor::dispatcher;
use std::ffi::c_void;

/// Sends the request of the driver at `site` to `device`, with its own parameters, and returns when that has
/// completed it: it is the driver's again. False, and nothing sent, if the request has no location left.
///
/// # Safety
/// The request is the driver's, and `device` is alive. Below `DISPATCH_LEVEL`.
pub unsafe fn forward_and_wait(device: *mut DEVICE_OBJECT, irp: *mut IRP, site: usize) -> bool {
    // SAFETY: contract.
    if unsafe { (*irp).CurrentLocation } <= 1 {
        return false;
    }
    let mut event = KEVENT::default();
    let waits: *mut KEVENT = &raw mut event;
    // SAFETY: memory of this function, which waits for the request.
    unsafe { dispatcher::initialize_event(waits, false, false) };
    // SAFETY: contract, and there is a location left.
    unsafe { stack::copy_to_next(irp) };
    // SAFETY: as above.
    unsafe { stack::set_completion_routine(irp, Some(came_back), waits.cast(), stack::ALWAYS) };
    // SAFETY: contract.
    let status = unsafe { call::call_driver(device, irp, site) };
    // The driver does not go on while the request is below.
    // SAFETY: its completion is stopped, or it is below: the request is alive.
    if let Some(tracker) = unsafe { irp::tracker(irp) } {
        fence::take_down(tracker);
    }
    if status == STATUS_PENDING {
        // SAFETY: the event is alive.
        unsafe { dispatcher::wait(&[waits.cast()], false, None, false) };
    }
    true
}

/// Wakes [`forward_and_wait`] if it waits, and gives it the request back.
unsafe extern "win64" fn came_back(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    event: *mut c_void,
) -> NTSTATUS {
    // SAFETY: a completion routine gets a live request.
    if unsafe { (*irp).PendingReturned } {
        // SAFETY: who waits for the event keeps it.
        unsafe { dispatcher::set_event(event.cast()) };
    }
    STATUS_MORE_PROCESSING_REQUIRED
}
