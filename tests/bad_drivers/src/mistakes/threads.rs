//! Routines that the system calls in threads of its own, and what they leave behind there.

use super::manners::push_lock_routines;
use super::{Mistake, wild};
use crate::filter::{DispatchRoutine, dispatch, enter, leave, lower};
use crate::kernel::{self, skip_location, wait_for};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use wdk_sys::{
    _KWAIT_REASON, _MODE, _WORK_QUEUE_TYPE, ERESOURCE, HANDLE, IRP_MJ_QUERY_INFORMATION,
    KAPC_STATE, KDPC, KMUTEX, NTSTATUS, PDEVICE_OBJECT, PEPROCESS, PIRP, PKDEFERRED_ROUTINE, PKDPC,
    PVOID, STATUS_SUCCESS, WORK_QUEUE_ITEM, ntddk,
};

/// What is queued is queued once: memory for it is needed until its routine has run.
static QUEUED: AtomicBool = AtomicBool::new(false);
// SAFETY: structures of integers and pointers, initialized before they are used.
static mut ITEM: WORK_QUEUE_ITEM = unsafe { core::mem::zeroed() };
// SAFETY: as above.
static mut DPC: KDPC = unsafe { core::mem::zeroed() };
// SAFETY: as above.
static mut MUTEX: KMUTEX = unsafe { core::mem::zeroed() };
// SAFETY: as above.
static mut RESOURCE: ERESOURCE = unsafe { core::mem::zeroed() };
static mut PUSH_LOCK: usize = 0;

/// The id of the program that has asked last.
static ASKER: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
/// The id of the system process.
const SYSTEM_ID: usize = 4;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::WorkerReturnsInCriticalRegion => Some(queue_entering_worker),
        Mistake::WorkerImpersonates => Some(queue_impersonating_worker),
        Mistake::DpcReturnsInCriticalRegion => Some(queue_entering_dpc),
        Mistake::ThreadEndsWithMutex => Some(start_thread),
        Mistake::ThreadEndsWithPushLock => Some(start_with_push_lock),
        Mistake::ThreadEndsWithResource => Some(start_with_resource),
        Mistake::ThreadUsedWithoutReference => Some(start_and_wait_late),
        Mistake::WorkItemQueuedTwice => Some(queue_twice),
        Mistake::WorkItemWild => Some(queue_wild_work),
        Mistake::WorkerTerminates => Some(queue_ending_worker),
        Mistake::DetachedFromNothing => Some(detach),
        Mistake::ReturnsAttached => Some(attach),
        Mistake::WorkerReturnsAttached => Some(queue_attaching_worker),
        Mistake::SentWhileAttached => Some(send_attached),
        _ => None,
    }
}

/// `ExQueueWorkItem`, the first time.
pub(super) unsafe fn queue_work_once(routine: unsafe extern "C" fn(PVOID)) {
    if !QUEUED.swap(true, Ordering::AcqRel) {
        // As ExInitializeWorkItem leaves it: the other fields are zero.
        ITEM.WorkerRoutine = Some(routine);
        ntddk::ExQueueWorkItem(&raw mut ITEM, _WORK_QUEUE_TYPE::DelayedWorkQueue); // MISTAKE: work-item-wild
    }
}

/// `KeInsertQueueDpc`, the first time.
pub(super) unsafe fn queue_dpc_once(routine: unsafe extern "C" fn(PKDPC, PVOID, PVOID, PVOID)) {
    if !QUEUED.swap(true, Ordering::AcqRel) {
        let routine: PKDEFERRED_ROUTINE = Some(routine);
        ntddk::KeInitializeDpc(&raw mut DPC, routine, null_mut());
        ntddk::KeInsertQueueDpc(&raw mut DPC, null_mut(), null_mut());
    }
}

unsafe extern "C" fn queue_entering_worker(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    queue_work_once(work_in_critical_region);
    dispatch(device, irp)
}

/// WORKER_THREAD_ROUTINE.
unsafe extern "C" fn work_in_critical_region(_context: PVOID) {
    ntddk::KeEnterCriticalRegion();
}

unsafe extern "C" {
    // Not in the headers of the kit.
    fn PsReferencePrimaryToken(process: PEPROCESS) -> PVOID;
    fn PsDereferencePrimaryToken(token: PVOID);
    fn PsImpersonateClient(
        thread: PVOID,
        token: PVOID,
        copy_on_open: u8,
        effective_only: u8,
        level: i32,
    ) -> NTSTATUS;
    fn PsRevertToSelf();
    fn PsGetCurrentThread() -> PVOID;
}

unsafe extern "C" fn queue_impersonating_worker(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    queue_work_once(work_as_client);
    dispatch(device, irp)
}

