//! Requests for the control device.
//!
//! Source: "Writing IRP Dispatch Routines", "Completing IRPs".

#![expect(unsafe_code, reason = "the IRP is the I/O manager's structure")]

use super::disposition::{Brand, Disposition, complete};
use super::raw;
use crate::driver::keeps::Keeps;
use crate::driver::state::Driver;
use crate::irql::AtMostApc;
use crate::status::Status;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use wdk_sys::{FILE_OBJECT, PIRP};

/// A request for the control device, owned by a dispatch routine for the call `'d`: it is completed
/// once (D2, D5).
///
/// What the request lends is borrowed from it, the client included: when it has completed, another
/// thread may close the last handle, and the close frees the client.
///
/// # Invariants
/// The IRP is live, and its current stack location is that of the control device.
#[must_use = "a request is completed"]
pub struct ControlIrp<'d, F: Keeps> {
    /// A raw pointer, as in [`super::Irp`].
    raw: PIRP,
    driver: &'d Driver<F>,
    brand: Brand<'d>,
}

impl<'d, F: Keeps> ControlIrp<'d, F> {
    /// # Safety
    /// `raw` was just passed to a dispatch routine with the control device of `driver`, whose call is `'d`,
    /// and becomes a `ControlIrp` once.
    pub(crate) const unsafe fn from_raw(driver: &'d Driver<F>, raw: PIRP) -> Self {
        Self {
            raw,
            driver,
            brand: PhantomData,
        }
    }

    pub(super) const fn raw(&self) -> PIRP {
        self.raw
    }

    /// The driver's state, which stays until the dispatch routine has returned. IRQL: any.
    #[must_use]
    pub const fn driver(&self) -> &'d Driver<F> {
        self.driver
    }

    /// The major function code. IRQL: any.
    #[must_use]
    pub fn major(&self) -> u8 {
        // SAFETY: invariant of the type.
        unsafe { raw::major(self.raw) }
    }

    /// The file object that the request is for; `None` in some that drivers send. IRQL: any.
    pub(crate) fn file_object(&self) -> Option<NonNull<FILE_OBJECT>> {
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above.
        NonNull::new(unsafe { (*location).FileObject })
    }

    /// What the filter keeps with the handle that the request came through; `None` for another driver
    /// that sends requests without a file object. IRQL: any.
    #[must_use]
    pub fn client(&self) -> Option<&F::Client> {
        let file = self.file_object()?;
        // SAFETY: the file object is not closed before this request has completed.
        let context = unsafe { (*file.as_ptr()).FsContext };
        // SAFETY: null, or what `crate::client` put there in the create and takes in the close.
        unsafe { context.cast::<F::Client>().as_ref() }
    }

    /// Completes the request with an error; what is none becomes STATUS_INVALID_DEVICE_REQUEST. A success
    /// would promise what only a [`super::DeviceControl`] can keep: a query of the file's name, say, that
    /// nobody has answered makes the I/O manager read what lies in its buffer (D7).
    pub fn refuse(self, status: Status, _level: &mut AtMostApc) -> Disposition<'d> {
        let status = status.or_invalid_request();
        // SAFETY: an error promises nothing.
        unsafe { self.complete(status, 0) }
    }

    /// Completes the request. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// # Safety
    /// A success keeps what it promises, and `information` bytes of the buffer from which the I/O manager
    /// copies are initialized for the caller.
    pub(crate) unsafe fn complete(self, status: Status, information: usize) -> Disposition<'d> {
        let irp = ManuallyDrop::new(self).raw;
        // SAFETY: owned until now; not touched after completion.
        Disposition::new(unsafe { complete(irp, status, information) }.0)
    }
}
