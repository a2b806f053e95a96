//! Requests on their way up.

#![expect(unsafe_code, reason = "the IRP is the I/O manager's structure")]

use super::{Brand, Disposition, FileObject, raw};
use crate::status::Status;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use wdk_sys::{IO_NO_INCREMENT, PIRP, ntddk};

/// A request seen by a completion routine: to be read, not to be changed (C16).
pub struct CompletedIrp<'c> {
    /// A raw pointer, so that it is not sent away: it may not be touched after the routine has
    /// returned (C12).
    raw: PIRP,
    call: PhantomData<&'c ()>,
}

impl CompletedIrp<'_> {
    /// # Safety
    /// `raw` was just passed to a completion routine, whose call is the borrow of the result.
    pub(crate) const unsafe fn from_raw(raw: PIRP) -> Self {
        Self {
            raw,
            call: PhantomData,
        }
    }

    /// The status it completed with. IRQL: any.
    #[must_use]
    pub fn status(&self) -> Status {
        // SAFETY: live while the routine runs.
        unsafe { raw::status(self.raw) }
    }

    /// Bytes transferred, or what the major function defines. IRQL: any.
    #[must_use]
    pub fn information(&self) -> usize {
        // SAFETY: live while the routine runs.
        unsafe { (*self.raw).IoStatus.Information as usize }
    }

    /// The major function code. IRQL: any.
    #[must_use]
    pub fn major(&self) -> u8 {
        // SAFETY: live while the routine runs, and the current location is this driver's.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above.
        unsafe { (*location).MajorFunction }
    }

    /// Whether a driver below returned STATUS_PENDING. IRQL: any.
    #[must_use]
    pub fn pending_returned(&self) -> bool {
        // SAFETY: live while the routine runs.
        unsafe { (*self.raw).PendingReturned != 0 }
    }
}

/// A request whose completion stopped at this driver, which owns it again.
///
/// Only [`ReturnedIrp::resume`] gives the disposition that the dispatch routine must return,
/// so completion is resumed exactly once (C13).
#[must_use = "completion was stopped and must be resumed"]
pub struct ReturnedIrp<'d> {
    raw: PIRP,
    brand: Brand<'d>,
}

impl<'d> ReturnedIrp<'d> {
    /// # Safety
    /// The completion routine of this driver returned STATUS_MORE_PROCESSING_REQUIRED for
    /// `raw`, which becomes a `ReturnedIrp` once.
    pub(crate) const unsafe fn from_raw(raw: PIRP) -> Self {
        Self {
            raw,
            brand: PhantomData,
        }
    }

    /// The status the lower driver completed it with. IRQL: any.
    #[must_use]
    pub fn status(&self) -> Status {
        // SAFETY: owned.
        unsafe { raw::status(self.raw) }
    }

    /// Bytes transferred, or what the major function defines. IRQL: any.
    #[must_use]
    pub fn information(&self) -> usize {
        // SAFETY: owned.
        unsafe { (*self.raw).IoStatus.Information as usize }
    }

    /// Whether a driver below returned STATUS_PENDING. IRQL: any.
    #[must_use]
    pub fn pending_returned(&self) -> bool {
        // SAFETY: owned.
        unsafe { (*self.raw).PendingReturned != 0 }
    }

    /// The file object that the request is for. IRQL: any.
    #[must_use]
    pub fn file(&self) -> Option<FileObject<'_>> {
        // SAFETY: owned, and the current location is this driver's.
        unsafe { FileObject::of(self.raw) }
    }

    /// Lets completion go on upwards with the result of the lower driver, and returns that
    /// status (D4). IRQL: ≤ DISPATCH_LEVEL.
    pub fn resume(self) -> Disposition<'d> {
        let status = self.status();
        let irp = ManuallyDrop::new(self).raw;
        // SAFETY: owned until now; not touched afterwards (C12).
        unsafe { ntddk::IofCompleteRequest(irp, IO_NO_INCREMENT as _) };
        Disposition::new(status.0)
    }
}
