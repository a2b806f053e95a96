//! Who has the request: given away, and used as if it were not.
//!
//! The directory change notification is the request that surely stays below. Its completion is
//! stopped in each of these, so that a request that does come back in time is rightly theirs.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch, enter, leave, lower, stop};
use crate::kernel::{complete_as_is, copy_location_to_next, current_location, mark_pending};
use core::ptr::null_mut;
use wdk_sys::{
    _WORK_QUEUE_TYPE, IRP_MJ_DIRECTORY_CONTROL, IRP_MN_NOTIFY_CHANGE_DIRECTORY, NTSTATUS,
    PDEVICE_OBJECT, PIO_WORKITEM, PIRP, PVOID, STATUS_PENDING, ntddk,
};

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::ForwardWhileBelow, IRP_MJ_DIRECTORY_CONTROL) => Some(forward_again),
        (Mistake::CompleteWithoutWaiting, IRP_MJ_DIRECTORY_CONTROL) => Some(complete_at_once),
        (Mistake::CompleteWhileBelow, IRP_MJ_DIRECTORY_CONTROL) => Some(complete_in_worker),
        _ => None,
    }
}

/// True for the request that these mistakes are made with.
pub(super) unsafe fn is_notify(irp: PIRP) -> bool {
    u32::from((*current_location(irp)).MinorFunction) == IRP_MN_NOTIFY_CHANGE_DIRECTORY
}

/// Sets the routine that stops completion; false if there is no memory for it.
unsafe fn set_stop(device: PDEVICE_OBJECT, irp: PIRP) -> bool {
    copy_location_to_next(irp);
    ntddk::IoSetCompletionRoutineEx(device, irp, Some(stop), null_mut(), 1, 1, 1) >= 0
}

/// Takes STATUS_PENDING for "try again".
unsafe extern "C" fn forward_again(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !is_notify(irp) || !set_stop(device, irp) {
        return dispatch(device, irp);
    }
    enter();
    let status = ntddk::IofCallDriver(lower(device), irp);
    if status == STATUS_PENDING {
        let _ = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: forward-while-below
    } else {
        complete_as_is(irp);
    }
    status
}

/// Takes STATUS_PENDING for a failure.
unsafe extern "C" fn complete_at_once(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !is_notify(irp) || !set_stop(device, irp) {
        return dispatch(device, irp);
    }
    enter();
    mark_pending(irp);
    let _ = ntddk::IofCallDriver(lower(device), irp);
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: complete-without-waiting
    STATUS_PENDING
}

/// Lets a worker complete what takes long.
unsafe extern "C" fn complete_in_worker(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let item = ntddk::IoAllocateWorkItem(device);
    if item.is_null() || !is_notify(irp) || !set_stop(device, irp) {
        if !item.is_null() {
            ntddk::IoFreeWorkItem(item);
        }
        return dispatch(device, irp);
    }
    enter();
    enter();
    mark_pending(irp);
    let _ = ntddk::IofCallDriver(lower(device), irp);
    let queue = _WORK_QUEUE_TYPE::DelayedWorkQueue;
    ntddk::IoQueueWorkItemEx(item, Some(work), queue, irp.cast());
    STATUS_PENDING
}

/// IO_WORKITEM_ROUTINE_EX.
unsafe extern "C" fn work(_object: PVOID, irp: PVOID, item: PIO_WORKITEM) {
    ntddk::IofCompleteRequest(irp.cast(), 0); // MISTAKE: complete-while-below
    ntddk::IoFreeWorkItem(item);
    leave();
}
