//! Requests of this driver's own: allocated here, freed in their completion routine (C8 c).
//!
//! The routine notes the answer, frees the request and wakes the thread that
//! waits; STATUS_MORE_PROCESSING_REQUIRED keeps the I/O manager from touching
//! what is gone. There is no stack location of this driver in such a request,
//! so nothing is propagated.
//!
//! Wraps `IoAllocateIrp` and `IoFreeIrp`.

#![expect(unsafe_code, reason = "the IRP is the I/O manager's structure")]

use super::raw;
use crate::completion::Routine;
use crate::device::DeviceObject;
use crate::driver::{Driver, Filter};
use crate::irql::Passive;
use crate::status::Status;
use crate::sync::Event;
use core::ffi::c_void;
use wdk_sys::{IRP_MJ_DEVICE_CONTROL, NTSTATUS, PDEVICE_OBJECT, PIRP, ntddk};

/// A control code of METHOD_BUFFERED that takes no input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Question(u32);

impl Question {
    /// IOCTL_DISK_IS_WRITABLE: STATUS_MEDIA_WRITE_PROTECTED where it is not.
    pub const IS_WRITABLE: Self = Self(0x0007_0024);
}

/// What the completion routine leaves for the thread that waits, in that thread's frame.
struct Answer {
    done: Event,
    status: Status,
}

/// Asks the stack of `device` a question that has no answer but its status, and waits.
///
/// Errors: that status; STATUS_INSUFFICIENT_RESOURCES if the request was not sent.
///
#[doc = example!("own.rs")]
pub fn ask<F: Filter>(
    driver: &Driver<F>,
    device: &DeviceObject,
    question: Question,
    level: &mut Passive,
) -> Result<(), Status> {
    let top = device.top_of_stack(level);
    // SAFETY: no precondition but the level.
    let irp = unsafe { ntddk::IoAllocateIrp(top.stack_size(), 0) };
    if irp.is_null() {
        return Err(Status::INSUFFICIENT_RESOURCES);
    }
    // SAFETY: the request is new, and has a location for the topmost device.
    let location = unsafe { raw::next_location(irp) };
    // SAFETY: as above.
    unsafe { (*location).MajorFunction = IRP_MJ_DEVICE_CONTROL as u8 };
    // SAFETY: as above; only the place is computed.
    let parameters = unsafe { &raw mut (*location).Parameters.DeviceIoControl };
    // SAFETY: the member of this major function; the buffer lengths are zero in a new request.
    unsafe { (*parameters).IoControlCode = question.0 };
    let mut answer = Answer {
        done: Event::uninitialized(),
        status: Status::PENDING,
    };
    // SAFETY: the answer stays in this frame, which outlives the request.
    unsafe { answer.done.initialize(false, false) };
    let context: *mut c_void = (&raw mut answer).cast();
    let routine = Some(answered as Routine);
    // SAFETY: `answered` takes the answer, which outlives the wait below.
    let set = unsafe {
        raw::set_completion_routine(driver, driver.control_device(), irp, routine, context)
    };
    if let Err(status) = set {
        // SAFETY: allocated above and not sent.
        unsafe { ntddk::IoFreeIrp(irp) };
        return Err(status);
    }
    // SAFETY: the topmost device is referenced; the routine takes the request back.
    let _status = unsafe { ntddk::IofCallDriver(top.raw(), irp) };
    // SAFETY: initialized above.
    unsafe { answer.done.wait(level) };
    // SAFETY: written by the routine before it signalled the event, and by nobody since.
    unsafe { (&raw const answer.status).read_volatile() }.into_result()
}

/// The completion routine of this driver's own requests: the request is freed here, so completion
/// stops (C8 c).
///
/// # Safety
/// An IO_COMPLETION_ROUTINE of a request from [`ask`], whose context is its [`Answer`].
unsafe extern "C" fn answered(
    _no_device: PDEVICE_OBJECT,
    irp: PIRP,
    context: *mut c_void,
) -> NTSTATUS {
    let answer: *mut Answer = context.cast();
    // SAFETY: contract of the function; the request is this driver's again.
    let status = unsafe { raw::status(irp) };
    // SAFETY: the waiter's frame stays until the event is set.
    let place = unsafe { &raw mut (*answer).status };
    // SAFETY: as above; the waiter reads it after the event.
    unsafe { place.write(status) };
    // SAFETY: allocated by `ask`, freed once, here.
    unsafe { ntddk::IoFreeIrp(irp) };
    // SAFETY: as above.
    let done = unsafe { &raw const (*answer).done };
    // SAFETY: initialized; the waiter may leave its frame from here on.
    unsafe { Event::set(done) };
    Status::MORE_PROCESSING_REQUIRED.0
}
