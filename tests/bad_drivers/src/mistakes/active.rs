//! Objects that the system uses where they lie: begun twice, used before, or freed while they are active.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use crate::kernel::{initialize_event, milliseconds};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use wdk_sys::{
    _WORK_QUEUE_TYPE, ERESOURCE, FAST_MUTEX, IRP_MJ_QUERY_INFORMATION, KDPC, KEVENT, KMUTEX,
    KTIMER, LOOKASIDE_LIST_EX, NPAGED_LOOKASIDE_LIST, NTSTATUS, PDEVICE_OBJECT, PIRP, PKDPC,
    POOL_FLAG_NON_PAGED, POOL_FLAG_PAGED, PVOID, WORK_QUEUE_ITEM, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadA");
/// Of the blocks of a lookaside list.
const BYTES: u64 = 64;
/// What [`GATE`] is at first, while it keeps a DPC, and after that.
const NO_GATE: u8 = 0;
const CLOSED: u8 = 1;
const OPEN: u8 = 2;

static RUN: AtomicU32 = AtomicU32::new(0);
static GATE: AtomicU8 = AtomicU8::new(NO_GATE);
// SAFETY: a structure of integers and pointers.
static mut FIRST: KDPC = unsafe { core::mem::zeroed() };

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::TimerInFreedBlock => Some(free_with_timer),
        Mistake::TimerOnLeftStack => Some(leave_timer),
        Mistake::TimerInitializedWhileSet => Some(initialize_set_timer),
        Mistake::TimerNotInitialized => Some(set_uninitialized_timer),
        Mistake::DpcInFreedBlock => Some(free_with_dpc),
        Mistake::DpcOfTimerFreed => Some(free_dpc_of_timer),
        Mistake::DpcOnLeftStack => Some(leave_dpc),
        Mistake::DpcNotInitialized => Some(queue_uninitialized_dpc),
        Mistake::ResourceOnLeftStack => Some(leave_resource),
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
        Mistake::LockFreedHeld => Some(free_with_mutex),
        Mistake::EntryOfAnotherLookasideList => Some(give_to_another),
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

unsafe extern "C" fn leave_timer(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut timer = KTIMER::default();
    set(&raw mut timer);
    dispatch(device, irp)
}

