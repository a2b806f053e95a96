//! Dispatch routines that wait: for what is never signalled, and where none may.

use super::Mistake;
use super::ownership::is_notify;
use super::pending::{begin, post};
use crate::filter::{DispatchRoutine, dispatch, enter, leave, lower, pass_and_wait};
use crate::kernel::{
    complete_as_is, copy_location_to_next, current_location, initialize_event, mark_pending,
    wait_for,
};
use core::ffi::c_void;
use wdk_sys::{
    IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_QUERY_INFORMATION, IRP_MN_USER_FS_REQUEST, KEVENT, NTSTATUS,
    PDEVICE_OBJECT, PIRP, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS, ntddk,
};

/// `CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 0, METHOD_BUFFERED, FILE_ANY_ACCESS)`.
const FSCTL_REQUEST_OPLOCK_LEVEL_1: u32 = 0x0009_0000;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::ReferenceSynchronisingCompletionMarks, IRP_MJ_QUERY_INFORMATION) => {
            Some(wait_for_marking)
        }
        (Mistake::EventNotSignalled, IRP_MJ_QUERY_INFORMATION) => Some(wait_always),
        (Mistake::ReferenceNotifyMadeSynchronous, IRP_MJ_DIRECTORY_CONTROL) => {
            Some(notify_synchronously)
        }
        _ => None,
    }
}

/// The one for IRP_MJ_FILE_SYSTEM_CONTROL.
pub(super) fn oplock_routine(mistake: Mistake) -> Option<DispatchRoutine> {
    (mistake == Mistake::ReferenceOplockRequestPended).then_some(pend_oplock)
}

/// [`pass_and_wait`] with another completion routine.
unsafe fn pass_and_wait_with(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    routine: crate::filter::CompletionRoutine,
) -> NTSTATUS {
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    copy_location_to_next(irp);
    let context = (&raw mut event).cast();
    if ntddk::IoSetCompletionRoutineEx(device, irp, Some(routine), context, 1, 1, 1)
        != STATUS_SUCCESS
    {
        return dispatch(device, irp);
    }
    enter();
    let _ = ntddk::IofCallDriver(lower(device), irp);
    wait_for(&raw mut event);
    let status = (*irp).IoStatus.__bindgen_anon_1.Status;
    complete_as_is(irp);
    leave();
    status
}

unsafe extern "C" fn wait_for_marking(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    pass_and_wait_with(device, irp, mark_and_signal)
}

/// Wakes the dispatch routine and propagates PendingReturned as if nobody waited.
unsafe extern "C" fn mark_and_signal(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    event: *mut c_void,
) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    ntddk::KeSetEvent(event.cast(), 0, 0); // MISTAKE: reference-synchronising-completion-marks
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "C" fn wait_always(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    pass_and_wait_with(device, irp, signal_if_pended)
}

/// Right for a dispatch routine that waits after STATUS_PENDING only.
unsafe extern "C" fn signal_if_pended(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    event: *mut c_void,
) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        ntddk::KeSetEvent(event.cast(), 0, 0);
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "C" fn notify_synchronously(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !is_notify(irp) {
        return dispatch(device, irp);
    }
    enter();
    let status = pass_and_wait(device, irp);
    complete_as_is(irp);
    leave();
    status
}

unsafe extern "C" fn pend_oplock(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let location = current_location(irp);
    let minor = u32::from((*location).MinorFunction);
    let code = (*location).Parameters.FileSystemControl.FsControlCode;
    if minor != IRP_MN_USER_FS_REQUEST || code != FSCTL_REQUEST_OPLOCK_LEVEL_1 {
        return dispatch(device, irp);
    }
    mark_pending(irp);
    begin(post(device, irp));
    STATUS_PENDING
}
