//! Levels: raised and lowered the wrong way, or left changed by a routine that the system calls.

use super::Mistake;
use super::threads::{queue_dpc_once, queue_work_once};
use crate::filter::{DispatchRoutine, dispatch, enter, leave, pass_and_wait};
use crate::kernel::{KeLowerIrql, KfRaiseIrql, fast_mutex};
use core::ptr::null_mut;
use wdk_sys::{
    APC_LEVEL, DISPATCH_LEVEL, IRP_MJ_QUERY_INFORMATION, KIRQL, KSPIN_LOCK, NTSTATUS,
    PASSIVE_LEVEL, PDEVICE_OBJECT, PIRP, PKDPC, PVOID, ntddk,
};

/// Guards nothing.
static mut LOCK: KSPIN_LOCK = 0;

const PASSIVE: KIRQL = PASSIVE_LEVEL as KIRQL;
const APC: KIRQL = APC_LEVEL as KIRQL;
const DISPATCH: KIRQL = DISPATCH_LEVEL as KIRQL;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::CompleteAboveDispatch => Some(complete_above_dispatch),
        Mistake::NameQueriedAtDispatch => Some(query_name),
        Mistake::IrqlRaisedToLower => Some(raise_to_lower),
        Mistake::IrqlLoweredToHigher => Some(lower_to_higher),
        Mistake::SpinLockReleasedToWrongLevel => Some(release_to_wrong_level),
        Mistake::AtDpcLevelBelowDispatch => Some(acquire_below_dispatch),
        Mistake::FastMutexReleasedAtDispatch => Some(release_mutex_at_dispatch),
        Mistake::WorkerReturnsRaised => Some(queue_raising_worker),
        Mistake::DpcReturnsLowered => Some(queue_lowering_dpc),
        _ => None,
    }
}

unsafe extern "C" fn complete_above_dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_and_wait(device, irp);
    let irql = KfRaiseIrql(DISPATCH + 1);
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: complete-above-dispatch
    KeLowerIrql(irql);
    leave();
    status
}

/// C3 names the routine: it is the one that is called in completion routines most often.
unsafe extern "C" fn query_name(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut length = 0;
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let _ = ntddk::ObQueryNameString(device.cast(), null_mut(), 0, &raw mut length); // MISTAKE: name-queried-at-dispatch
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn raise_to_lower(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irql = KfRaiseIrql(DISPATCH);
    KfRaiseIrql(APC); // MISTAKE: irql-raised-to-lower
    KeLowerIrql(irql);
    dispatch(device, irp)
}

unsafe extern "C" fn lower_to_higher(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    KeLowerIrql(DISPATCH); // MISTAKE: irql-lowered-to-higher
    KeLowerIrql(PASSIVE);
    dispatch(device, irp)
}

unsafe extern "C" fn release_to_wrong_level(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    ntddk::KeReleaseSpinLock(&raw mut LOCK, APC); // MISTAKE: spin-lock-released-to-wrong-level
    KeLowerIrql(irql);
    dispatch(device, irp)
}

unsafe extern "C" fn acquire_below_dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    ntddk::KeAcquireSpinLockAtDpcLevel(&raw mut LOCK); // MISTAKE: at-dpc-level-below-dispatch
    ntddk::KeReleaseSpinLockFromDpcLevel(&raw mut LOCK);
    dispatch(device, irp)
}

unsafe extern "C" fn release_mutex_at_dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut mutex = fast_mutex();
    ntddk::ExAcquireFastMutex(&raw mut mutex);
    KfRaiseIrql(DISPATCH);
    ntddk::ExReleaseFastMutex(&raw mut mutex); // MISTAKE: fast-mutex-released-at-dispatch
    KeLowerIrql(PASSIVE);
    dispatch(device, irp)
}

unsafe extern "C" fn queue_raising_worker(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    queue_work_once(work_raised);
    dispatch(device, irp)
}

/// WORKER_THREAD_ROUTINE.
unsafe extern "C" fn work_raised(_context: PVOID) {
    ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    ntddk::KeReleaseSpinLockFromDpcLevel(&raw mut LOCK);
}

unsafe extern "C" fn queue_lowering_dpc(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    queue_dpc_once(lower_in_dpc);
    dispatch(device, irp)
}

/// KDEFERRED_ROUTINE.
unsafe extern "C" fn lower_in_dpc(_dpc: PKDPC, _context: PVOID, _first: PVOID, _second: PVOID) {
    KeLowerIrql(PASSIVE);
}
