//! Locks that are acquired and released by routines of different sorts, or in an order that leaves one at a lower level.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use crate::kernel::{initialize_event, unicode_literal, wait_for};
use wdk_sys::{
    IRP_MJ_QUERY_INFORMATION, KEVENT, KLOCK_QUEUE_HANDLE, KSPIN_LOCK, NTSTATUS, PDEVICE_OBJECT,
    PIRP, PVOID, ULONG, UNICODE_STRING, ntddk,
};

/// Guard nothing.
static mut LOCK: KSPIN_LOCK = 0;
static mut OTHER: KSPIN_LOCK = 0;
static mut QUEUED: KSPIN_LOCK = 0;
static mut PUSH_LOCK: usize = 0;

type PushLockRoutine = unsafe extern "C" fn(*mut usize, ULONG);

/// Acquires and releases a push lock: by routines that the import library of every kit does not have.
pub(super) unsafe fn push_lock_routines() -> Option<[PushLockRoutine; 2]> {
    let find = |mut name: UNICODE_STRING| {
        let address = ntddk::MmGetSystemRoutineAddress(&raw mut name);
        core::mem::transmute::<PVOID, Option<PushLockRoutine>>(address)
    };
    Some([
        find(unicode_literal!("ExAcquirePushLockExclusiveEx"))?,
        find(unicode_literal!("ExReleasePushLockExclusiveEx"))?,
    ])
}

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::SpinLockAcquiredAsQueued => Some(acquire_as_queued),
        Mistake::QueuedLockReleasedAsPlain => Some(release_as_plain),
        Mistake::SpinLockReleasedOutOfOrder => Some(release_out_of_order),
        Mistake::PushLockFlags => Some(acquire_with_flags),
        Mistake::WaitNotFollowing => Some(set_event_and_go_on),
        _ => None,
    }
}

unsafe extern "C" fn acquire_as_queued(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut handle = KLOCK_QUEUE_HANDLE::default();
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    ntddk::KeAcquireInStackQueuedSpinLock(&raw mut LOCK, &raw mut handle); // MISTAKE: spin-lock-acquired-as-queued
    ntddk::KeReleaseInStackQueuedSpinLock(&raw mut handle);
    dispatch(device, irp)
}

unsafe extern "C" fn release_as_plain(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut handle = KLOCK_QUEUE_HANDLE::default();
    ntddk::KeAcquireInStackQueuedSpinLock(&raw mut LOCK, &raw mut handle);
    ntddk::KeReleaseSpinLock(&raw mut LOCK, handle.OldIrql); // MISTAKE: queued-lock-released-as-plain
    dispatch(device, irp)
}

unsafe extern "C" fn release_out_of_order(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let first = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let second = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut OTHER);
    ntddk::KeReleaseSpinLock(&raw mut LOCK, first); // MISTAKE: spin-lock-released-out-of-order
    ntddk::KeReleaseSpinLock(&raw mut OTHER, second);
    dispatch(device, irp)
}

unsafe extern "C" fn acquire_with_flags(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some([acquire, release]) = push_lock_routines() {
        ntddk::KeEnterCriticalRegion();
        acquire(&raw mut PUSH_LOCK, 0x100); // MISTAKE: push-lock-flags
        release(&raw mut PUSH_LOCK, 0);
        ntddk::KeLeaveCriticalRegion();
    }
    dispatch(device, irp)
}

unsafe extern "C" fn set_event_and_go_on(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    ntddk::KeSetEvent(&raw mut event, 0, 1); // MISTAKE: wait-not-following
    dispatch(device, irp)
}

/// Each lock by one sort of routines. The level goes down with the last one, whichever that is.
pub unsafe extern "C" fn right(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let first = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    ntddk::KeAcquireSpinLockAtDpcLevel(&raw mut OTHER);
    ntddk::KeReleaseSpinLockFromDpcLevel(&raw mut LOCK);
    ntddk::KeReleaseSpinLock(&raw mut OTHER, first);
    let mut handle = KLOCK_QUEUE_HANDLE::default();
    ntddk::KeAcquireInStackQueuedSpinLock(&raw mut QUEUED, &raw mut handle);
    ntddk::KeReleaseInStackQueuedSpinLock(&raw mut handle);
    super::threads::start_once(super::threads::end_with_nothing);
    // A wait follows at once, as it is said.
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    ntddk::KeSetEvent(&raw mut event, 0, 1);
    wait_for(&raw mut event);
    if let Some([acquire, release]) = push_lock_routines() {
        ntddk::KeEnterCriticalRegion();
        acquire(&raw mut PUSH_LOCK, 0);
        release(&raw mut PUSH_LOCK, 0);
        ntddk::KeLeaveCriticalRegion();
    }
    dispatch(device, irp)
}
