//! Requests for filter devices, on their way down.

#![expect(unsafe_code, reason = "the IRP is the I/O manager's structure")]

use super::completed::ReturnedIrp;
use super::disposition::{Brand, Disposition, complete};
use super::lasting::Lasting;
use super::major::Major;
use super::pended::{self, PendedWork};
use super::raw::{self, Context, Routine};
use crate::completion::{self, Completion};
use crate::device::{DeviceObject, DeviceReference, FilterDevice};
use crate::driver::keeps::{Exactly, Keeps};
use crate::driver::state::Driver;
use crate::irql::{AtMostApc, Passive};
use crate::slot::DRIVER;
use crate::status::Status;
use crate::sync::Event;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use wdk_sys::{
    IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_MOUNT_VOLUME, NTSTATUS, PDEVICE_OBJECT, PIRP, ntddk,
};

/// A request for a filter device, owned by a dispatch routine for the call `'d`: it is parted with
/// once (D5), and what it lends is borrowed from it (C12).
///
/// # Invariants
/// The IRP is live, and its current stack location is this driver's. The device is the one that it was
/// sent to; it is attached, or its stack was read before it was detached, and stays while the request
/// is here.
#[must_use = "a request is completed or passed on"]
pub struct Irp<'d, F: Keeps> {
    /// A raw pointer, so that no request is sent away: the dispatch routine finishes on the
    /// thread it was called on.
    pub(super) raw: PIRP,
    /// A raw pointer, because it may dangle as soon as the request was passed on.
    device: PDEVICE_OBJECT,
    filter: Exactly<F>,
    brand: Brand<'d>,
}

impl<'d, F: Keeps> Irp<'d, F> {
    /// # Safety
    /// `raw` was just passed to a dispatch routine of this driver with `device`, which is a filter device.
    /// The call is `'d`, and the request becomes an `Irp` once.
    pub(crate) const unsafe fn from_raw(device: PDEVICE_OBJECT, raw: PIRP) -> Self {
        Self {
            raw,
            device,
            filter: PhantomData,
            brand: PhantomData,
        }
    }

    /// Ends the ownership.
    fn into_raw(self) -> PIRP {
        ManuallyDrop::new(self).raw
    }

    /// The filter device that the request was sent to. It may go with the request (A9). IRQL: any.
    #[must_use]
    pub fn device(&self) -> &FilterDevice<F> {
        // SAFETY: invariant of the type.
        unsafe { FilterDevice::from_raw(self.device) }
    }

    /// The device below, where the request goes. IRQL: any.
    #[must_use]
    pub fn lower(&self) -> &DeviceObject {
        // SAFETY: the request is inside the device above it.
        unsafe { self.device().lower() }
    }