/// `SecurityImpersonation`.
const SECURITY_IMPERSONATION: i32 = 2;

/// WORKER_THREAD_ROUTINE. Once it reverts, the second time it does not.
unsafe extern "C" fn work_as_client(_context: PVOID) {
    let token = PsReferencePrimaryToken(ntddk::IoGetCurrentProcess());
    let thread = PsGetCurrentThread();
    let _ = PsImpersonateClient(thread, token, 0, 0, SECURITY_IMPERSONATION);
    PsRevertToSelf();
    let _ = PsImpersonateClient(thread, token, 0, 0, SECURITY_IMPERSONATION);
    PsDereferencePrimaryToken(token);
}

unsafe extern "C" fn queue_entering_dpc(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    queue_dpc_once(enter_critical_region);
    dispatch(device, irp)
}

/// KDEFERRED_ROUTINE. Entering is above the level of KeEnterCriticalRegion, which is reported first.
unsafe extern "C" fn enter_critical_region(_: PKDPC, _: PVOID, _: PVOID, _: PVOID) {
    ntddk::KeEnterCriticalRegion();
}

unsafe extern "C" fn queue_wild_work(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(routine) = wild() {
        queue_work_once(routine);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn queue_ending_worker(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    queue_work_once(end_in_worker);
    dispatch(device, irp)
}

/// WORKER_THREAD_ROUTINE.
unsafe extern "C" fn end_in_worker(_context: PVOID) {
    let _ = ntddk::PsTerminateSystemThread(STATUS_SUCCESS); // MISTAKE: worker-terminates
}

/// Attaches and detaches, and detaches once more.
unsafe extern "C" fn detach(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut state = KAPC_STATE::default();
    let process = ntddk::IoGetCurrentProcess();
    ntddk::KeStackAttachProcess(process.cast(), &raw mut state);
    ntddk::KeUnstackDetachProcess(&raw mut state);
    ntddk::KeUnstackDetachProcess(&raw mut state); // MISTAKE: detached-from-nothing
    dispatch(device, irp)
}

/// The memory of the system process is used, and the thread stays there.
unsafe extern "C" fn attach(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let status = dispatch(device, irp);
    let mut state = KAPC_STATE::default();
    if let Some(system) = system_process() {
        ntddk::KeStackAttachProcess(system.cast(), &raw mut state); // MISTAKE: returns-attached
        ntddk::ObfDereferenceObject(system.cast());
    }
    status
}

/// The system process, referenced.
unsafe fn system_process() -> Option<PEPROCESS> {
    process_of(SYSTEM_ID as HANDLE)
}

/// The process with this id, referenced.
unsafe fn process_of(id: HANDLE) -> Option<PEPROCESS> {
    let mut process: PEPROCESS = null_mut();
    let found = ntddk::PsLookupProcessByProcessId(id, &raw mut process);
    (found == STATUS_SUCCESS).then_some(process)
}

unsafe extern "C" fn queue_attaching_worker(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    ASKER.store(ntddk::PsGetCurrentProcessId(), Ordering::Release);
    queue_work_once(work_attached);
    dispatch(device, irp)
}

/// WORKER_THREAD_ROUTINE. The program that has asked is where the worker stays.
unsafe extern "C" fn work_attached(_context: PVOID) {
    let mut state = KAPC_STATE::default();
    if let Some(process) = process_of(ASKER.load(Ordering::Acquire)) {
        ntddk::KeStackAttachProcess(process.cast(), &raw mut state); // MISTAKE: worker-returns-attached
        ntddk::ObfDereferenceObject(process.cast());
    }
}

unsafe extern "C" fn send_attached(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut state = KAPC_STATE::default();
    let Some(system) = system_process() else {
        return dispatch(device, irp);
    };
    enter();
    skip_location(irp);
    ntddk::KeStackAttachProcess(system.cast(), &raw mut state);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: sent-while-attached
    ntddk::KeUnstackDetachProcess(&raw mut state);
    ntddk::ObfDereferenceObject(system.cast());
    leave();
    status
}

/// What a correct filter does with the memory of another process: attached, it calls nobody.
pub unsafe fn use_attachment() {
    let (mut outer, mut inner) = (KAPC_STATE::default(), KAPC_STATE::default());
    let own = ntddk::IoGetCurrentProcess();
    let Some(system) = system_process() else {
        return;
    };
    ntddk::KeStackAttachProcess(system.cast(), &raw mut outer);
    ntddk::KeStackAttachProcess(own.cast(), &raw mut inner);
    ntddk::KeUnstackDetachProcess(&raw mut inner);
    ntddk::KeUnstackDetachProcess(&raw mut outer);
    ntddk::ObfDereferenceObject(system.cast());
}

unsafe extern "C" fn start_thread(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    start_once(end_with_mutex);
    dispatch(device, irp)
}

/// Starts a system thread, the first time, and waits until it has ended.
pub(super) unsafe fn start_once(routine: unsafe extern "C" fn(PVOID)) {
    if QUEUED.swap(true, Ordering::AcqRel) {
        return;
    }
    ntddk::KeInitializeMutex(&raw mut MUTEX, 0);
    let handle = kernel::start_thread(routine);
    if handle.is_null() {
        return;
    }
    let mut thread: PVOID = null_mut();
    let mode = _MODE::KernelMode as _;
    let any = null_mut();
    let object = &raw mut thread;
    let found = ntddk::ObReferenceObjectByHandle(handle, 0, any, mode, object, null_mut());
    if found == STATUS_SUCCESS {
        wait_for(thread.cast());
        ntddk::ObfDereferenceObject(thread);
    }
    let _ = ntddk::ZwClose(handle);
}

/// The thread is waited for when nothing keeps it any more.
unsafe extern "C" fn start_and_wait_late(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if QUEUED.swap(true, Ordering::AcqRel) {
        return dispatch(device, irp);
    }
    let handle = kernel::start_thread(end_with_nothing);
    let (mut thread, mode, any): (PVOID, _, _) = (null_mut(), _MODE::KernelMode as _, null_mut());
    let object = &raw mut thread;
    let found = ntddk::ObReferenceObjectByHandle(handle, 0, any, mode, object, null_mut());
    let _ = ntddk::ZwClose(handle);
    if found == STATUS_SUCCESS {
        ntddk::ObfDereferenceObject(thread);
        let reason = _KWAIT_REASON::Executive;
        // At first it may still run.
        for _ in 0..1000 {
            let _ = ntddk::KeWaitForSingleObject(thread, reason, mode, 0, null_mut()); // MISTAKE: thread-used-without-reference
            kernel::sleep(10);
        }
    }
    dispatch(device, irp)
}

unsafe extern "C" fn start_with_push_lock(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    start_once(end_with_push_lock);
    dispatch(device, irp)
}

/// KSTART_ROUTINE.
unsafe extern "C" fn end_with_push_lock(_context: PVOID) {
    if let Some([acquire, _]) = push_lock_routines() {
        ntddk::KeEnterCriticalRegion();
        acquire(&raw mut PUSH_LOCK, 0); // MISTAKE: thread-ends-with-push-lock
        ntddk::KeLeaveCriticalRegion();
    }
}

unsafe extern "C" fn start_with_resource(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    start_once(end_with_resource);
    dispatch(device, irp)
}

/// KSTART_ROUTINE.
unsafe extern "C" fn end_with_resource(_context: PVOID) {
    let _ = ntddk::ExInitializeResourceLite(&raw mut RESOURCE);
    ntddk::KeEnterCriticalRegion();
    ntddk::ExAcquireResourceSharedLite(&raw mut RESOURCE, 1); // MISTAKE: thread-ends-with-resource
    ntddk::KeLeaveCriticalRegion();
}

/// Gives back what it has acquired. KSTART_ROUTINE.
pub(super) unsafe extern "C" fn end_with_nothing(_context: PVOID) {
    let resource = &raw mut RESOURCE;
    let _ = ntddk::ExInitializeResourceLite(resource);
    ntddk::KeEnterCriticalRegion();
    ntddk::ExAcquireResourceSharedLite(resource, 1);
    if let Some([acquire, release]) = push_lock_routines() {
        acquire(&raw mut PUSH_LOCK, 0);
        release(&raw mut PUSH_LOCK, 0);
    }
    ntddk::ExReleaseResourceLite(resource);
    ntddk::KeLeaveCriticalRegion();
    let _ = ntddk::ExDeleteResourceLite(resource);
}

/// KSTART_ROUTINE.
unsafe extern "C" fn end_with_mutex(_context: PVOID) {
    wait_for((&raw mut MUTEX).cast());
}

/// One item for all requests, whether or not the last one's routine was called yet.
unsafe extern "C" fn queue_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let item = &raw mut ITEM;
    (*item).WorkerRoutine = Some(work);
    for _ in 0..2 {
        ntddk::ExQueueWorkItem(item, _WORK_QUEUE_TYPE::DelayedWorkQueue); // MISTAKE: work-item-queued-twice
    }
    dispatch(device, irp)
}

/// WORKER_THREAD_ROUTINE.
unsafe extern "C" fn work(_context: PVOID) {}
