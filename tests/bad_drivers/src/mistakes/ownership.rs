//! Who has the request: given away, and used as if it were not.
//!
//! The directory change notification is the request that surely stays below. Its completion is
//! stopped where the request is used as one's own, so that one that does come back in time is.

use super::Mistake;
use crate::filter::{
    DispatchRoutine, completed, dispatch, enter, leave, lower, pass_and_wait, pass_with, signal,
    stop,
};
use crate::kernel::{
    complete, complete_as_is, copy_location_to_next, current_location, initialize_event,
    mark_pending, next_location, set_completion_routine, wait_for,
};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::{
    _WORK_QUEUE_TYPE, IRP_MJ_CREATE, IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_FLUSH_BUFFERS,
    IRP_MN_NOTIFY_CHANGE_DIRECTORY, KEVENT, NTSTATUS, PDEVICE_OBJECT, PIO_WORKITEM, PIRP, PVOID,
    SL_PENDING_RETURNED, STATUS_PENDING, STATUS_SUCCESS, ntddk,
};

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::ForwardWhileBelow, IRP_MJ_DIRECTORY_CONTROL) => Some(forward_again),
        (Mistake::CompleteWithoutWaiting, IRP_MJ_DIRECTORY_CONTROL) => Some(complete_at_once),
        (Mistake::CompleteWhileBelow, IRP_MJ_DIRECTORY_CONTROL) => Some(complete_in_worker),
        (Mistake::TouchIrpWhileBelow, IRP_MJ_DIRECTORY_CONTROL) => Some(mark_after_call),
        (Mistake::TouchIrpAfterQueueing, IRP_MJ_DIRECTORY_CONTROL) => Some(look_after_queueing),
        (Mistake::TouchIrpAfterCompletion, IRP_MJ_CREATE) => Some(look_after_completion),
        (Mistake::MasterIrpOverwritten, IRP_MJ_FLUSH_BUFFERS) => Some(flush_in_parts),
        (Mistake::MasterIrpCount, IRP_MJ_FLUSH_BUFFERS) => Some(flush_uncounted),
        (Mistake::MasterIrpCompleted, IRP_MJ_FLUSH_BUFFERS) => Some(complete_master_as_well),
        (Mistake::AssociatedOfAssociated, IRP_MJ_FLUSH_BUFFERS) => Some(divide_a_part),
        _ => None,
    }
}

/// True for the request that these mistakes are made with.
pub(super) unsafe fn is_notify(irp: PIRP) -> bool {
    u32::from((*current_location(irp)).MinorFunction) == IRP_MN_NOTIFY_CHANGE_DIRECTORY
}

/// Sets the routine that stops completion; false if there is no memory for it.
pub(super) unsafe fn set_stop(device: PDEVICE_OBJECT, irp: PIRP) -> bool {
    copy_location_to_next(irp);
    ntddk::IoSetCompletionRoutineEx(device, irp, Some(stop), null_mut(), 1, 1, 1) >= 0
}

/// Lets an associated request do the work of the request, which completes with it.
unsafe extern "C" fn flush_in_parts(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let part = ntddk::IoMakeAssociatedIrp(irp, (*lower(device)).StackSize); // MISTAKE: master-irp-overwritten
    if part.is_null() {
        return dispatch(device, irp);
    }
    enter();
    mark_pending(irp);
    (*irp).AssociatedIrp.IrpCount = 1;
    let next = next_location(part);
    (*next).MajorFunction = IRP_MJ_FLUSH_BUFFERS as u8;
    (*next).FileObject = (*current_location(irp)).FileObject;
    set_completion_routine(part, part_completed, null_mut());
    (*part).AssociatedIrp.SystemBuffer = null_mut();
    let _ = ntddk::IofCallDriver(lower(device), part);
    STATUS_PENDING
}

/// An associated request that flushes the file of its master; null without memory.
unsafe fn part_of(device: PDEVICE_OBJECT, irp: PIRP) -> PIRP {
    let part = ntddk::IoMakeAssociatedIrp(irp, (*lower(device)).StackSize); // MISTAKE: master-irp-count
    if !part.is_null() {
        let next = next_location(part);
        (*next).MajorFunction = IRP_MJ_FLUSH_BUFFERS as u8;
        (*next).FileObject = (*current_location(irp)).FileObject;
    }
    part
}

/// The master has two parts, or, where memory is short, none. The I/O manager completes it with the last one.
unsafe extern "C" fn flush_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let parts = [part_of(device, irp), part_of(device, irp)];
    if parts.iter().any(|part| part.is_null()) {
        for part in parts.iter().filter(|part| !part.is_null()) {
            ntddk::IoFreeIrp(*part);
        }
        return dispatch(device, irp);
    }
    mark_pending(irp);
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_SUCCESS;
    (*irp).IoStatus.Information = 0;
    (*irp).AssociatedIrp.IrpCount = parts.len() as i32;
    for part in parts {
        enter();
        set_completion_routine(part, part_completed, null_mut());
        let _ = ntddk::IofCallDriver(lower(device), part);
    }
    STATUS_PENDING
}

