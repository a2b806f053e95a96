//! IRQL: not given back, or too high for what is done.

use super::Mistake;
use crate::filter::{DispatchRoutine, enter, leave, lower, pass_and_wait, pass_through, pass_with};
use crate::kernel::{initialize_event, mark_pending, milliseconds, skip_location};
use core::ffi::c_void;
use core::ptr::null_mut;
use wdk_sys::{
    _KWAIT_REASON, _MODE, DISPATCH_LEVEL, IRP_MJ_QUERY_INFORMATION, KEVENT, KIRQL, KSPIN_LOCK,
    NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_SUCCESS, ntddk, ntddk::KeWaitForSingleObject,
};

/// Guards nothing.
static mut LOCK: KSPIN_LOCK = 0;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::IrqlRaisedByCompletion, _) => Some(pass_with_raise),
        (Mistake::WaitInCompletion, _) => Some(pass_with_wait),
        (Mistake::IrqlRaisedByDispatch, IRP_MJ_QUERY_INFORMATION) => Some(raise),
        (Mistake::ForwardAtDispatch, IRP_MJ_QUERY_INFORMATION) => Some(forward_at_dispatch),
        (Mistake::CompleteUnderSpinLock, IRP_MJ_QUERY_INFORMATION) => {
            Some(complete_under_spin_lock)
        }
        _ => None,
    }
}

unsafe fn acquire() -> KIRQL {
    ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK)
}

/// Releases the lock as one who runs at DISPATCH_LEVEL anyway: the level stays.
unsafe fn release_without_lowering() {
    ntddk::KeReleaseSpinLockFromDpcLevel(&raw mut LOCK);
}

unsafe extern "C" fn raise(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_through(device, irp);
    acquire();
    release_without_lowering();
    leave();
    status
}

unsafe extern "C" fn pass_with_raise(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, raise_in_completion, null_mut());
    leave();
    status
}

unsafe extern "C" fn raise_in_completion(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    _context: *mut c_void,
) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    acquire();
    release_without_lowering();
    leave();
    STATUS_SUCCESS
}

unsafe extern "C" fn pass_with_wait(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, wait_in_completion, null_mut());
    leave();
    status
}

/// Gives somebody a moment; nobody signals the event.
unsafe extern "C" fn wait_in_completion(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    _context: *mut c_void,
) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    if u32::from(ntddk::KeGetCurrentIrql()) == DISPATCH_LEVEL {
        let mut event = KEVENT::default();
        initialize_event(&raw mut event);
        let event = (&raw mut event).cast();
        let kernel = _MODE::KernelMode as _;
        let mut timeout = milliseconds(1);
        let time = &raw mut timeout;
        let _ = KeWaitForSingleObject(event, _KWAIT_REASON::Executive, kernel, 0, time); // MISTAKE: wait-in-completion
    }
    leave();
    STATUS_SUCCESS
}

unsafe extern "C" fn forward_at_dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    skip_location(irp);
    let irql = acquire();
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: forward-at-dispatch
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    leave();
    status
}

unsafe extern "C" fn complete_under_spin_lock(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_and_wait(device, irp);
    let irql = acquire();
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: complete-under-spin-lock
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    leave();
    status
}
