//! Requests that were marked pending and are finished on a work item.
//!
//! Wraps `IoAllocateWorkItem`, `IoQueueWorkItem` and `IoFreeWorkItem`. The work
//! item keeps the device and the driver until its routine has returned.

#![expect(
    unsafe_code,
    reason = "the request travels through the context pointer"
)]

use super::{Brand, RequestKind, raw};
use crate::device::FilterDevice;
use crate::driver::{Driver, Filter};
use crate::irql::Passive;
use crate::pool::NonPagedBox;
use crate::status::Status;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;
use wdk_sys::{
    _WORK_QUEUE_TYPE, IO_NO_INCREMENT, NTSTATUS, PDEVICE_OBJECT, PIO_WORKITEM, PIRP, ntddk,
};

/// A request that was marked pending (C11) and is this driver's until completion is resumed.
///
/// Only [`PendedIrp::resume`] gives the [`Resumed`] that [`PendedWork::run`] must return, so it
/// cannot be forgotten and leave its originator waiting for ever (C13).
#[must_use = "completion was stopped and must be resumed"]
pub struct PendedIrp<'w, F: Filter> {
    raw: PIRP,
    driver: &'w Driver<F>,
    brand: Brand<'w>,
}

/// Completion of the request of the call `'w` went on: the only thing that work can return.
pub struct Resumed<'w>(Brand<'w>);

impl<'w, F: Filter> PendedIrp<'w, F> {
    /// The driver's state, which stays until the work has returned. IRQL: any.
    #[must_use]
    pub const fn driver(&self) -> &'w Driver<F> {
        self.driver
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

    /// Lets completion go on upwards with the result of the lower driver (C13).
    /// IRQL: ≤ DISPATCH_LEVEL.
    pub fn resume(self) -> Resumed<'w> {
        let irp = self.raw;
        // SAFETY: owned until now; not touched afterwards (C12).
        unsafe { ntddk::IofCompleteRequest(irp, IO_NO_INCREMENT as _) };
        Resumed(PhantomData)
    }
}

/// What is done at PASSIVE_LEVEL with a request that came back.
pub trait PendedWork<F: Filter>: Send + Sized + 'static {
    /// Runs on a system worker thread. The filter device may have gone while the request was below (A9).
    fn run<'w>(self, irp: PendedIrp<'w, F>, level: &mut Passive) -> Resumed<'w>;
}

/// The work and its work item, allocated before the request is parted with.
pub(super) struct Posted<F: Filter, W> {
    item: WorkItem,
    /// Null until the request has come back.
    irp: PIRP,
    work: W,
    filter: PhantomData<F>,
}

/// An allocated work item; freed when dropped.
struct WorkItem(PIO_WORKITEM);

impl Drop for WorkItem {
    fn drop(&mut self) {
        // SAFETY: allocated by `Posted::new`, and not queued at this moment.
        unsafe { ntddk::IoFreeWorkItem(self.0) }
    }
}

impl<F: Filter, W: PendedWork<F>> Posted<F, W> {
    /// Allocates what posting needs. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub(super) fn new(device: &FilterDevice<F>, work: W) -> Result<NonPagedBox<Self>, Status> {
        // SAFETY: a live device object.
        let item = unsafe { ntddk::IoAllocateWorkItem(device.object().raw()) };
        if item.is_null() {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        let item = WorkItem(item);
        NonPagedBox::try_new(Self {
            item,
            irp: core::ptr::null_mut(),
            work,
            filter: PhantomData,
        })
    }

    /// # Safety
    /// `context` is a box of this type given up with `into_raw`, and is taken back once.
    pub(super) unsafe fn from_raw(context: *mut c_void) -> NonPagedBox<Self> {
        // SAFETY: contract of the function; a box is never null.
        let raw = unsafe { NonNull::new_unchecked(context.cast()) };
        // SAFETY: contract of the function.
        unsafe { NonPagedBox::from_raw(raw) }
    }
}

/// The pended trampoline: posts the request to its work item and stops completion. The request
/// was marked pending before it was passed on, so nothing is propagated here (C7, C8 b, C11).
///
/// # Safety
/// An IO_COMPLETION_ROUTINE whose context is a `Posted<F, W>`.
pub(super) unsafe extern "C" fn post<F: Filter, W: PendedWork<F>>(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    let mut posted = unsafe { Posted::<F, W>::from_raw(context) };
    posted.irp = irp;
    let item = posted.item.0;
    let context = posted.into_raw().as_ptr().cast();
    // SAFETY: the item is queued once, with the context that its routine expects.
    unsafe {
        ntddk::IoQueueWorkItem(
            item,
            Some(run::<F, W>),
            _WORK_QUEUE_TYPE::DelayedWorkQueue,
            context,
        )
    };
    Status::MORE_PROCESSING_REQUIRED.0
}

/// # Safety
/// An IO_WORKITEM_ROUTINE whose context is a `Posted<F, W>` with its request.
unsafe extern "C" fn run<F: Filter, W: PendedWork<F>>(
    device: PDEVICE_OBJECT,
    context: *mut c_void,
) {
    // SAFETY: contract of the function.
    let Posted {
        item, irp, work, ..
    } = unsafe { Posted::<F, W>::from_raw(context) }.into_inner();
    // SAFETY: worker threads run at PASSIVE_LEVEL.
    let mut level = unsafe { Passive::assume() };
    // SAFETY: the work item was allocated for this filter device, which it keeps.
    let device = unsafe { FilterDevice::<F>::from_raw(device) };
    // SAFETY: the request is this driver's until `work` parts with it.
    let kind = unsafe { RequestKind::of(irp) };
    let irp = PendedIrp {
        raw: irp,
        // SAFETY: of a filter device of this driver, which has a work item that runs.
        driver: unsafe { &*device.driver_ptr() },
        brand: PhantomData,
    };
    let Resumed(_) = work.run(irp, &mut level);
    drop(item);
    if device.is_counted() {
        // SAFETY: ends the use that `Irp::pend_and_forward` began for this request.
        unsafe { device.leave(kind) }
    }
}
