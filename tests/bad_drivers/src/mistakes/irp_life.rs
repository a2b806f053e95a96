//! Life of a request: completed once, by one, and not touched by anyone else.

use super::Mistake;
use crate::filter::{
    DispatchRoutine, completed, dispatch, enter, leave, lower, pass_and_wait, pass_through,
};
use crate::kernel::{
    ALWAYS, complete_as_is, copy_location_to_next, current_location, mark_pending, next_location,
    set_completion_routine, set_next_location, skip_location,
};
use core::ptr::null_mut;
use wdk_sys::{
    IRP_MJ_CREATE, IRP_MJ_FLUSH_BUFFERS, IRP_MJ_QUERY_INFORMATION, NTSTATUS, PDEVICE_OBJECT, PIRP,
    STATUS_ACCESS_DENIED, STATUS_PENDING, ntddk,
};

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::CompleteTwice, IRP_MJ_QUERY_INFORMATION) => Some(complete_twice),
        (Mistake::NoStackLocation, _) => Some(advance_too_far),
        (Mistake::TouchIrpAfterCall, _) => Some(touch_after_call),
        (Mistake::CompleteAsPending, IRP_MJ_QUERY_INFORMATION) => Some(complete_as_pending),
        (Mistake::ForgetRequest, IRP_MJ_CREATE) => Some(forget),
        (Mistake::StoppedAndLeft, IRP_MJ_QUERY_INFORMATION) => Some(stop_and_leave),
        (Mistake::StackSizeOfTheWrongDevice, IRP_MJ_QUERY_INFORMATION) => Some(ask_the_top),
        (Mistake::LocationNotCopied, IRP_MJ_QUERY_INFORMATION) => Some(set_without_copy),
        (Mistake::ControlFieldCopied, IRP_MJ_QUERY_INFORMATION) => Some(copy_control),
        (Mistake::CompletionRoutineCopied, _) => Some(copy_routine),
        (Mistake::CopiedWithoutRoutine, _) => Some(copy_for_nothing),
        (Mistake::SkippedAndRoutineSet, _) => Some(skip_and_set_routine),
        (Mistake::CancelRoutineLeft, IRP_MJ_QUERY_INFORMATION) => Some(leave_cancel_routine),
        (Mistake::CancelLockKept, IRP_MJ_QUERY_INFORMATION) => Some(cancel_by_itself),
        (Mistake::OwnRequestNotStopped, IRP_MJ_QUERY_INFORMATION) => Some(flush_for_itself),
        (Mistake::OwnRequestWithThread, IRP_MJ_QUERY_INFORMATION) => Some(flush_for_the_thread),
        (Mistake::InvokeFlagsWithoutRoutine, _) => Some(set_flags_only),
        _ => None,
    }
}

unsafe extern "C" fn complete_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    skip_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp);
    if status != STATUS_PENDING {
        ntddk::IofCompleteRequest(irp, 0); // MISTAKE: complete-twice
    }
    leave();
    status
}

/// Takes locations as if each were this driver's to spend.
unsafe extern "C" fn advance_too_far(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    for _ in 1..(*irp).CurrentLocation {
        copy_location_to_next(irp);
        set_next_location(irp);
    }
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: no-stack-location
    leave();
    status
}

unsafe extern "C" fn touch_after_call(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    skip_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp);
    let bytes = &raw const (*irp).IoStatus.Information;
    bytes.read_volatile(); // MISTAKE: touch-irp-after-call
    leave();
    status
}

unsafe extern "C" fn complete_as_pending(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_and_wait(device, irp);
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_PENDING;
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: complete-as-pending
    leave();
    status
}

unsafe extern "C" fn forget(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_ACCESS_DENIED;
    STATUS_ACCESS_DENIED
}

/// Has the request back, does not like it, and forgets that it is to be completed again.
unsafe extern "C" fn stop_and_leave(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let _ = pass_and_wait(device, irp);
    leave();
    STATUS_ACCESS_DENIED
}

