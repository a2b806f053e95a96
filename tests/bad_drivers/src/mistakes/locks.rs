//! Locks: taken in orders in which threads wait for each other, or for themselves.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use wdk_sys::{
    ERESOURCE, IRP_MJ_QUERY_INFORMATION, IRP_MJ_SET_INFORMATION, KSPIN_LOCK, NTSTATUS,
    PDEVICE_OBJECT, PIRP, ntddk,
};

static mut FIRST: KSPIN_LOCK = 0;
static mut SECOND: KSPIN_LOCK = 0;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::LockOrder, IRP_MJ_QUERY_INFORMATION) => Some(first_then_second),
        (Mistake::LockOrder, IRP_MJ_SET_INFORMATION) => Some(second_then_first),
        (Mistake::LockUpgrade, IRP_MJ_QUERY_INFORMATION) => Some(upgrade),
        _ => None,
    }
}

unsafe extern "C" fn first_then_second(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut FIRST);
    ntddk::KeAcquireSpinLockAtDpcLevel(&raw mut SECOND);
    ntddk::KeReleaseSpinLockFromDpcLevel(&raw mut SECOND);
    ntddk::KeReleaseSpinLock(&raw mut FIRST, irql);
    dispatch(device, irp)
}

unsafe extern "C" fn second_then_first(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut SECOND);
    ntddk::KeAcquireSpinLockAtDpcLevel(&raw mut FIRST); // MISTAKE: lock-order
    ntddk::KeReleaseSpinLockFromDpcLevel(&raw mut FIRST);
    ntddk::KeReleaseSpinLock(&raw mut SECOND, irql);
    dispatch(device, irp)
}

/// Reads something, and then finds that it must be changed.
unsafe extern "C" fn upgrade(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut memory = core::mem::MaybeUninit::<ERESOURCE>::zeroed();
    let resource = memory.as_mut_ptr();
    let _ = ntddk::ExInitializeResourceLite(resource);
    ntddk::KeEnterCriticalRegion();
    ntddk::ExAcquireResourceSharedLite(resource, 1);
    ntddk::ExAcquireResourceExclusiveLite(resource, 1); // MISTAKE: lock-upgrade
    ntddk::ExReleaseResourceLite(resource);
    ntddk::ExReleaseResourceLite(resource);
    ntddk::KeLeaveCriticalRegion();
    let _ = ntddk::ExDeleteResourceLite(resource);
    dispatch(device, irp)
}
