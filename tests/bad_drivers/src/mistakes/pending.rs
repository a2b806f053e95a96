//! Pending: marked, returned and propagated, or none of the three.

use super::Mistake;
use crate::filter::{
    DispatchRoutine, completed, enter, leave, lower, mount_volume, pass_and_wait, pass_with, signal,
};
use crate::kernel::{
    complete, complete_as_is, copy_location_to_next, current_location, initialize_event,
    mark_pending, milliseconds, set_completion_routine, sleep, wait_for,
};
use core::ffi::c_void;
use wdk_sys::{
    _KWAIT_REASON, _MODE, _WORK_QUEUE_TYPE, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_QUERY_INFORMATION,
    IRP_MN_MOUNT_VOLUME, KEVENT, NTSTATUS, PDEVICE_OBJECT, PIO_WORKITEM, PIRP, POOL_FLAG_NON_PAGED,
    PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING, STATUS_SUCCESS, STATUS_TIMEOUT,
    STATUS_UNSUCCESSFUL, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadP");

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::PendingNotPropagated, _) => Some(pass_without_propagating),
        (Mistake::PendingNotMarked, IRP_MJ_QUERY_INFORMATION) => Some(post_unmarked),
        (Mistake::MarkedNotPending, IRP_MJ_QUERY_INFORMATION) => Some(mark_and_return_final),
        (Mistake::MarkAfterQueueing, IRP_MJ_QUERY_INFORMATION) => Some(mark_after_queueing),
        (Mistake::CompleteAndReturnPending, IRP_MJ_QUERY_INFORMATION) => {
            Some(complete_and_return_pending)
        }
        (Mistake::MarkAndComplete, IRP_MJ_QUERY_INFORMATION) => Some(mark_and_complete),
        (Mistake::AnotherStatusReturned, IRP_MJ_QUERY_INFORMATION) => Some(return_another_status),
        (Mistake::ContextOnStack, IRP_MJ_QUERY_INFORMATION) => Some(wait_a_moment),
        (Mistake::LowerStatusLost, _) => Some(return_success),
        (Mistake::SuccessWithoutCompletion, IRP_MJ_QUERY_INFORMATION) => {
            Some(succeed_without_completing)
        }
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
    /// Signalled when the worker may begin.
    may_begin: KEVENT,
}

/// Gives the request to a worker, which passes it on, waits and completes it. Without memory it is
/// completed here, and what was allocated is left: nobody runs these mistakes with little memory.
pub(super) unsafe fn post(device: PDEVICE_OBJECT, irp: PIRP) -> *mut KEVENT {
    let bytes = size_of::<Posted>() as u64;
    let posted: *mut Posted = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes, TAG).cast();
    let item = ntddk::IoAllocateWorkItem(device);
    if posted.is_null() || item.is_null() {
        complete(irp, STATUS_INSUFFICIENT_RESOURCES);
        return core::ptr::null_mut();
    }
    (*posted).item = item;
    (*posted).irp = irp;
    initialize_event(&raw mut (*posted).may_begin);
    enter();
    let queue = _WORK_QUEUE_TYPE::DelayedWorkQueue;
    ntddk::IoQueueWorkItem(item, Some(work), queue, posted.cast());
    &raw mut (*posted).may_begin
}

/// IO_WORKITEM_ROUTINE.
unsafe extern "C" fn work(device: PDEVICE_OBJECT, context: PVOID) {
    let posted: *mut Posted = context.cast();
    wait_for(&raw mut (*posted).may_begin);
    let (item, irp) = ((*posted).item, (*posted).irp);
    ntddk::ExFreePoolWithTag(context, TAG);
    let location = current_location(irp);
    if u32::from((*location).MajorFunction) == IRP_MJ_FILE_SYSTEM_CONTROL
        && u32::from((*location).MinorFunction) == IRP_MN_MOUNT_VOLUME
    {
        // The dispatch routine is about to return; it would be right if this were first.
        sleep(200);
        let _ = mount_volume(device, irp);
    } else {
        pass_and_wait(device, irp);
        complete_as_is(irp);
    }
    ntddk::IoFreeWorkItem(item);
    leave();
}

/// Lets the worker begin.
pub(super) unsafe fn begin(may_begin: *mut KEVENT) {
    if !may_begin.is_null() {
        ntddk::KeSetEvent(may_begin, 0, 0);
    }
}

unsafe extern "C" fn post_unmarked(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    begin(post(device, irp));
    STATUS_PENDING
}

/// The worker begins after the mark, so that the mark is too late by the rule only.
unsafe extern "C" fn mark_after_queueing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let may_begin = post(device, irp);
    mark_pending(irp);
    begin(may_begin);
    STATUS_PENDING
}

/// IRP_MN_MOUNT_VOLUME, as if the worker's success were the mount's.
pub unsafe fn post_mount(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    begin(post(device, irp));
    STATUS_SUCCESS
}

/// Passes the request down, waits and completes it with `mark` or without; its status.
unsafe fn pass_wait_and_complete(device: PDEVICE_OBJECT, irp: PIRP, mark: bool) -> NTSTATUS {
    enter();
    let status = pass_and_wait(device, irp);
    if mark {
        mark_pending(irp);
    }
    complete_as_is(irp);
    leave();
    status
}

unsafe extern "C" fn complete_and_return_pending(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let _ = pass_wait_and_complete(device, irp, false);
    STATUS_PENDING
}

unsafe extern "C" fn mark_and_complete(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    pass_wait_and_complete(device, irp, true)
}

unsafe extern "C" fn return_another_status(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let _ = pass_wait_and_complete(device, irp, false);
    STATUS_UNSUCCESSFUL
}

/// Does not want to wait for ever, and lets the completion routine signal what is gone.
unsafe extern "C" fn wait_a_moment(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    copy_location_to_next(irp);
    set_completion_routine(irp, signal, (&raw mut event).cast());
    let _ = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: context-on-stack
    let mut moment = milliseconds(0);
    let waited = ntddk::KeWaitForSingleObject(
        (&raw mut event).cast(),
        _KWAIT_REASON::Executive,
        _MODE::KernelMode as _,
        0,
        &raw mut moment,
    );
    leave();
    if waited == STATUS_TIMEOUT {
        return STATUS_PENDING;
    }
    let status = (*irp).IoStatus.__bindgen_anon_1.Status;
    complete_as_is(irp);
    status
}

unsafe extern "C" fn return_success(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let _ = pass_with(device, irp, completed, core::ptr::null_mut());
    leave();
    STATUS_SUCCESS
}

unsafe extern "C" fn succeed_without_completing(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_SUCCESS;
    STATUS_SUCCESS
}

unsafe extern "C" fn mark_and_return_final(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    copy_location_to_next(irp);
    mark_pending(irp);
    let status = ntddk::IofCallDriver(lower(device), irp);
    leave();
    status
}
