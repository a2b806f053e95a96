//! Requests on their way up.

#![expect(unsafe_code, reason = "the IRP is the I/O manager's structure")]

use super::came::Came;
use super::disposition::{Brand, Disposition};
use super::major::Major;
use super::raw;
use crate::device::DeviceReference;
use crate::driver::keeps::Keeps;
use crate::driver::state::Driver;
use crate::irql::Passive;
use crate::slot::DRIVER;
use core::marker::PhantomData;
use wdk_sys::{IO_NO_INCREMENT, PDEVICE_OBJECT, PIRP, ntddk};

/// A request seen by a completion routine: to be read, not to be changed (C16).
pub struct CompletedIrp<'c, F: Keeps> {
    /// A raw pointer, so that it is not sent away: it may not be touched after the routine has
    /// returned (C12).
    raw: PIRP,
    call: PhantomData<&'c Driver<F>>,
}

impl<F: Keeps> CompletedIrp<'_, F> {
    /// # Safety
    /// `raw` was just passed to a completion routine, whose call is the borrow of the result.
    pub(crate) const unsafe fn from_raw(raw: PIRP) -> Self {
        Self {
            raw,
            call: PhantomData,
        }
    }

    /// The driver's state, which stays until the completion routine has returned. IRQL: any.
    #[must_use]
    pub fn driver(&self) -> Option<&Driver<F>> {
        // SAFETY: the filter of the routine that runs, to which the result is bound.
        unsafe { DRIVER.get() }
    }

    /// How it came back. IRQL: any.
    #[must_use]
    pub fn came(&self) -> Came {
        // SAFETY: live while the routine runs.
        unsafe { Came::of(self.raw) }
    }

    /// The major function code. IRQL: any.
    #[must_use]
    pub fn major(&self) -> u8 {
        // SAFETY: live while the routine runs, and the current location is this driver's.
        unsafe { raw::major(self.raw) }
    }

    /// The class of an IRP_MJ_SET_INFORMATION; `None` in another request. IRQL: any.
    #[must_use]
    pub fn set_class(&self) -> Option<u32> {
        if self.major() != Major::SET_INFORMATION {
            return None;
        }
        // SAFETY: live while the routine runs, and the current location is this driver's.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above; only the place is computed.
        let parameters = unsafe { &raw const (*location).Parameters.SetFile };
        // SAFETY: the major function selects this member.
        let class = unsafe { (*parameters).FileInformationClass };
        Some(class.cast_unsigned())
    }
}

/// A request whose completion stopped at this driver, which owns it again.
///
/// Only [`ReturnedIrp::resume`] gives the disposition that the dispatch routine must return,
/// so completion is resumed exactly once (C13).
#[must_use = "completion was stopped and must be resumed"]
pub struct ReturnedIrp<'d, F: Keeps> {
    raw: PIRP,
    /// A raw pointer: it may have gone while the request was below (A9).
    device: PDEVICE_OBJECT,
    driver: &'d Driver<F>,
    /// Of a mount.
    pub(super) storage: Option<DeviceReference>,
    brand: Brand<'d>,
}

impl<'d, F: Keeps> ReturnedIrp<'d, F> {
    /// # Safety
    /// The completion routine of this driver returned STATUS_MORE_PROCESSING_REQUIRED for
    /// `raw`, which was sent to `device` and becomes a `ReturnedIrp` once. `storage` is what it asked to be
    /// mounted.
    pub(crate) const unsafe fn from_raw(
        device: PDEVICE_OBJECT,
        driver: &'d Driver<F>,
        raw: PIRP,
        storage: Option<DeviceReference>,
    ) -> Self {
        Self {
            raw,
            device,
            driver,
            storage,
            brand: PhantomData,
        }
    }

    /// How it came back. IRQL: any.
    #[must_use]
    pub fn came(&self) -> Came {
        // SAFETY: owned.
        unsafe { Came::of(self.raw) }
    }

    pub(super) const fn raw(&self) -> PIRP {
        self.raw
    }

    pub(super) const fn device(&self) -> PDEVICE_OBJECT {
        self.device
    }

    /// The driver's state, which stays until the dispatch routine has returned. IRQL: any.
    #[must_use]
    pub const fn driver(&self) -> &'d Driver<F> {
        self.driver
    }

    /// Lets completion go on upwards with the result of the lower driver, and returns that
    /// status (D4).
    ///
    /// Rests on IofCompleteRequest: "The IoCompleteRequest macro indicates that the caller has completed all
    /// processing for a given I/O request and is returning the given IRP to the I/O manager."
    pub fn resume(self, _level: &mut Passive) -> Disposition<'d> {
        let status = self.came().status;
        let irp = self.raw;
        // SAFETY: owned until now; not touched afterwards (C12).
        unsafe { ntddk::IofCompleteRequest(irp, IO_NO_INCREMENT as _) };
        Disposition::new(status.0)
    }
}
