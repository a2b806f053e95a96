//! A device control that waits at the control device, and can be cancelled.
//!
//! One request at a time lies in a [`Parking`]. Who takes it out first completes it: the one who has
//! something to say, or its cancel routine. Whichever makes `Irp->CancelRoutine` null has it; the other
//! finds null and lets it be.
//!
//! Wraps `IoSetCancelRoutine` (an inline routine) and `IoReleaseCancelSpinLock`.
//! Source: "Canceling IRPs", "Synchronizing IRP Cancellation".

#![expect(
    unsafe_code,
    reason = "the request lies where its cancel routine finds it"
)]

use super::device_control::DeviceControl;
use super::disposition::{Disposition, complete};
use super::raw;
use crate::driver::keeps::Keeps;
use crate::irql::AtMostDispatch;
use crate::pool::NonPagedArc;
use crate::slot::DRIVER;
use crate::status::Status;
use crate::sync::SpinLock;
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use wdk_sys::{PDEVICE_OBJECT, PIRP, ntddk};

/// Where one request waits.
pub struct Parking(SpinLock<Option<Waiting>>);

/// A request in the parking: marked pending, its cancel routine set, and with a reference to the parking in
/// its `DriverContext`.
struct Waiting(PIRP);

// SAFETY: a pending request may be completed by any thread.
unsafe impl Send for Waiting {}

impl Parking {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self(SpinLock::new(None))
    }

    /// Takes the request out and completes it without output, unless there is none or it is being cancelled: whether
    /// it did. In one step, so that nobody has in hand what he may forget. A spin lock has the level while it is held
    /// (D9). STATUS_PENDING, which is no result, becomes STATUS_INVALID_DEVICE_REQUEST (D5). IRQL: ≤ DISPATCH_LEVEL.
    pub fn complete(&self, status: Status, level: &mut AtMostDispatch) -> bool {
        let taken = self.0.with(level, |waiting| {
            let Waiting(irp) = waiting.as_ref()?;
            // SAFETY: in the parking, so that it is not completed while the lock is held.
            unsafe { set_cancel_routine(*irp, None) }.then_some(())?;
            let Waiting(irp) = waiting.take()?;
            // SAFETY: parked with a reference, taken back once because the request leaves.
            drop(unsafe { parking_of(irp) });
            Some(irp)
        });
        if let Some(irp) = taken {
            // SAFETY: out of the parking, owned, and no cancel routine will run; not touched afterwards.
            unsafe { finish(irp, status) };
        }
        taken.is_some()
    }
}

impl Default for Parking {
    fn default() -> Self {
        Self::new()
    }
}

impl<'d, F: Keeps> DeviceControl<'d, F> {
    /// Leaves the request waiting: it is pending until it is taken out or cancelled. The driver is not unloaded before
    /// that (A12): where another driver has sent it, no open file keeps the cancel routine.
    ///
    /// Errors: the request, if another one is waiting, or the driver is being unloaded.
    ///
    /// Rests on IoReleaseCancelSpinLock: "The IoReleaseCancelSpinLock routine releases the cancel spin lock
    /// after the driver has changed the cancelable state of an IRP."
    pub fn park(
        self,
        parking: &NonPagedArc<Parking>,
        level: &mut AtMostDispatch,
    ) -> Result<Disposition<'d>, Self> {
        let Some(inside) = DRIVER.enter() else {
            return Err(self);
        };
        let irp = self.raw();
        let reference = parking.clone();
        let parked = parking.0.with(level, |waiting| {
            if waiting.is_some() {
                return None;
            }
            // SAFETY: owned, and the field is the owner's.
            let place = unsafe { context_place(irp) };
            // SAFETY: as above.
            unsafe { place.write(reference.into_raw().as_ptr()) };
            // SAFETY: owned; marked before anybody can complete it (C11).
            unsafe { raw::mark_pending(irp) };
            *waiting = Some(Waiting(irp));
            // SAFETY: owned while the lock is held: the cancel routine waits for it.
            unsafe { set_cancel_routine(irp, Some(cancel)) };
            // SAFETY: as above; only the place is computed.
            let cancelled = unsafe { &raw const (*irp).Cancel };
            // SAFETY: as above; another thread may set it now.
            let cancelled = unsafe { cancelled.read_volatile() } != 0;
            // Cancelled before it had a routine: nobody else will complete it. If the routine is gone, it
            // has been called meanwhile, and does.
            // SAFETY: as above.
            if cancelled && unsafe { set_cancel_routine(irp, None) } {
                *waiting = None;
                // SAFETY: the reference of a few lines above.
                drop(unsafe { parking_of(irp) });
                return Some(Some(irp));
            }
            Some(None)
        });
        match parked {
            None => Err(self),
            Some(cancelled) => {
                let _parted_with = ManuallyDrop::new(self);
                inside.keep();
                if let Some(irp) = cancelled {
                    // SAFETY: out of the parking, and owned again.
                    unsafe { finish(irp, Status::CANCELLED) };
                }
                Ok(Disposition::new(Status::PENDING.0))
            }
        }
    }
}

