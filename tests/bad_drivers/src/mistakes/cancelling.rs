//! Cancel routines in requests that were cancelled before, or that somebody else has; and how it is right.

use super::Mistake;
use super::ownership::is_notify;
use crate::filter::{DispatchRoutine, dispatch, enter, leave, pass_through};
use crate::kernel::{complete, mark_pending};
use core::sync::atomic::{AtomicBool, Ordering};
use wdk_sys::{
    IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_QUERY_INFORMATION, NTSTATUS, PDEVICE_OBJECT, PIRP,
    STATUS_CANCELLED, STATUS_PENDING, ntddk,
};

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::CancelNotLookedAt, IRP_MJ_QUERY_INFORMATION) => Some(keep),
        (Mistake::CancelRoutineSetBelow, IRP_MJ_DIRECTORY_CONTROL) => Some(set_below),
        _ => None,
    }
}

/// What is right: Irp->Cancel is looked at when the routine is set.
pub fn right_routine(major: u32) -> Option<DispatchRoutine> {
    (major == IRP_MJ_QUERY_INFORMATION).then_some(keep_or_complete as DispatchRoutine)
}

/// DRIVER_CANCEL, of a request that nobody but it has.
unsafe extern "C" fn cancelled(_device: PDEVICE_OBJECT, irp: PIRP) {
    ntddk::IoReleaseCancelSpinLock((*irp).CancelIrql);
    let _ = complete(irp, STATUS_CANCELLED);
}

/// Keeps the request, which is cancelled before it has a routine: the call stands for that of another thread.
unsafe extern "C" fn keep(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let _ = ntddk::IoCancelIrp(irp);
    mark_pending(irp);
    (*irp).CancelRoutine = Some(cancelled);
    STATUS_PENDING
}

/// The same, with a look at Irp->Cancel.
unsafe extern "C" fn keep_or_complete(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::AcqRel) {
        return dispatch(device, irp);
    }
    let _ = ntddk::IoCancelIrp(irp);
    mark_pending(irp);
    (*irp).CancelRoutine = Some(cancelled);
    if (*irp).Cancel != 0 {
        (*irp).CancelRoutine = None;
        let _ = complete(irp, STATUS_CANCELLED);
    }
    STATUS_PENDING
}

/// Means to cancel the notification, which the file system does.
unsafe extern "C" fn set_below(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if !is_notify(irp) {
        return dispatch(device, irp);
    }
    enter();
    let status = pass_through(device, irp);
    if status == STATUS_PENDING {
        (*irp).CancelRoutine = Some(cancelled);
    }
    leave();
    status
}
