//! Pending: marked, returned and propagated, or none of the three.

use super::Mistake;
use crate::filter::{DispatchRoutine, enter, leave, lower, pass_and_wait, pass_with};
use crate::kernel::{complete, complete_as_is, copy_location_to_next, mark_pending};
use core::ffi::c_void;
use wdk_sys::{
    _WORK_QUEUE_TYPE, IRP_MJ_QUERY_INFORMATION, NTSTATUS, PDEVICE_OBJECT, PIO_WORKITEM, PIRP,
    POOL_FLAG_NON_PAGED, PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING, STATUS_SUCCESS,
    ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadP");

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::PendingNotPropagated, _) => Some(pass_without_propagating),
        (Mistake::PendingNotMarked, IRP_MJ_QUERY_INFORMATION) => Some(post_unmarked),
        (Mistake::MarkedNotPending, IRP_MJ_QUERY_INFORMATION) => Some(mark_and_return_final),
        _ => None,
    }
}

unsafe extern "C" fn pass_without_propagating(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, not_propagated, core::ptr::null_mut());
    leave();
    status
}

/// [`crate::filter::completed`] without its condition.
unsafe extern "C" fn not_propagated(
    _device: PDEVICE_OBJECT,
    _irp: PIRP,
    _context: *mut c_void,
) -> NTSTATUS {
    leave();
    STATUS_SUCCESS
}

/// What the worker is given.
#[repr(C)]
struct Posted {
    item: PIO_WORKITEM,
    irp: PIRP,
}

unsafe extern "C" fn post_unmarked(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let bytes = size_of::<Posted>() as u64;
    let posted: *mut Posted = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes, TAG).cast();
    let item = ntddk::IoAllocateWorkItem(device);
    if posted.is_null() || item.is_null() {
        // A leak of the other one: nobody runs this mistake with little memory.
        return complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    }
    *posted = Posted { item, irp };
    enter();
    ntddk::IoQueueWorkItem(
        item,
        Some(work),
        _WORK_QUEUE_TYPE::DelayedWorkQueue,
        posted.cast(),
    );
    STATUS_PENDING
}

/// IO_WORKITEM_ROUTINE.
unsafe extern "C" fn work(device: PDEVICE_OBJECT, context: PVOID) {
    let posted: *mut Posted = context.cast();
    let Posted { item, irp } = posted.read();
    ntddk::ExFreePoolWithTag(context, TAG);
    if pass_and_wait(device, irp).is_ok() {
        complete_as_is(irp);
    }
    ntddk::IoFreeWorkItem(item);
    leave();
}

unsafe extern "C" fn mark_and_return_final(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    copy_location_to_next(irp);
    mark_pending(irp);
    let status = ntddk::IofCallDriver(lower(device), irp);
    leave();
    status
}