    /// The driver's state, which stays until the dispatch routine has returned. IRQL: any.
    #[must_use]
    pub fn driver(&self) -> &'d Driver<F> {
        // SAFETY: of a filter device of this driver, whose dispatch routine runs.
        unsafe { &*self.device().driver_ptr() }
    }

    /// Whether the request may come back to this driver, which may be unloaded: not if that has begun. The
    /// driver is entered for as long as the request is below, and [`Slot::leave_with`](crate::slot::Slot::leave_with) ends that.
    fn enters(&self) -> bool {
        let Some(inside) = DRIVER.enter() else {
            return false;
        };
        // SAFETY: invariant of the type.
        if let Some(lasting) = unsafe { Lasting::of(self.raw) } {
            DRIVER.lasts(lasting);
        }
        inside.keep();
        true
    }

    /// The storage device that IRP_MN_MOUNT_VOLUME asks to be mounted; `None` in every other request.
    fn storage_to_mount(&self) -> Option<DeviceReference> {
        let mounts = u32::from(self.major()) == IRP_MJ_FILE_SYSTEM_CONTROL
            && u32::from(self.minor()) == IRP_MN_MOUNT_VOLUME;
        if !mounts {
            return None;
        }
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above; only the place is computed.
        let vpb = unsafe { &raw const (*location).Parameters.MountVolume.Vpb };
        // SAFETY: the function codes select this member.
        let vpb = unsafe { vpb.read() };
        if vpb.is_null() {
            return None;
        }
        // Read in place: the system writes other members of it meanwhile.
        // SAFETY: the I/O manager keeps the VPB of a mount request until it has completed.
        let storage = unsafe { (*vpb).RealDevice };
        // SAFETY: the storage device is alive while it is being mounted.
        (!storage.is_null()).then(|| unsafe { DeviceObject::from_raw(storage) }.reference())
    }

    /// Copies the location, sets the routine and calls the next driver, in that order (C1), in no
    /// critical region (D8): what the next driver returned. `last` is done right before.
    ///
    /// # Safety
    /// `routine` accepts `context` whenever the request completes.
    unsafe fn call_with(
        self,
        routine: Routine,
        context: Context,
        last: impl FnOnce(&Self),
    ) -> NTSTATUS {
        // First: what is written below might be the extension that this is in, for all the compiler knows.
        let lower = self.lower().raw();
        // SAFETY: contract of the function; invariant of the type: the IRP has a location for the lower device.
        unsafe { raw::copy_with_completion_routine(self.raw, routine, context) };
        last(&self);
        let irp = self.into_raw();
        // SAFETY: the lower device is alive while a request is on its way to it; neither the IRP (C12) nor
        // the filter device (A9) is touched afterwards.
        unsafe { ntddk::IofCallDriver(lower, irp) }
    }

    /// The major function code. IRQL: any.
    #[must_use]
    pub fn major(&self) -> u8 {
        // SAFETY: invariant of the type.
        unsafe { raw::major(self.raw) }
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

    /// Completes the request with an error, and with no information. What is none becomes
    /// STATUS_INVALID_DEVICE_REQUEST: a filter that answers in place of its file system would have to keep
    /// what each answer promises, of files that are open and of buffers that are filled in (D5).
    ///
    /// IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_PNP and IRP_MJ_POWER are passed on all the same: a file system
    /// that does not see them keeps what points to a file or device that is gone.
    ///
    /// Rests on IofCompleteRequest: "The IoCompleteRequest macro indicates that the caller has completed all
    /// processing for a given I/O request and is returning the given IRP to the I/O manager."
    pub fn refuse(self, status: Status, level: &mut AtMostApc) -> Disposition<'d> {
        if let Major::CLEANUP | Major::CLOSE | Major::PNP | Major::POWER = self.major() {
            return self.forward(level);
        }
        let status = status.or_invalid_request();
        let irp = self.into_raw();
        // SAFETY: owned until now; not touched after completion.
        Disposition::new(unsafe { complete(irp, status, 0) }.0)
    }

    /// Passes the request on without looking at its completion: the lower driver gets this
    /// driver's stack location. At the level of a dispatch routine, and not while a spin lock is held (D6).
    ///
    /// Rests on IofCallDriver: "Sends an IRP to the driver associated with a specified device object."
    /// Rests on IoSkipCurrentIrpStackLocation: "The IoSkipCurrentIrpStackLocation macro modifies the system's
    /// IO_STACK_LOCATION array pointer, so that when the current driver calls the next-lower driver, that
    /// driver receives the same IO_STACK_LOCATION structure that the current driver received."
    pub fn forward(self, _level: &mut AtMostApc) -> Disposition<'d> {
        let lower = self.lower().raw();
        let irp = self.into_raw();
        // SAFETY: owned until now; no completion routine is set (C1).
        unsafe { raw::skip_current_location(irp) };
        // SAFETY: the lower device is alive while a request is on its way to it.
        Disposition::new(unsafe { ntddk::IofCallDriver(lower, irp) })
    }

    /// Passes the request on and sees it complete. What the lower driver returned is returned (D4).
    ///
    /// A driver that is being unloaded passes it on and does not see it complete: `completion` is dropped. Nothing
    /// is allocated, so that no request fails for want of memory to observe it (P2).
    ///
    /// Rests on IoCopyCurrentIrpStackLocationToNext: "The IoCopyCurrentIrpStackLocationToNext routine copies
    /// the IRP stack parameters from the current I/O stack location to the stack location of the next-lower
    /// driver."
    /// Rests on IoSetCompletionRoutine: "The IoSetCompletionRoutine routine registers an IoCompletion routine,
    /// which will be called when the next-lower-level driver has completed the requested operation for the
    /// given IRP."
    ///
    #[doc = example!("pass_through.rs")]
    pub fn forward_with<C: Completion<F>>(
        self,
        completion: C,
        level: &mut AtMostApc,
    ) -> Disposition<'d> {
        self.forward_counted(completion, level, |_irp| ())
    }

    /// As [`Irp::forward_with`], and calls `passed_on` right before the request is below: once, and not at
    /// all if nobody will see it complete, because then `completion` is dropped. A driver that stays counts
    /// nothing (P4).
    pub fn forward_counted<C: Completion<F>>(
        self,
        completion: C,
        level: &mut AtMostApc,
        passed_on: impl FnOnce(&Self),
    ) -> Disposition<'d> {
        if self.device().is_counted() {
            return self.forward_inside(completion, level, passed_on);
        }
        let context = completion::encode(completion);
        let routine = completion::propagating::<F, C>;
        // SAFETY: the routine takes what `encode` made, once.
        Disposition::new(unsafe { self.call_with(routine, context, passed_on) })
    }

    /// [`Irp::forward_counted`] in a driver that may be unloaded. Out of line: the way of a driver that
    /// stays has no frame.
    #[inline(never)]
    fn forward_inside<C: Completion<F>>(
        self,
        completion: C,
        level: &mut AtMostApc,
        passed_on: impl FnOnce(&Self),
    ) -> Disposition<'d> {
        if !self.enters() {
            return self.forward(level);
        }
        let context = completion::encode(completion);
        let routine = completion::propagating_inside::<F, C>;
        // SAFETY: the routine takes what `encode` made, once.
        Disposition::new(unsafe { self.call_with(routine, context, passed_on) })
    }

    /// Passes the request on, waits until the lower driver has completed it, and gets it back
    /// (C8 a, C10): completion stops at this driver and is resumed by what is done with the result.
    ///
    /// Rests on KeWaitForSingleObject: "The KeWaitForSingleObject routine puts the current thread into a wait
    /// state until the given dispatcher object is set to a signaled state or (optionally) until the wait times
    /// out."
    ///
    #[doc = example!("wait.rs")]
    pub fn forward_and_wait(self, level: &mut Passive) -> ReturnedIrp<'d, F> {
        let (irp, device, driver) = (self.raw, self.device, self.driver());
        let storage = self.storage_to_mount();
        let event = Event::uninitialized();
        // SAFETY: the event stays in this frame, which outlives the request below.
        unsafe { event.initialize(false, false) };
        let context = Context::new((&raw const event).cast_mut().cast());
        let routine = if self.device().is_counted() {
            DRIVER.will_wake();
            completion::waiting_inside
        } else {
            completion::waiting
        };
        // SAFETY: either takes an initialized event that outlives the wait below.
        let _status = unsafe { self.call_with(routine, context, |_irp| ()) };
        // Also when the call did not return STATUS_PENDING: the routine ran then, the event is
        // set, and the wait returns at once.
        // SAFETY: initialized above.
        unsafe { event.wait(level) };
        // SAFETY: the routine stopped completion, so the IRP is this driver's again.
        unsafe { ReturnedIrp::from_raw(device, driver, irp, storage) }
    }

    /// Marks the request pending, passes it on, and finishes it later on a work item with
    /// `work` (C8 b, C10, C11). For where the thread may not wait.
    ///
    /// The work item and the context are allocated first; without them the request is
    /// refused with STATUS_INSUFFICIENT_RESOURCES and nothing was passed on.
    ///
    /// Rests on IoMarkIrpPending: "The IoMarkIrpPending routine marks the specified IRP, indicating that a
    /// driver's dispatch routine subsequently returned STATUS_PENDING because further processing is required by
    /// other driver routines."
    ///
    #[doc = example!("post.rs")]
    pub fn pend_and_forward<W: PendedWork<F>>(
        self,
        work: W,
        level: &mut AtMostApc,
    ) -> Disposition<'d> {
        let storage = self.storage_to_mount();
        let context = match pended::Posted::new(self.driver(), storage, work) {
            Ok(posted) => posted,
            Err(status) => return self.refuse(status, level),
        };
        if self.device().is_counted() && !self.enters() {
            return self.forward(level);
        }
        let context = Context::new(context.into_raw().as_ptr().cast());
        // SAFETY: still this driver's; marked before it is passed on (C11).
        let last = |irp: &Self| unsafe { raw::mark_pending(irp.raw) };
        // SAFETY: `post` takes what `Posted::into_raw` gave, once.
        let _pending_whatever_it_is =
            unsafe { self.call_with(pended::post::<F, W>, context, last) };
        Disposition::new(Status::PENDING.0)
    }
}
