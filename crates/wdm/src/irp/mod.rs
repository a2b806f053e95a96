//! Requests as values that can only be used up.
//!
//! [`Irp`] is a request that a dispatch routine owns. It cannot be copied or
//! sent away, and each way to part with it consumes it: complete it, forward it
//! with or without a completion, forward it and wait, pend it. Each gives the
//! one [`Disposition`] that the dispatch routine must return, so that a request
//! is passed on or completed exactly once (D5), is not touched afterwards (C12),
//! and returns the status that belongs to what was done (D4):
//!
//! | what | stack location | completion routine | returned |
//! |---|---|---|---|
//! | [`Irp::complete`] | – | – | the status of completion, never STATUS_PENDING |
//! | [`Irp::forward`] | skipped | none (C1) | what the lower driver returned |
//! | [`Irp::forward_with`] | copied | propagating (C5) | what the lower driver returned |
//! | [`Irp::forward_and_wait`] | copied | waiting (C6) | the final status, after completion |
//! | [`Irp::pend_and_forward`] | copied, marked | pended (C8 b) | STATUS_PENDING |
//!
//! `crates/wdm/example` is a driver that uses each, and that the tests run.
//!
//! A request of the driver's own is no `Irp`: [`ask`] allocates it, waits for its answer, and
//! frees it in the completion routine (C8 c).
//!
//! Source: "Handling IRPs", "Using IRP Completion Routines".

#![expect(unsafe_code, reason = "the IRP is the I/O manager's structure")]

/// A module of the example driver, as documentation: it is built and run as a driver by the tests,
/// because nothing here runs as a doctest.
macro_rules! example {
    ($file:literal) => {
        concat!(
            "# Example\n```ignore\n",
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/example/src/", $file)),
            "```"
        )
    };
}

mod completed;
mod device_control;
mod file_object;
mod kind;
mod own;
mod parameters;
mod parked;
mod pended;
pub(crate) mod raw;

pub use completed::{CompletedIrp, ReturnedIrp};
pub use device_control::DeviceControl;
pub use file_object::{FileObject, is_within_file_system};
pub use kind::RequestKind;
pub use own::{Question, ask, ask_name};
pub use parameters::{FileSystemControl, Major};
pub use parked::{ParkedControl, Parking};
pub use pended::{PendedIrp, PendedWork, Resumed};

use crate::completion::{self, Completion};
use crate::device::{DeviceUse, FilterDevice, LowerDevice};
use crate::driver::Filter;
use crate::irql::Passive;
use crate::status::Status;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use wdk_sys::{FILE_OBJECT, IO_NO_INCREMENT, NTSTATUS, PIRP, ntddk};

/// Makes `'d` invariant, so that the disposition of one request never passes for another's.
type Brand<'d> = PhantomData<fn(&'d ()) -> &'d ()>;

/// A request owned by a dispatch routine, for the call `'d`: it is parted with once (D5).
///
/// # Invariants
/// The IRP is live, and its current stack location is this driver's.
#[must_use = "a request is completed or passed on"]
pub struct Irp<'d> {
    /// A raw pointer, so that no request is sent away: the dispatch routine finishes on the
    /// thread it was called on.
    raw: PIRP,
    brand: Brand<'d>,
}

/// Why a dispatch routine did not wait for a request.
#[must_use = "a request that was not sent is completed or passed on"]
pub enum NotWaited<'d> {
    /// It is not there any more.
    Gone(Disposition<'d>),
    /// It was not sent, for this reason.
    NotSent(Irp<'d>, Status),
}

impl<'d> NotWaited<'d> {
    /// A request that was not sent is completed with the reason.
    pub fn or_complete(self) -> Disposition<'d> {
        match self {
            Self::Gone(disposition) => disposition,
            Self::NotSent(irp, status) => irp.complete(status, 0),
        }
    }
}

/// What became of a request: the only thing a dispatch routine can return (D4).
pub struct Disposition<'d> {
    status: NTSTATUS,
    brand: Brand<'d>,
}

impl Disposition<'_> {
    const fn new(status: NTSTATUS) -> Self {
        Self {
            status,
            brand: PhantomData,
        }
    }

    pub(crate) const fn into_status(self) -> NTSTATUS {
        self.status
    }
}

impl<'d> Irp<'d> {
    /// # Safety
    /// `raw` was just passed to a dispatch routine of this driver, whose call is `'d`, and
    /// becomes an `Irp` once.
    pub(crate) const unsafe fn from_raw(raw: PIRP) -> Self {
        Self {
            raw,
            brand: PhantomData,
        }
    }

    /// Ends the ownership.
    fn into_raw(self) -> PIRP {
        ManuallyDrop::new(self).raw
    }

