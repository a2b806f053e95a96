//! `IO_WORKITEM`.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::exports::resident;
use crate::io_manager::work_item::{self, Routine, RoutineEx, WorkItem};
use crate::io_manager::{fence, running};
use crate::nt::DEVICE_OBJECT;
use crate::nt::routines::WorkItemRoutine;
use crate::processor::given;
use crate::processor::irql;
use std::ffi::c_void;

/// `IoAllocateWorkItem`.
pub unsafe extern "win64" fn allocate_work_item(
    device: *mut DEVICE_OBJECT,
    caller: usize,
) -> *mut WorkItem {
    irql::require("IoAllocateWorkItem", caller);
    // SAFETY: the driver's device.
    unsafe { work_item::allocate(device.cast(), caller) }
}

/// `IoFreeWorkItem`.
pub unsafe extern "win64" fn free_work_item(item: *mut WorkItem, caller: usize) {
    irql::require("IoFreeWorkItem", caller);
    // SAFETY: the driver's item.
    unsafe { work_item::free(item, caller) }
}

/// `IoInitializeWorkItem`.
pub unsafe extern "win64" fn initialize_work_item(
    object: *mut c_void,
    item: *mut WorkItem,
    caller: usize,
) {
    resident::work_item("IoInitializeWorkItem", item.addr(), caller);
    // SAFETY: the driver's memory.
    unsafe { work_item::initialize(object, item) }
}

/// `IoUninitializeWorkItem`: nothing is left to be released.
pub unsafe extern "win64" fn uninitialize_work_item(_item: *mut WorkItem) {}

/// `IoSizeofWorkItem`.
pub unsafe extern "win64" fn sizeof_work_item() -> u32 {
    size_of::<WorkItem>() as u32
}

/// `IoQueueWorkItem`. All queues are one.
pub unsafe extern "win64" fn queue_work_item(
    item: *mut WorkItem,
    routine: WorkItemRoutine,
    _queue: i32,
    context: *mut c_void,
    caller: usize,
) {
    irql::require("IoQueueWorkItem", caller);
    given::remember(routine as usize, "IoQueueWorkItem", caller);
    running::is_queued(context as usize, caller);
    let fence = fence::before_queueing(context as usize, caller);
    // SAFETY: the driver's item and routine.
    unsafe { work_item::queue(item, Routine::Device(routine), context, caller) };
    fence::put_up(fence);
}

/// `IoQueueWorkItemEx`.
pub unsafe extern "win64" fn queue_work_item_ex(
    item: *mut WorkItem,
    routine: RoutineEx,
    _queue: i32,
    context: *mut c_void,
    caller: usize,
) {
    irql::require("IoQueueWorkItemEx", caller);
    given::remember(routine as usize, "IoQueueWorkItemEx", caller);
    running::is_queued(context as usize, caller);
    let fence = fence::before_queueing(context as usize, caller);
    // SAFETY: the driver's item and routine.
    unsafe { work_item::queue(item, Routine::Extended(routine), context, caller) };
    fence::put_up(fence);
}
