//! Objects that the system uses where they lie: begun twice, used before, or freed while they are active.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use crate::kernel::{initialize_event, milliseconds};
use core::ptr::null_mut;
use wdk_sys::{
    _WORK_QUEUE_TYPE, ERESOURCE, IRP_MJ_QUERY_INFORMATION, KEVENT, KMUTEX, KTIMER,
    NPAGED_LOOKASIDE_LIST, NTSTATUS, PDEVICE_OBJECT, PIRP, POOL_FLAG_NON_PAGED, POOL_FLAG_PAGED,
    PVOID, WORK_QUEUE_ITEM, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadA");
/// Of the blocks of a lookaside list.
const BYTES: u64 = 64;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::TimerInFreedBlock => Some(free_with_timer),
        Mistake::ResourceInFreedBlock => Some(free_with_resource),
        Mistake::ResourceInitializedTwice => Some(initialize_resource_twice),
        Mistake::ResourceDeletedUninitialized => Some(delete_uninitialized),
        Mistake::ResourceAcquiredUninitialized => Some(acquire_uninitialized),
        Mistake::ResourceMisaligned => Some(initialize_misaligned),
        Mistake::ResourceReleasedWithApcs => Some(release_too_late),
        Mistake::MutexInitializedTwice => Some(initialize_mutex_twice),
        Mistake::LookasideInFreedBlock => Some(free_with_list),
        Mistake::LookasideInitializedTwice => Some(initialize_list_twice),
        Mistake::LookasideBlocksTooSmall => Some(initialize_small_list),
        Mistake::EventInPagedPool => Some(initialize_paged_event),
        Mistake::WorkItemInPagedPool => Some(queue_paged_item),
        _ => None,
    }
}

/// A zeroed block for a `T`, or null.
unsafe fn block<T>(pool: u64) -> *mut T {
    ntddk::ExAllocatePool2(pool, size_of::<T>() as u64, TAG).cast()
}

unsafe fn nonpaged<T>() -> *mut T {
    block(POOL_FLAG_NON_PAGED)
}

unsafe fn free<T>(block: *mut T) {
    ntddk::ExFreePoolWithTag(block.cast(), TAG);
}

unsafe fn set(timer: *mut KTIMER) {
    ntddk::KeInitializeTimer(timer);
    let _ = ntddk::KeSetTimer(timer, milliseconds(60_000), null_mut());
}

unsafe fn initialize_list(list: *mut NPAGED_LOOKASIDE_LIST) {
    ntddk::ExInitializeNPagedLookasideList(list, None, None, 0, BYTES, TAG, 0);
}

unsafe fn acquire_and_release(resource: *mut ERESOURCE) {
    ntddk::KeEnterCriticalRegion();
    ntddk::ExAcquireResourceExclusiveLite(resource, 1);
    ntddk::ExReleaseResourceLite(resource);
    ntddk::KeLeaveCriticalRegion();
}

unsafe extern "C" fn free_with_timer(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let timer = nonpaged::<KTIMER>();
    if !timer.is_null() {
        set(timer);
        ntddk::ExFreePoolWithTag(timer.cast(), TAG); // MISTAKE: timer-in-freed-block
    }
    dispatch(device, irp)
}

unsafe extern "C" fn free_with_resource(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let resource = nonpaged::<ERESOURCE>();
    if !resource.is_null() {
        let _ = ntddk::ExInitializeResourceLite(resource);
        ntddk::ExFreePoolWithTag(resource.cast(), TAG); // MISTAKE: resource-in-freed-block
    }
    dispatch(device, irp)
}