    /// Enters `device` for as long as the request is below.
    fn enter<'a, F: Filter>(&self, device: &'a FilterDevice<F>) -> DeviceUse<'a, F> {
        // SAFETY: invariant of the type.
        device.enter_with(|| unsafe { RequestKind::of(self.raw) })
    }

    /// # Safety
    /// As [`raw::set_completion_routine`]; the next location was copied from the current one.
    unsafe fn set_completion_routine<F: Filter>(
        &self,
        device: &FilterDevice<F>,
        routine: Option<completion::Routine>,
        context: *mut core::ffi::c_void,
    ) -> Result<(), Status> {
        let (driver, object) = (device.driver(), device.object().raw());
        // SAFETY: contract of the function, and invariant of the type.
        unsafe { raw::set_completion_routine(driver, object, self.raw, routine, context) }
    }

    /// The major function code. IRQL: any.
    #[must_use]
    pub fn major(&self) -> u8 {
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above.
        unsafe { (*location).MajorFunction }
    }

    /// The minor function code. IRQL: any.
    #[must_use]
    pub fn minor(&self) -> u8 {
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above.
        unsafe { (*location).MinorFunction }
    }

    /// `Irp->Flags`. IRQL: any.
    #[must_use]
    pub fn flags(&self) -> u32 {
        // SAFETY: invariant of the type.
        unsafe { (*self.raw).Flags }
    }

    /// Tells the file object of this request apart from others while they last; 0 without one.
    /// IRQL: any.
    #[must_use]
    pub fn file_number(&self) -> u64 {
        self.file_object() as u64
    }

    /// The file object that the request is for; null in some that drivers send. IRQL: any.
    pub(crate) fn file_object(&self) -> *mut FILE_OBJECT {
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above.
        unsafe { (*location).FileObject }
    }

    /// Completes the request with `status` and `information` (bytes, or what the major function
    /// defines). STATUS_PENDING, which is no result, becomes STATUS_INVALID_DEVICE_REQUEST (D5).
    /// IRQL: ≤ DISPATCH_LEVEL.
    pub fn complete(self, status: Status, information: usize) -> Disposition<'d> {
        let status = if status == Status::PENDING {
            Status::INVALID_DEVICE_REQUEST
        } else {
            status
        };
        let irp = self.into_raw();
        // SAFETY: owned until now; not touched after completion.
        unsafe { complete(irp, status, information) };
        Disposition::new(status.0)
    }

    /// Passes the request on without looking at its completion: the lower driver gets this
    /// driver's stack location. IRQL: ≤ APC_LEVEL (D6).
    pub fn forward(self, lower: LowerDevice<'d>) -> Disposition<'d> {
        let irp = self.into_raw();
        // SAFETY: owned until now; no completion routine is set (C1).
        unsafe { raw::skip_current_location(irp) };
        // SAFETY: the lower device is alive while a request is on its way to it.
        Disposition::new(unsafe { ntddk::IofCallDriver(lower.raw(), irp) })
    }

    /// Passes the request on and sees it complete: copy, set, call, in that order (C1), in no
    /// critical region (D8). What the lower driver returned is returned (D4).
    ///
    /// Where the driver may be unloaded, the completion routine is set with
    /// IoSetCompletionRoutineEx, which keeps the image until it has returned (C15). That
    /// allocates; when it fails the request passes unobserved, because I/O must not fail for
    /// the sake of observation (P2). IRQL: ≤ APC_LEVEL (D6).
    ///
    #[doc = example!("pass_through.rs")]
    pub fn forward_with<F: Filter, C: Completion>(
        self,
        device: &'d FilterDevice<F>,
        completion: C,
    ) -> Disposition<'d> {
        self.forward_counted(device, completion, || ())
    }

    /// As [`Irp::forward_with`], and calls `passed_on` before the request is below: once, and not at all if
    /// nobody will see it complete, because then `completion` is dropped.
    pub fn forward_counted<F: Filter, C: Completion>(
        self,
        device: &'d FilterDevice<F>,
        completion: C,
        passed_on: impl FnOnce(),
    ) -> Disposition<'d> {
        let Some(lower) = device.lower() else {
            return self.complete(Status::INVALID_DEVICE_REQUEST, 0);
        };
        let entered = self.enter(device);
        if let DeviceUse::Refused = entered {
            return self.forward(lower);
        }
        // SAFETY: invariant of the type: the IRP has a location for the lower device.
        unsafe { raw::copy_current_location_to_next(self.raw) };
        let context = completion::encode(completion);
        let routine: completion::Routine = match entered {
            DeviceUse::Held { .. } => completion::propagating_counted::<F, C>,
            _ => completion::propagating::<C>,
        };
        // SAFETY: the routine takes what `encode` made, once.
        if unsafe { self.set_completion_routine(device, Some(routine), context) }.is_err() {
            // SAFETY: the routine was not set, so the context is taken back here.
            drop(unsafe { completion::decode::<C>(context) });
            drop(entered);
            return self.forward(lower);
        }
        passed_on();
        entered.keep();
        let irp = self.into_raw();
        // SAFETY: the lower device is alive while a request is on its way to it; the IRP is not
        // touched afterwards (C12).
        Disposition::new(unsafe { ntddk::IofCallDriver(lower.raw(), irp) })
    }

    /// Passes the request on, waits until the lower driver has completed it, and gets it back
    /// (C8 a, C10): completion stops at this driver and is resumed by what is done with the result.
    ///
    /// Errors: [`NotWaited::Gone`] if it was passed on because the device is being taken down, and
    /// [`NotWaited::NotSent`] if the routine could not be set (C15).
    ///
    #[doc = example!("wait.rs")]
    pub fn forward_and_wait<F: Filter>(
        self,
        device: &'d FilterDevice<F>,
        level: &mut Passive,
    ) -> Result<ReturnedIrp<'d>, NotWaited<'d>> {
        let Some(lower) = device.lower() else {
            let disposition = self.complete(Status::INVALID_DEVICE_REQUEST, 0);
            return Err(NotWaited::Gone(disposition));
        };
        let entered = self.enter(device);
        if let DeviceUse::Refused = entered {
            return Err(NotWaited::Gone(self.forward(lower)));
        }
        // SAFETY: invariant of the type: the IRP has a location for the lower device.
        unsafe { raw::copy_current_location_to_next(self.raw) };
        let event = crate::sync::Event::uninitialized();
        // SAFETY: the event stays in this frame, which outlives the request below.
        unsafe { event.initialize(false, false) };
        let context = (&raw const event).cast_mut().cast();
        let routine = Some(completion::waiting as completion::Routine);
        // SAFETY: `waiting` takes an initialized event that outlives the wait below.
        let set = unsafe { self.set_completion_routine(device, routine, context) };
        if let Err(status) = set {
            return Err(NotWaited::NotSent(self, status));
        }
        let irp = self.into_raw();
        // SAFETY: the lower device is alive while a request is on its way to it.
        let _status = unsafe { ntddk::IofCallDriver(lower.raw(), irp) };
        // Also when the call did not return STATUS_PENDING: the routine ran then, the event is
        // set, and the wait returns at once.
        // SAFETY: initialized above.
        unsafe { event.wait(level) };
        // SAFETY: the routine stopped completion, so the IRP is this driver's again.
        Ok(unsafe { ReturnedIrp::from_raw(irp) })
    }

    /// Marks the request pending, passes it on, and finishes it later on a work item with
    /// `work` (C8 b, C10, C11). For where the thread may not wait. IRQL: ≤ APC_LEVEL (D6).
    ///
    /// The work item and the context are allocated first; without them the request is
    /// completed with STATUS_INSUFFICIENT_RESOURCES and nothing was passed on.
    ///
    #[doc = example!("post.rs")]
    pub fn pend_and_forward<F: Filter, W: PendedWork<F>>(
        self,
        device: &'d FilterDevice<F>,
        work: W,
    ) -> Disposition<'d> {
        let Some(lower) = device.lower() else {
            return self.complete(Status::INVALID_DEVICE_REQUEST, 0);
        };
        let entered = self.enter(device);
        if let DeviceUse::Refused = entered {
            return self.forward(lower);
        }
        let posted = match pended::Posted::new(device, work) {
            Ok(posted) => posted,
            Err(status) => return self.complete(status, 0),
        };
        // SAFETY: invariant of the type: the IRP has a location for the lower device.
        unsafe { raw::copy_current_location_to_next(self.raw) };
        let context = posted.into_raw().as_ptr().cast();
        let routine = Some(pended::post::<F, W> as completion::Routine);
        // SAFETY: `post` takes what `Posted::into_raw` gave, once.
        let set = unsafe { self.set_completion_routine(device, routine, context) };
        if let Err(status) = set {
            // SAFETY: the routine was not set, so the context is taken back here.
            drop(unsafe { pended::Posted::<F, W>::from_raw(context) });
            return self.complete(status, 0);
        }
        entered.keep();
        let irp = self.into_raw();
        // SAFETY: still this driver's; marked before it is passed on (C11).
        unsafe { raw::mark_pending(irp) };
        // SAFETY: the lower device is alive while a request is on its way to it.
        let _pending_whatever_it_is = unsafe { ntddk::IofCallDriver(lower.raw(), irp) };
        Disposition::new(Status::PENDING.0)
    }
}

/// Sets the result and completes.
///
/// # Safety
/// The caller owns `irp` and does not touch it afterwards.
unsafe fn complete(irp: PIRP, status: Status, information: usize) {
    // SAFETY: contract of the function; only the place is computed.
    let status_place = unsafe { &raw mut (*irp).IoStatus.__bindgen_anon_1.Status };
    // SAFETY: as above.
    unsafe { status_place.write(status.0) };
    // SAFETY: contract of the function.
    unsafe { (*irp).IoStatus.Information = information as _ };
    // SAFETY: as above; no priority boost.
    unsafe { ntddk::IofCompleteRequest(irp, IO_NO_INCREMENT as _) }
}