/// Cancels a request in a parking: takes it out, and completes it.
///
/// # Safety
/// A DRIVER_CANCEL of a parked request: called with the cancel spin lock held.
unsafe extern "C" fn cancel(_control_device: PDEVICE_OBJECT, irp: PIRP) {
    // SAFETY: the I/O manager stores the level from which it acquired the lock.
    let level = unsafe { (*irp).CancelIrql };
    // SAFETY: held by contract.
    unsafe { ntddk::IoReleaseCancelSpinLock(level) };
    // SAFETY: parked with a reference; nobody else takes it back, because this routine was not null.
    let parking = unsafe { parking_of(irp) };
    // SAFETY: at the level from which IoCancelIrp was called, ≤ DISPATCH_LEVEL.
    let level = unsafe { AtMostDispatch::assumed() };
    parking.0.with(level, |waiting| *waiting = None);
    drop(parking);
    // SAFETY: out of the parking; not touched afterwards.
    unsafe { finish(irp, Status::CANCELLED) };
}

/// Completes a request that has waited, and leaves the driver for it.
///
/// # Safety
/// Out of the parking, owned, and not touched afterwards.
unsafe fn finish(irp: PIRP, status: Status) {
    // SAFETY: contract of the function.
    unsafe { complete(irp, status, 0) };
    // SAFETY: entered by [`DeviceControl::park`], for this request.
    unsafe { DRIVER.leave() };
}

type CancelRoutine = unsafe extern "C" fn(PDEVICE_OBJECT, PIRP);

/// `IoSetCancelRoutine`: whether there was one before. IRQL: ≤ DISPATCH_LEVEL.
///
/// # Safety
/// The IRP is live.
unsafe fn set_cancel_routine(irp: PIRP, routine: Option<CancelRoutine>) -> bool {
    let routine = routine.map_or(core::ptr::null_mut(), |routine| routine as *mut c_void);
    // SAFETY: contract of the function; only the place is computed.
    let place: *mut *mut c_void = unsafe { &raw mut (*irp).CancelRoutine }.cast();
    // SAFETY: aligned, alive, and changed by everybody with this exchange.
    let place = unsafe { AtomicPtr::from_ptr(place) };
    !place.swap(routine, Ordering::SeqCst).is_null()
}

/// Where a request carries the reference to its parking.
///
/// # Safety
/// The IRP is live and owned by this driver.
unsafe fn context_place(irp: PIRP) -> *mut *mut c_void {
    // SAFETY: contract of the function; only the place is computed.
    let overlay = unsafe { &raw mut (*irp).Tail.Overlay };
    // SAFETY: as above; the member is the owner's while the request is in no device queue.
    unsafe { &raw mut (*overlay).__bindgen_anon_1.__bindgen_anon_1.DriverContext }.cast()
}

/// Takes the reference to the parking out of a request.
///
/// # Safety
/// [`DeviceControl::park`] has put it there, and it is taken once.
unsafe fn parking_of(irp: PIRP) -> NonPagedArc<Parking> {
    // SAFETY: contract of the function.
    let place = unsafe { context_place(irp) };
    // SAFETY: as above.
    let raw = unsafe { place.read() };
    // SAFETY: a reference is never null.
    let raw = unsafe { NonNull::new_unchecked(raw) };
    // SAFETY: contract of the function.
    unsafe { NonPagedArc::from_raw(raw) }
}
