//! Completion routines: what they return, and what they do to the result.

use super::{Mistake, wild};
use crate::filter::{CompletionRoutine, DispatchRoutine, dispatch, enter, leave, lower, pass_with};
use crate::kernel::{copy_location_to_next, mark_pending, set_completion_routine};
use core::ffi::c_void;
use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_SUCCESS, ntddk};

pub(super) fn routine(mistake: Mistake) -> Option<DispatchRoutine> {
    match mistake {
        Mistake::WrongCompletionStatus => Some(pass),
        Mistake::InformationTooLarge => Some(pass_and_enlarge),
        Mistake::CompletionRoutineWild => Some(pass_with_wild),
        _ => None,
    }
}

/// As where the driver that has the routine is gone.
unsafe extern "C" fn pass_with_wild(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let Some(routine) = wild::<CompletionRoutine>() else {
        return dispatch(device, irp);
    };
    copy_location_to_next(irp);
    set_completion_routine(irp, routine, core::ptr::null_mut());
    ntddk::IofCallDriver(lower(device), irp) // MISTAKE: completion-routine-wild
}

unsafe extern "C" fn pass_and_enlarge(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, enlarge, core::ptr::null_mut());
    leave();
    status
}

unsafe extern "C" fn enlarge(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    _context: *mut c_void,
) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    if (*irp).IoStatus.Information > 64 {
        (*irp).IoStatus.Information += 0x10_0000;
    }
    leave();
    STATUS_SUCCESS
}

unsafe extern "C" fn pass(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, return_request_status, core::ptr::null_mut());
    leave();
    status
}

unsafe extern "C" fn return_request_status(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    _context: *mut c_void,
) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    leave();
    (*irp).IoStatus.__bindgen_anon_1.Status
}