/// The part is stopped, and the driver completes the master and frees it.
unsafe extern "C" fn flush_and_wait(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let part = part_of(device, irp);
    if part.is_null() {
        return dispatch(device, irp);
    }
    enter();
    (*irp).AssociatedIrp.IrpCount = 1;
    let status = send_and_wait(device, part);
    ntddk::IoFreeIrp(part);
    complete(irp, status);
    leave();
    status
}

/// Sends a part and waits until it comes back: its status.
unsafe fn send_and_wait(device: PDEVICE_OBJECT, part: PIRP) -> NTSTATUS {
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    set_completion_routine(part, signal, (&raw mut event).cast());
    let _ = ntddk::IofCallDriver(lower(device), part);
    wait_for(&raw mut event);
    (*part).IoStatus.__bindgen_anon_1.Status
}

/// In what way a master is completed, by turns.
pub fn associated_right(major: u32) -> Option<DispatchRoutine> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    match (major, TURN.fetch_add(1, Ordering::Relaxed) % 2) {
        (IRP_MJ_FLUSH_BUFFERS, 0) => Some(flush_twice),
        (IRP_MJ_FLUSH_BUFFERS, _) => Some(flush_and_wait),
        _ => None,
    }
}

/// Leaves it to the I/O manager to complete the master, and does not say after how many parts.
unsafe extern "C" fn flush_uncounted(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let part = part_of(device, irp);
    if part.is_null() {
        return dispatch(device, irp);
    }
    enter();
    mark_pending(irp);
    (*irp).AssociatedIrp.IrpCount = 0;
    set_completion_routine(part, part_completed, null_mut());
    let _ = ntddk::IofCallDriver(lower(device), part);
    STATUS_PENDING
}

/// Completes the master itself, and lets the part go on as well.
unsafe extern "C" fn complete_master_as_well(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let part = part_of(device, irp);
    if part.is_null() {
        return dispatch(device, irp);
    }
    enter();
    (*irp).AssociatedIrp.IrpCount = 1;
    let status = send_and_wait(device, part);
    (*irp).IoStatus.__bindgen_anon_1.Status = status;
    (*irp).IoStatus.Information = 0;
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: master-irp-completed
    ntddk::IofCompleteRequest(part, 0);
    leave();
    status
}

unsafe extern "C" fn divide_a_part(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let part = part_of(device, irp);
    if !part.is_null() {
        let smaller = ntddk::IoMakeAssociatedIrp(part, (*lower(device)).StackSize); // MISTAKE: associated-of-associated
        if !smaller.is_null() {
            ntddk::IoFreeIrp(smaller);
        }
        ntddk::IoFreeIrp(part);
    }
    dispatch(device, irp)
}

/// It has no location of the driver's own, which could be marked.
unsafe extern "C" fn part_completed(_: PDEVICE_OBJECT, _: PIRP, _: *mut c_void) -> NTSTATUS {
    leave();
    STATUS_SUCCESS
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

/// Marks the request when it knows that it pends: too late, and in whoever has it by then.
unsafe extern "C" fn mark_after_call(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !is_notify(irp) {
        return dispatch(device, irp);
    }
    enter();
    let own = current_location(irp);
    let status = pass_with(device, irp, completed, null_mut());
    leave();
    if status == STATUS_PENDING {
        let control = &raw mut (*own).Control;
        control.write_volatile(control.read_volatile() | SL_PENDING_RETURNED as u8); // MISTAKE: touch-irp-while-below
    }
    status
}

/// Returns the status out of the request. The originator of a create keeps it until this returns.
unsafe extern "C" fn look_after_completion(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    pass_and_wait(device, irp);
    complete_as_is(irp);
    let status = &raw const (*irp).IoStatus.__bindgen_anon_1.Status;
    let status = status.read_volatile(); // MISTAKE: touch-irp-after-completion
    leave();
    status
}

/// Signalled when the worker has passed the request on.
// SAFETY: a structure of integers and pointers, initialized before it is used.
static mut PASSED_ON: KEVENT = unsafe { core::mem::zeroed() };

/// Lets a worker pass the request on, and waits for that, and not for the request.
unsafe extern "C" fn look_after_queueing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let item = ntddk::IoAllocateWorkItem(device);
    if item.is_null() || !is_notify(irp) {
        if !item.is_null() {
            ntddk::IoFreeWorkItem(item);
        }
        return dispatch(device, irp);
    }
    enter();
    initialize_event(&raw mut PASSED_ON);
    mark_pending(irp);
    let queue = _WORK_QUEUE_TYPE::DelayedWorkQueue;
    ntddk::IoQueueWorkItemEx(item, Some(pass_on), queue, irp.cast());
    wait_for(&raw mut PASSED_ON);
    let cancelled = &raw const (*irp).Cancel;
    cancelled.read_volatile(); // MISTAKE: touch-irp-after-queueing
    STATUS_PENDING
}

/// IO_WORKITEM_ROUTINE_EX.
unsafe extern "C" fn pass_on(device: PVOID, irp: PVOID, item: PIO_WORKITEM) {
    let _ = pass_with(device.cast(), irp.cast(), completed, null_mut());
    ntddk::KeSetEvent(&raw mut PASSED_ON, 0, 0);
    ntddk::IoFreeWorkItem(item);
    leave();
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
