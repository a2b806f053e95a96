//! Requests that were marked pending and are finished on a work item.
//!
//! A work item is allocated before the request is passed on, and queued by its completion routine.

#![expect(
    unsafe_code,
    reason = "the request travels through the context pointer"
)]

use super::came::Came;
use super::disposition::Brand;
use super::lasting::Lasting;
use super::raw::Context;
use crate::device::DeviceReference;
use crate::driver::keeps::Keeps;
use crate::driver::state::Driver;
use crate::irql::Passive;
use crate::pool::NonPagedBox;
use crate::slot::DRIVER;
use crate::status::Status;
use crate::work_item::{Work, WorkItem};
use core::marker::PhantomData;
use core::ptr::NonNull;
use wdk_sys::{IO_NO_INCREMENT, NTSTATUS, PDEVICE_OBJECT, PIRP, ntddk};

/// A request that was marked pending (C11) and is this driver's until completion is resumed.
///
/// Only [`PendedIrp::resume`] gives the [`Resumed`] that [`PendedWork::run`] must return, so it
/// cannot be forgotten and leave its originator waiting for ever (C13).
#[must_use = "completion was stopped and must be resumed"]
pub struct PendedIrp<'w, F: Keeps> {
    raw: PIRP,
    driver: &'w Driver<F>,
    /// Of a mount.
    pub(super) storage: Option<DeviceReference>,
    brand: Brand<'w>,
}

/// Completion of the request of the call `'w` went on: the only thing that work can return.
pub struct Resumed<'w>(Brand<'w>);

impl<'w, F: Keeps> PendedIrp<'w, F> {
    /// The driver's state, which stays until the work has returned. IRQL: any.
    #[must_use]
    pub const fn driver(&self) -> &'w Driver<F> {
        self.driver
    }

    /// How it came back. IRQL: any.
    #[must_use]
    pub fn came(&self) -> Came {
        // SAFETY: owned.
        unsafe { Came::of(self.raw) }
    }

    /// Lets completion go on upwards with the result of the lower driver (C13).
    ///
    /// Rests on IofCompleteRequest: "The IoCompleteRequest macro indicates that the caller has completed all
    /// processing for a given I/O request and is returning the given IRP to the I/O manager."
    pub fn resume(self, _level: &mut Passive) -> Resumed<'w> {
        let irp = self.raw;
        // SAFETY: owned until now; not touched afterwards (C12).
        unsafe { ntddk::IofCompleteRequest(irp, IO_NO_INCREMENT as _) };
        Resumed(PhantomData)
    }
}

/// What is done at PASSIVE_LEVEL with a request that came back.
pub trait PendedWork<F: Keeps>: Send + Sized + 'static {
    /// Runs on a system worker thread. The filter device may have gone while the request was below (A9).
    fn run<'w>(self, irp: PendedIrp<'w, F>, level: &mut Passive) -> Resumed<'w>;
}

/// The work and its work item, allocated before the request is parted with.
pub(super) struct Posted<F: Keeps, W> {
    item: WorkItem,
    /// Null until the request has come back.
    irp: PIRP,
    /// What it asks to be mounted.
    storage: Option<DeviceReference>,
    work: W,
    filter: PhantomData<F>,
}

// SAFETY: a request that was marked pending may be completed by any thread.
unsafe impl<F: Keeps, W: Send> Send for Posted<F, W> {}

impl<F: Keeps, W: PendedWork<F>> Posted<F, W> {
    /// Allocates what posting needs. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub(super) fn new(
        driver: &Driver<F>,
        storage: Option<DeviceReference>,
        work: W,
    ) -> Result<NonPagedBox<Self>, Status> {
        NonPagedBox::try_new(Self {
            item: WorkItem::allocate(driver)?,
            irp: core::ptr::null_mut(),
            storage,
            work,
            filter: PhantomData,
        })
    }
}

/// The pended trampoline: posts the request to its work item and stops completion. The request
/// was marked pending before it was passed on, so nothing is propagated here (C7, C8 b, C11).
///
/// # Safety
/// An IO_COMPLETION_ROUTINE whose context is a box of `Posted<F, W>` given up with `into_raw`, set by
/// [`super::Irp::pend_and_forward`] for a request that has entered the driver.
pub(super) unsafe extern "C" fn post<F: Keeps, W: PendedWork<F>>(
    _may_be_gone: PDEVICE_OBJECT,
    irp: PIRP,
    context: Context,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    let context = unsafe { context.assume_init() };
    // SAFETY: contract of the function; a box is never null.
    let raw = unsafe { NonNull::new_unchecked(context.cast()) };
    // SAFETY: contract of the function.
    let mut posted = unsafe { NonPagedBox::<Posted<F, W>>::from_raw(raw) };
    posted.irp = irp;
    // SAFETY: allocated for this driver, which the request has entered.
    unsafe { WorkItem::queue(posted) };
    Status::MORE_PROCESSING_REQUIRED.0
}

impl<F: Keeps, W: PendedWork<F>> Work<F> for Posted<F, W> {
    fn item(&self) -> &WorkItem {
        &self.item
    }

    fn done(self, driver: &Driver<F>, level: &mut Passive) {
        let Self {
            item,
            irp,
            storage,
            work,
            ..
        } = self;
        // SAFETY: the request is this driver's until `work` parts with it.
        let lasting = unsafe { Lasting::of(irp) };
        let irp = PendedIrp {
            raw: irp,
            driver,
            storage,
            brand: PhantomData,
        };
        let counted = driver.can_unload();
        let Resumed(_) = work.run(irp, level);
        drop(item);
        if counted {
            // SAFETY: ends what `Irp::pend_and_forward` began for this request.
            unsafe { DRIVER.leave_with(lasting) }
        }
    }
}
