//! Completion routines: three trampolines, and the trait behind which policy lives.
//!
//! Nobody outside this crate writes a raw completion routine. The trampolines
//! keep what the seed rules ask, whatever the [`Completion`] does:
//!
//! - *propagating* (`propagating`): marks the request pending when a lower
//!   driver pended it (C5), continues (C7).
//! - *waiting* (`waiting`): signals the dispatch routine's event, never marks
//!   (C6), stops (C8 a).
//! - *pended* (in [`crate::irp`]): posts a request that was marked before, stops
//!   (C8 b).
//!
//! A context travels in the Context pointer itself. It must fit: a value with no
//! size, one of pointer size, or a [`NonPagedBox`] made before the request was
//! parted with. There is no way to name paged memory (C4).
//!
//! Source: "Using IRP Completion Routines" and its sister pages.

#![expect(unsafe_code, reason = "the trampolines are called by the I/O manager")]

use crate::driver::keeps::Keeps;
use crate::irp::completed::CompletedIrp;
use crate::irp::lasting::Lasting;
use crate::irp::raw::{self, Context};
use crate::irql::AtMostDispatch;
use crate::pool::NonPagedBox;
use crate::slot::DRIVER;
use crate::status::Status;
use crate::sync::Event;
use core::ffi::c_void;
use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP};

/// What is done when a request that was passed on completes.
///
/// Runs at IRQL ≤ DISPATCH_LEVEL in an arbitrary thread (C2): it gets no token with which
/// it could wait or call what needs a lower level (C3), and a request that it can only read (C16).
/// It owns what it holds, or borrows what lives for ever: nothing paged can be reached (C4).
///
/// "Using IRP Completion Routines": "Completion routines are called at IRQL <= DISPATCH_LEVEL, in an arbitrary
/// thread context." "For the same reason, any data structures that are used in a completion routine must be
/// allocated from nonpaged pool."
///
/// It does not get the filter device either. A file system may delete its volume device while it
/// handles the last close on it, before it completes that request; FastIoDetachDevice has deleted
/// the filter device then (A9).
pub trait Completion<F: Keeps>: Send + Sized + 'static {
    /// Sees the completion.
    fn completed(self, irp: &CompletedIrp<'_, F>, level: &mut AtMostDispatch);
}

/// A completion larger than the context pointer.
impl<F: Keeps, C: Completion<F>> Completion<F> for NonPagedBox<C> {
    fn completed(self, irp: &CompletedIrp<'_, F>, level: &mut AtMostDispatch) {
        self.into_inner().completed(irp, level);
    }
}

/// Puts a completion into a context pointer: it is never in paged memory (C4).
pub(crate) const fn encode<C>(completion: C) -> Context {
    const {
        assert!(
            size_of::<C>() <= size_of::<*mut c_void>(),
            "a larger completion travels in a NonPagedBox"
        );
    };
    let mut context = Context::new(core::ptr::null_mut());
    // SAFETY: it fits, as asserted; the write is unaligned-safe.
    unsafe { context.as_mut_ptr().cast::<C>().write_unaligned(completion) };
    context
}

/// Takes a completion back.
///
/// # Safety
/// `context` comes from [`encode`] of the same type and is taken back once.
pub(crate) const unsafe fn decode<C>(context: Context) -> C {
    // SAFETY: contract of the function.
    unsafe { context.as_ptr().cast::<C>().read_unaligned() }
}

// What has padding arrives as it was. Who looked at its bytes on the way would read some that have no value, which
// ends the compilation here.
const _: () = {
    struct Padded(u8, u32);
    let context = encode(Padded(1, 2));
    // SAFETY: encoded in the line above, and taken back once.
    let Padded(one, two) = unsafe { decode(context) };
    assert!(one == 1 && two == 2);
};

/// The propagating trampoline. Whatever the [`Completion`] does, the result is STATUS_SUCCESS (C7).
///
/// # Safety
/// An IO_COMPLETION_ROUTINE set by a dispatch routine, whose context is an encoded `C`.
pub(crate) unsafe extern "C" fn propagating<F: Keeps, C: Completion<F>>(
    _may_be_gone: PDEVICE_OBJECT,
    irp: PIRP,
    context: Context,
) -> NTSTATUS {
    // SAFETY: contract of the function; the request is this routine's until it returns.
    let pending_returned = unsafe { (*irp).PendingReturned } != 0;
    if pending_returned {
        // SAFETY: as above; the current location is this driver's again (C5).
        unsafe { raw::mark_pending(irp) };
    }
    // SAFETY: contract of the function.
    let completion: C = unsafe { decode(context) };
    // SAFETY: the borrow ends before this routine returns.
    let completed = unsafe { CompletedIrp::<F>::from_raw(irp) };
    // SAFETY: the contract of completion routines (C2).
    completion.completed(&completed, unsafe { AtMostDispatch::assumed() });
    Status::SUCCESS.0
}

/// [`propagating`] for a driver that may be unloaded: it is inside until the request has come back.
///
/// # Safety
/// As for `propagating`, set by [`crate::irp::Irp::forward_with`] for a request that has entered the driver.
pub(crate) unsafe extern "C" fn propagating_inside<F: Keeps, C: Completion<F>>(
    may_be_gone: PDEVICE_OBJECT,
    irp: PIRP,
    context: Context,
) -> NTSTATUS {
    // SAFETY: the current location is this driver's again.
    let lasting = unsafe { Lasting::of(irp) };
    // SAFETY: contract of the function.
    let status = unsafe { propagating::<F, C>(may_be_gone, irp, context) };
    // SAFETY: ends what `Irp::forward_with` began for this request.
    unsafe { DRIVER.leave_with(lasting) };
    status
}

/// The waiting trampoline: signals, never marks (C6), and stops completion because the dispatch
/// routine waits for the request (C7, C8 a).
///
/// # Safety
/// An IO_COMPLETION_ROUTINE whose context is an initialized [`Event`] that a dispatch routine
/// waits for.
pub(crate) unsafe extern "C" fn waiting(
    _device: PDEVICE_OBJECT,
    _irp: PIRP,
    event: Context,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    let event = unsafe { event.assume_init() };
    // SAFETY: contract of the function; the waiter's frame stays until the event is set.
    unsafe { Event::set(event.cast_const().cast()) };
    Status::MORE_PROCESSING_REQUIRED.0
}

/// [`waiting`] for a driver that may be unloaded. Setting the event readies the waiter, which may run to its end, and
/// leave the driver, before this routine goes on: DriverUnload waits for it by itself (A12).
///
/// # Safety
/// As for `waiting`, for a request for which [`crate::slot::Slot::will_wake`] was called.
pub(crate) unsafe extern "C" fn waiting_inside(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    event: Context,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    let status = unsafe { waiting(device, irp, event) };
    // The last thing: nothing of the waiter's is touched any more.
    DRIVER.has_woken();
    status
}
