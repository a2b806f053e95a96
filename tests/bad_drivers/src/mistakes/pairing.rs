//! Locks and regions that are taken or given back once too often, or by one who may not.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use crate::kernel::fast_mutex;
use core::mem::MaybeUninit;
use wdk_sys::{
    ERESOURCE, EX_RUNDOWN_REF, IRP_MJ_QUERY_INFORMATION, KMUTEX, KSPIN_LOCK, NTSTATUS,
    PDEVICE_OBJECT, PIRP, ntddk,
};

/// Guards nothing.
static mut LOCK: KSPIN_LOCK = 0;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::SpinLockReleasedTwice => Some(release_spin_lock_twice),
        Mistake::FastMutexAcquiredTwice => Some(acquire_fast_mutex_twice),
        Mistake::FastMutexUnsafe => Some(acquire_fast_mutex_unsafely),
        Mistake::ResourceWithApcsEnabled => Some(acquire_resource_with_apcs),
        Mistake::ResourceReleasedTwice => Some(release_resource_twice),
        Mistake::ResourceDeletedOwned => Some(delete_owned_resource),
        Mistake::CriticalRegionLeftTwice => Some(leave_critical_region_twice),
        Mistake::DispatchReturnsInCriticalRegion => Some(return_in_critical_region),
        Mistake::GuardedRegionLeftTwice => Some(leave_guarded_region_twice),
        Mistake::MutexNotOwned => Some(release_unowned_mutex),
        Mistake::RundownReleasedTwice => Some(release_rundown_twice),
        _ => None,
    }
}

unsafe extern "C" fn release_spin_lock_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    ntddk::KeReleaseSpinLockFromDpcLevel(&raw mut LOCK);
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql); // MISTAKE: spin-lock-released-twice
    dispatch(device, irp)
}

unsafe extern "C" fn acquire_fast_mutex_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut mutex = fast_mutex();
    ntddk::ExAcquireFastMutex(&raw mut mutex);
    ntddk::ExAcquireFastMutex(&raw mut mutex); // MISTAKE: fast-mutex-acquired-twice
    ntddk::ExReleaseFastMutex(&raw mut mutex);
    dispatch(device, irp)
}

unsafe extern "C" fn acquire_fast_mutex_unsafely(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut mutex = fast_mutex();
    ntddk::ExAcquireFastMutexUnsafe(&raw mut mutex); // MISTAKE: fast-mutex-unsafe
    ntddk::ExReleaseFastMutexUnsafe(&raw mut mutex);
    dispatch(device, irp)
}

unsafe extern "C" fn acquire_resource_with_apcs(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut memory = MaybeUninit::<ERESOURCE>::zeroed();
    let resource = memory.as_mut_ptr();
    let _ = ntddk::ExInitializeResourceLite(resource);
    ntddk::ExAcquireResourceExclusiveLite(resource, 1); // MISTAKE: resource-with-apcs-enabled
    ntddk::ExReleaseResourceLite(resource);
    let _ = ntddk::ExDeleteResourceLite(resource);
    dispatch(device, irp)
}

unsafe extern "C" fn release_resource_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut memory = MaybeUninit::<ERESOURCE>::zeroed();
    let resource = memory.as_mut_ptr();
    let _ = ntddk::ExInitializeResourceLite(resource);
    ntddk::KeEnterCriticalRegion();
    ntddk::ExAcquireResourceExclusiveLite(resource, 1);
    ntddk::ExReleaseResourceLite(resource);
    ntddk::ExReleaseResourceLite(resource); // MISTAKE: resource-released-twice
    ntddk::KeLeaveCriticalRegion();
    let _ = ntddk::ExDeleteResourceLite(resource);
    dispatch(device, irp)
}

unsafe extern "C" fn delete_owned_resource(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut memory = MaybeUninit::<ERESOURCE>::zeroed();
    let resource = memory.as_mut_ptr();
    let _ = ntddk::ExInitializeResourceLite(resource);
    ntddk::KeEnterCriticalRegion();
    ntddk::ExAcquireResourceExclusiveLite(resource, 1);
    let _ = ntddk::ExDeleteResourceLite(resource); // MISTAKE: resource-deleted-owned
    ntddk::KeLeaveCriticalRegion();
    dispatch(device, irp)
}

unsafe extern "C" fn return_in_critical_region(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    ntddk::KeEnterCriticalRegion();
    dispatch(device, irp)
}

unsafe extern "C" fn leave_critical_region_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    ntddk::KeEnterCriticalRegion();
    ntddk::KeLeaveCriticalRegion();
    ntddk::KeLeaveCriticalRegion(); // MISTAKE: critical-region-left-twice
    dispatch(device, irp)
}

unsafe extern "C" fn leave_guarded_region_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    ntddk::KeEnterGuardedRegion();
    ntddk::KeLeaveGuardedRegion();
    ntddk::KeLeaveGuardedRegion(); // MISTAKE: guarded-region-left-twice
    dispatch(device, irp)
}

unsafe extern "C" fn release_unowned_mutex(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut mutex = KMUTEX::default();
    ntddk::KeInitializeMutex(&raw mut mutex, 0);
    let _ = ntddk::KeReleaseMutex(&raw mut mutex, 0); // MISTAKE: mutex-not-owned
    dispatch(device, irp)
}

unsafe extern "C" fn release_rundown_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut rundown = EX_RUNDOWN_REF::default();
    ntddk::ExInitializeRundownProtection(&raw mut rundown);
    if ntddk::ExAcquireRundownProtection(&raw mut rundown) != 0 {
        ntddk::ExReleaseRundownProtection(&raw mut rundown);
        ntddk::ExReleaseRundownProtection(&raw mut rundown); // MISTAKE: rundown-released-twice
    }
    dispatch(device, irp)
}
