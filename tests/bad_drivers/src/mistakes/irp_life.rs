//! Life of a request: completed once, by one, and not touched by anyone else.

use super::Mistake;
use crate::filter::{DispatchRoutine, enter, leave, lower, pass_and_wait};
use crate::kernel::{copy_location_to_next, set_next_location, skip_location};
use wdk_sys::{
    IRP_MJ_CREATE, IRP_MJ_QUERY_INFORMATION, NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_PENDING,
    STATUS_SUCCESS, ntddk,
};

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::CompleteTwice, IRP_MJ_QUERY_INFORMATION) => Some(complete_twice),
        (Mistake::NoStackLocation, _) => Some(advance_too_far),
        (Mistake::TouchIrpAfterCall, _) => Some(touch_after_call),
        (Mistake::CompleteAsPending, IRP_MJ_QUERY_INFORMATION) => Some(complete_as_pending),
        (Mistake::ForgetRequest, IRP_MJ_CREATE) => Some(forget),
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
    let status = match pass_and_wait(device, irp) {
        Ok(status) => {
            (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_PENDING;
            ntddk::IofCompleteRequest(irp, 0); // MISTAKE: complete-as-pending
            status
        }
        Err(status) => status,
    };
    leave();
    status
}

unsafe extern "C" fn forget(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_SUCCESS;
    STATUS_SUCCESS
}