unsafe extern "C" fn initialize_resource_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let resource = nonpaged::<ERESOURCE>();
    if !resource.is_null() {
        let _ = ntddk::ExInitializeResourceLite(resource);
        let _ = ntddk::ExInitializeResourceLite(resource); // MISTAKE: resource-initialized-twice
        let _ = ntddk::ExDeleteResourceLite(resource);
        free(resource);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn delete_uninitialized(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let resource = nonpaged::<ERESOURCE>();
    if !resource.is_null() {
        let _ = ntddk::ExDeleteResourceLite(resource); // MISTAKE: resource-deleted-uninitialized
        free(resource);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn acquire_uninitialized(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let resource = nonpaged::<ERESOURCE>();
    if !resource.is_null() {
        ntddk::KeEnterCriticalRegion();
        ntddk::ExAcquireResourceSharedLite(resource, 1); // MISTAKE: resource-acquired-uninitialized
        ntddk::ExReleaseResourceLite(resource);
        ntddk::KeLeaveCriticalRegion();
        free(resource);
    }
    dispatch(device, irp)
}

/// As a member of a packed structure.
unsafe extern "C" fn initialize_misaligned(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let packed = nonpaged::<(ERESOURCE, u64)>();
    if !packed.is_null() {
        let resource = packed.byte_add(4).cast();
        let _ = ntddk::ExInitializeResourceLite(resource); // MISTAKE: resource-misaligned
        let _ = ntddk::ExDeleteResourceLite(resource);
        free(packed);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn release_too_late(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let resource = nonpaged::<ERESOURCE>();
    if !resource.is_null() {
        let _ = ntddk::ExInitializeResourceLite(resource);
        ntddk::KeEnterCriticalRegion();
        ntddk::ExAcquireResourceExclusiveLite(resource, 1);
        ntddk::KeLeaveCriticalRegion();
        ntddk::ExReleaseResourceLite(resource); // MISTAKE: resource-released-with-apcs
        let _ = ntddk::ExDeleteResourceLite(resource);
        free(resource);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn initialize_mutex_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mutex = nonpaged::<KMUTEX>();
    if !mutex.is_null() {
        ntddk::KeInitializeMutex(mutex, 0);
        ntddk::KeInitializeMutex(mutex, 0); // MISTAKE: mutex-initialized-twice
        free(mutex);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn free_with_list(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let list = nonpaged::<NPAGED_LOOKASIDE_LIST>();
    if !list.is_null() {
        initialize_list(list);
        ntddk::ExFreePoolWithTag(list.cast(), TAG); // MISTAKE: lookaside-in-freed-block
    }
    dispatch(device, irp)
}

unsafe extern "C" fn initialize_list_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let list = nonpaged::<NPAGED_LOOKASIDE_LIST>();
    if !list.is_null() {
        initialize_list(list);
        ntddk::ExInitializeNPagedLookasideList(list, None, None, 0, BYTES, TAG, 0); // MISTAKE: lookaside-initialized-twice
        ntddk::ExDeleteNPagedLookasideList(list);
        free(list);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn initialize_small_list(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let list = nonpaged::<NPAGED_LOOKASIDE_LIST>();
    if !list.is_null() {
        ntddk::ExInitializeNPagedLookasideList(list, None, None, 0, 4, TAG, 0); // MISTAKE: lookaside-blocks-too-small
        ntddk::ExDeleteNPagedLookasideList(list);
        free(list);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn initialize_paged_event(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let event = block::<KEVENT>(POOL_FLAG_PAGED);
    if !event.is_null() {
        let kind = wdk_sys::_EVENT_TYPE::NotificationEvent;
        ntddk::KeInitializeEvent(event, kind, 0); // MISTAKE: event-in-paged-pool
        free(event);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn queue_paged_item(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let item = block::<WORK_QUEUE_ITEM>(POOL_FLAG_PAGED);
    if !item.is_null() {
        // As ExInitializeWorkItem leaves it; the routine frees it.
        (*item).WorkerRoutine = Some(free_item);
        (*item).Parameter = item.cast();
        ntddk::ExQueueWorkItem(item, _WORK_QUEUE_TYPE::DelayedWorkQueue); // MISTAKE: work-item-in-paged-pool
    }
    dispatch(device, irp)
}

/// `WORKER_THREAD_ROUTINE`.
unsafe extern "C" fn free_item(item: PVOID) {
    free(item);
}

/// Everything that is done wrong here, done right: nonpaged, begun once, ended before the block is freed.
pub unsafe extern "C" fn right(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let timer = nonpaged::<KTIMER>();
    if !timer.is_null() {
        set(timer);
        let _ = ntddk::KeSetTimer(timer, milliseconds(60_000), null_mut());
        ntddk::KeCancelTimer(timer);
        free(timer);
    }
    let resource = nonpaged::<ERESOURCE>();
    if !resource.is_null() {
        for _ in 0..2 {
            let _ = ntddk::ExInitializeResourceLite(resource);
            acquire_and_release(resource);
            let _ = ntddk::ExReinitializeResourceLite(resource);
            acquire_and_release(resource);
            let _ = ntddk::ExDeleteResourceLite(resource);
        }
        free(resource);
    }
    let mutex = nonpaged::<KMUTEX>();
    if !mutex.is_null() {
        ntddk::KeInitializeMutex(mutex, 0);
        free(mutex);
    }
    // One on the stack ends with the frame, and is begun anew by the next request.
    let mut mutex = KMUTEX::default();
    ntddk::KeInitializeMutex(&raw mut mutex, 0);
    let list = nonpaged::<NPAGED_LOOKASIDE_LIST>();
    if !list.is_null() {
        for _ in 0..2 {
            initialize_list(list);
            ntddk::ExDeleteNPagedLookasideList(list);
        }
        free(list);
    }
    let event = nonpaged::<KEVENT>();
    if !event.is_null() {
        initialize_event(event);
        free(event);
    }
    dispatch(device, irp)
}