/// Wants to see its own request at the top, and counts the locations below only.
unsafe extern "C" fn ask_the_top(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let own = ntddk::IoAllocateIrp((*lower(device)).StackSize, 0);
    if !own.is_null() {
        let next = next_location(own);
        (*next).MajorFunction = IRP_MJ_FLUSH_BUFFERS as u8;
        (*next).FileObject = (*current_location(irp)).FileObject;
        let _ = ntddk::IofCallDriver(device, own); // MISTAKE: stack-size-of-the-wrong-device
    }
    leave();
    pass_through(device, irp)
}

unsafe extern "C" fn set_without_copy(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    enter();
    let _ = ntddk::IoSetCompletionRoutineEx(device, irp, Some(completed), null_mut(), 1, 1, 1);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: location-not-copied
    leave();
    status
}

/// Copies the structure, with the flag that the own location was just marked with.
unsafe extern "C" fn copy_control(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    mark_pending(irp);
    let next = next_location(irp);
    *next = *current_location(irp);
    (*next).CompletionRoutine = Some(completed);
    (*next).Context = null_mut();
    (*next).Control |= ALWAYS;
    let _ = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: control-field-copied
    STATUS_PENDING
}

/// Copies the structure, with what the driver above has put into it for itself.
unsafe extern "C" fn copy_routine(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    *next_location(irp) = *current_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: completion-routine-copied
    leave();
    status
}

unsafe extern "C" fn copy_for_nothing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    copy_location_to_next(irp);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: copied-without-routine
    leave();
    status
}

/// Wants to see the completion, in a location that stays the one of the driver above.
unsafe extern "C" fn skip_and_set_routine(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    enter();
    skip_location(irp);
    set_completion_routine(irp, completed, null_mut());
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: skipped-and-routine-set
    leave();
    status
}

unsafe extern "C" fn cancelled(_device: PDEVICE_OBJECT, _irp: PIRP) {}

unsafe extern "C" fn leave_cancel_routine(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_and_wait(device, irp);
    (*irp).CancelRoutine = Some(cancelled);
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: cancel-routine-left
    leave();
    status
}

/// Entered with the cancel spin lock, which it should release.
unsafe extern "C" fn keep_cancel_lock(_device: PDEVICE_OBJECT, irp: PIRP) {
    (*irp).CancelIrql = 0;
}

unsafe extern "C" fn cancel_by_itself(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_and_wait(device, irp);
    (*irp).CancelRoutine = Some(keep_cancel_lock);
    let _ = ntddk::IoCancelIrp(irp);
    complete_as_is(irp);
    leave();
    status
}

/// Flushes the file with a request of its own that no completion routine stops and frees.
unsafe extern "C" fn flush_for_itself(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let below = lower(device);
    let own = ntddk::IoAllocateIrp((*below).StackSize, 0); // MISTAKE: own-request-not-stopped
    if !own.is_null() {
        let next = next_location(own);
        let file = (*current_location(irp)).FileObject;
        // The flush may come back after the file's last handle is closed.
        ntddk::ObfReferenceObject(file.cast());
        (*next).MajorFunction = IRP_MJ_FLUSH_BUFFERS as u8;
        (*next).FileObject = file;
        let _ = ntddk::IofCallDriver(below, own);
    }
    dispatch(device, irp)
}

/// The same as if the I/O manager had made the request, which gives back a reference to the file for each of its own.
unsafe extern "C" fn flush_for_the_thread(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let below = lower(device);
    let own = ntddk::IoAllocateIrp((*below).StackSize, 0); // MISTAKE: own-request-with-thread
    if !own.is_null() {
        let next = next_location(own);
        let file = (*current_location(irp)).FileObject;
        ntddk::ObfReferenceObject(file.cast());
        (*next).MajorFunction = IRP_MJ_FLUSH_BUFFERS as u8;
        (*next).FileObject = file;
        (*own).Tail.Overlay.Thread = (*irp).Tail.Overlay.Thread;
        let _ = ntddk::IofCallDriver(below, own);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn set_flags_only(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    copy_location_to_next(irp);
    (*next_location(irp)).Control = ALWAYS;
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: invoke-flags-without-routine
    leave();
    status
}