unsafe extern "C" fn initialize_set_timer(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let timer = nonpaged::<KTIMER>();
    if !timer.is_null() {
        set(timer);
        ntddk::KeInitializeTimer(timer); // MISTAKE: timer-initialized-while-set
        ntddk::KeCancelTimer(timer);
        free(timer);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn set_uninitialized_timer(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let timer = nonpaged::<KTIMER>();
    if !timer.is_null() {
        let _ = ntddk::KeSetTimer(timer, milliseconds(60_000), null_mut()); // MISTAKE: timer-not-initialized
        ntddk::KeCancelTimer(timer);
        free(timer);
    }
    dispatch(device, irp)
}

/// `KDEFERRED_ROUTINE`.
unsafe extern "C" fn count(_: PKDPC, _: PVOID, _: PVOID, _: PVOID) {
    RUN.fetch_add(1, Ordering::Relaxed);
}

/// `KDEFERRED_ROUTINE`: one that others are queued behind.
unsafe extern "C" fn wait_at_gate(_: PKDPC, _: PVOID, _: PVOID, _: PVOID) {
    while GATE.load(Ordering::Acquire) == CLOSED {
        core::hint::spin_loop();
    }
}

/// Queues a DPC behind one that runs until the gate is open. The first request that comes here does, and true says
/// so: no other opens the gate, however many threads there are.
unsafe fn queue_behind_gate(dpc: *mut KDPC) -> bool {
    let is_first = GATE.compare_exchange(NO_GATE, CLOSED, Ordering::AcqRel, Ordering::Acquire);
    if is_first.is_err() {
        return false;
    }
    let first = &raw mut FIRST;
    ntddk::KeInitializeDpc(first, Some(wait_at_gate), null_mut());
    ntddk::KeInsertQueueDpc(first, null_mut(), null_mut());
    ntddk::KeInitializeDpc(dpc, Some(count), null_mut());
    ntddk::KeInsertQueueDpc(dpc, null_mut(), null_mut());
    true
}

unsafe extern "C" fn free_with_dpc(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let dpc = nonpaged::<KDPC>();
    if !dpc.is_null() {
        let is_queued = queue_behind_gate(dpc);
        ntddk::ExFreePoolWithTag(dpc.cast(), TAG); // MISTAKE: dpc-in-freed-block
        if is_queued {
            GATE.store(OPEN, Ordering::Release);
        }
    }
    dispatch(device, irp)
}

unsafe extern "C" fn free_dpc_of_timer(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (timer, dpc) = (nonpaged::<KTIMER>(), nonpaged::<KDPC>());
    if !timer.is_null() && !dpc.is_null() {
        ntddk::KeInitializeDpc(dpc, Some(count), null_mut());
        ntddk::KeInitializeTimer(timer);
        let _ = ntddk::KeSetTimer(timer, milliseconds(60_000), dpc);
        ntddk::ExFreePoolWithTag(dpc.cast(), TAG); // MISTAKE: dpc-of-timer-freed
        ntddk::KeCancelTimer(timer);
        free(timer);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn leave_dpc(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut dpc = KDPC::default();
    // It stays there until the system looks at the stack.
    let _is_queued = queue_behind_gate(&raw mut dpc);
    dispatch(device, irp)
}

unsafe extern "C" fn queue_uninitialized_dpc(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let dpc = nonpaged::<KDPC>();
    if !dpc.is_null() {
        ntddk::KeInsertQueueDpc(dpc, null_mut(), null_mut()); // MISTAKE: dpc-not-initialized
        ntddk::KeFlushQueuedDpcs();
        free(dpc);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn leave_resource(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut resource = ERESOURCE::default();
    let _ = ntddk::ExInitializeResourceLite(&raw mut resource);
    acquire_and_release(&raw mut resource);
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

/// `ExInitializeFastMutex`, where it lies.
unsafe fn initialize_fast_mutex(mutex: *mut FAST_MUTEX) {
    (*mutex).Count = 1;
    let event = &raw mut (*mutex).Event;
    ntddk::KeInitializeEvent(event, wdk_sys::_EVENT_TYPE::SynchronizationEvent, 0);
}

unsafe extern "C" fn free_with_mutex(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mutex = nonpaged::<FAST_MUTEX>();
    if !mutex.is_null() {
        initialize_fast_mutex(mutex);
        ntddk::ExAcquireFastMutex(mutex);
        ntddk::ExFreePoolWithTag(mutex.cast(), TAG); // MISTAKE: lock-freed-held
    }
    dispatch(device, irp)
}

/// A list whose entries know where they belong, or null.
unsafe fn list_of_entries() -> *mut LOOKASIDE_LIST_EX {
    let list = nonpaged::<LOOKASIDE_LIST_EX>();
    if !list.is_null() {
        let kind = wdk_sys::_POOL_TYPE::NonPagedPoolNx;
        let _ = ntddk::ExInitializeLookasideListEx(list, None, None, kind, 0, BYTES, TAG, 0);
    }
    list
}

unsafe fn delete_list(list: *mut LOOKASIDE_LIST_EX) {
    if !list.is_null() {
        ntddk::ExDeleteLookasideListEx(list);
        free(list);
    }
}

/// `ExAllocateFromLookasideListEx` and `ExFreeToLookasideListEx` of a list that keeps no entries.
#[inline(always)]
unsafe fn use_entry(from: *mut LOOKASIDE_LIST_EX, to: *mut LOOKASIDE_LIST_EX) {
    type Allocate = unsafe extern "C" fn(u32, usize, u32, *mut LOOKASIDE_LIST_EX) -> PVOID;
    type Free = unsafe extern "C" fn(PVOID, *mut LOOKASIDE_LIST_EX);
    let allocate = from.byte_add(48).cast::<Allocate>().read();
    let free = to.byte_add(56).cast::<Free>().read();
    // NonPagedPoolNx.
    let entry = allocate(512, BYTES as usize, TAG, from);
    if !entry.is_null() {
        free(entry, to); // MISTAKE: entry-of-another-lookaside-list
    }
}

unsafe extern "C" fn give_to_another(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (first, second) = (list_of_entries(), list_of_entries());
    if !first.is_null() && !second.is_null() {
        use_entry(first, second);
    }
    delete_list(second);
    delete_list(first);
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
        ntddk::KeInitializeTimer(timer);
        free(timer);
    }
    // One on the stack, which is cancelled there, and one that has run.
    let (mut timer, mut dpc) = (KTIMER::default(), KDPC::default());
    ntddk::KeInitializeDpc(&raw mut dpc, Some(count), null_mut());
    ntddk::KeInitializeTimer(&raw mut timer);
    let _ = ntddk::KeSetTimer(&raw mut timer, milliseconds(60_000), &raw mut dpc);
    ntddk::KeCancelTimer(&raw mut timer);
    for _ in 0..2 {
        ntddk::KeInitializeDpc(&raw mut dpc, Some(count), null_mut());
        ntddk::KeInsertQueueDpc(&raw mut dpc, null_mut(), null_mut());
        ntddk::KeFlushQueuedDpcs();
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
    let mutex = nonpaged::<FAST_MUTEX>();
    if !mutex.is_null() {
        initialize_fast_mutex(mutex);
        ntddk::ExAcquireFastMutex(mutex);
        ntddk::ExReleaseFastMutex(mutex);
        free(mutex);
    }
    let list = list_of_entries();
    if !list.is_null() {
        use_entry(list, list);
    }
    delete_list(list);
    dispatch(device, irp)
}
