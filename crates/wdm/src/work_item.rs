//! Work items: what a system worker thread does for the driver at PASSIVE_LEVEL.
//!
//! They are allocated for the control device, which is there for as long as the driver is. "The system
//! references the device object until the routine has returned", so that it also keeps the image; the
//! driver's state stays because the driver is entered for as long, where it may be unloaded.
//!
//! Wraps `IoAllocateWorkItem`, `IoQueueWorkItem` and `IoFreeWorkItem`.

#![expect(unsafe_code, reason = "work travels through the context pointer")]

use crate::device::{ControlExtension, extension_of};
use crate::driver::keeps::Keeps;
use crate::driver::state::Driver;
use crate::irql::Passive;
use crate::pool::NonPagedBox;
use crate::slot::DRIVER;
use crate::status::Status;
use core::ffi::c_void;
use core::ptr::NonNull;
use wdk_sys::{_WORK_QUEUE_TYPE, PDEVICE_OBJECT, PIO_WORKITEM, ntddk};

/// An allocated work item; freed when dropped.
///
/// # Invariants
/// It is not queued, but for the time between [`WorkItem::queue`] and its routine.
pub(crate) struct WorkItem(PIO_WORKITEM);

// SAFETY: a work item may be queued and freed by any thread.
unsafe impl Send for WorkItem {}

impl Drop for WorkItem {
    fn drop(&mut self) {
        // SAFETY: invariant of the type.
        unsafe { ntddk::IoFreeWorkItem(self.0) }
    }
}

/// Something to be done, with the item that carries it.
pub(crate) trait Work<F: Keeps>: Send + Sized {
    /// The item, in the value that it carries.
    fn item(&self) -> &WorkItem;

    /// Does it. The item is freed with the value, and what was entered for it is left here.
    fn done(self, driver: &Driver<F>, level: &mut Passive);
}

impl WorkItem {
    /// IRQL: ≤ DISPATCH_LEVEL. Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub(crate) fn allocate<F: Keeps>(driver: &Driver<F>) -> Result<Self, Status> {
        // SAFETY: the control device lives as long as the driver's state in it.
        let item = unsafe { ntddk::IoAllocateWorkItem(driver.control_device()) };
        if item.is_null() {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        Ok(Self(item))
    }

    /// Has `work` done. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// # Safety
    /// Its item was allocated for this driver, which is not unloaded before the work has been done.
    pub(crate) unsafe fn queue<F: Keeps, W: Work<F>>(work: NonPagedBox<W>) {
        let item = work.item().0;
        let context = work.into_raw().as_ptr().cast();
        let queue = _WORK_QUEUE_TYPE::DelayedWorkQueue;
        // SAFETY: queued once, with the context that the routine expects.
        unsafe { ntddk::IoQueueWorkItem(item, Some(run::<F, W>), queue, context) }
    }
}

/// # Safety
/// An IO_WORKITEM_ROUTINE of the control device, whose context is a box of `W` given up with `into_raw`.
unsafe extern "C" fn run<F: Keeps, W: Work<F>>(device: PDEVICE_OBJECT, context: *mut c_void) {
    // SAFETY: contract of the function; a box is never null.
    let raw = unsafe { NonNull::new_unchecked(context.cast()) };
    // SAFETY: contract of the function.
    let work = unsafe { NonPagedBox::<W>::from_raw(raw) }.into_inner();
    // SAFETY: contract of the function.
    let extension = unsafe { extension_of::<ControlExtension<F>>(device) };
    // SAFETY: the driver's state stays until the work has been done, by the contract of `queue`.
    let driver = unsafe { &(*extension).driver };
    // SAFETY: worker threads run at PASSIVE_LEVEL.
    work.done(driver, &mut unsafe { Passive::assume() });
}

/// Work of the driver's own, of no request.
struct Own<F: Keeps> {
    item: WorkItem,
    work: fn(&Driver<F>, &mut Passive),
}

impl<F: Keeps> Work<F> for Own<F> {
    fn item(&self) -> &WorkItem {
        &self.item
    }

    fn done(self, driver: &Driver<F>, level: &mut Passive) {
        (self.work)(driver, level);
        let counted = driver.can_unload();
        drop(self);
        if counted {
            // SAFETY: entered by `Driver::post`.
            unsafe { DRIVER.leave() }
        }
    }
}

impl<F: Keeps> Driver<F> {
    /// Has `work` done by a system worker thread. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; STATUS_DELETE_PENDING if the driver is being unloaded.
    ///
    /// Rests on IoAllocateWorkItem: "The IoAllocateWorkItem routine allocates a work item."
    /// Rests on IoQueueWorkItem: "The IoQueueWorkItem routine associates a WorkItem routine with a work item,
    /// and it inserts the work item into a queue for later processing by a system worker thread."
    /// Rests on IoFreeWorkItem: "The IoFreeWorkItem routine frees a work item that was allocated by
    /// IoAllocateWorkItem."
    pub fn post(&self, work: fn(&Self, &mut Passive)) -> Result<(), Status> {
        let item = WorkItem::allocate(self)?;
        let work = NonPagedBox::try_new(Own { item, work })?;
        if self.can_unload() {
            let inside = DRIVER.enter().ok_or(Status::DELETE_PENDING)?;
            inside.keep();
        }
        // SAFETY: allocated for this driver, which was entered.
        unsafe { WorkItem::queue(work) };
        Ok(())
    }
}
