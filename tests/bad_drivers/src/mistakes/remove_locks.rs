//! Remove locks, and what is like these mistakes and right.

use super::{Mistake, threads};
use crate::attachments::extension;
use crate::filter::{DispatchRoutine, completed, dispatch, enter, leave, lower, pass_with};
use crate::kernel::skip_location;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};
use wdk_sys::{
    IO_REMOVE_LOCK, IRP_MJ_CLEANUP, IRP_MJ_FLUSH_BUFFERS, IRP_MJ_QUERY_INFORMATION, IRP_MJ_READ,
    IRP_MJ_SET_INFORMATION, IRP_MJ_WRITE, NTSTATUS, PDEVICE_OBJECT, PIRP, POOL_FLAG_NON_PAGED,
    PVOID, STATUS_SUCCESS, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadL");
const BYTES: u32 = size_of::<IO_REMOVE_LOCK>() as u32;

// SAFETY: structures of integers and pointers, initialized before they are used.
static mut LOCK: IO_REMOVE_LOCK = unsafe { core::mem::zeroed() };

/// In DriverEntry: a lock of the driver, beside those of its devices.
pub unsafe fn at_entry() {
    initialize();
}

/// In DriverUnload: waits until nobody holds it.
pub unsafe fn at_unload() {
    if acquire(null_mut()) == STATUS_SUCCESS {
        ntddk::IoReleaseRemoveLockAndWaitEx(&raw mut LOCK, null_mut(), BYTES);
    }
}

/// The lock of a device, which lies in its extension.
pub unsafe fn make(lock: *mut IO_REMOVE_LOCK) {
    ntddk::IoInitializeRemoveLockEx(lock, TAG, 0, 0, BYTES);
}

unsafe fn of_device(device: PDEVICE_OBJECT) -> *mut IO_REMOVE_LOCK {
    &raw mut (*extension(device)).remove_lock
}

#[inline(never)]
unsafe fn initialize() {
    ntddk::IoInitializeRemoveLockEx(&raw mut LOCK, TAG, 0, 0, BYTES); // MISTAKE: remove-lock-initialized-twice
}

#[inline(always)]
unsafe fn acquire(tag: PVOID) -> NTSTATUS {
    acquire_of(&raw mut LOCK, tag)
}

#[inline(always)]
unsafe fn acquire_of(lock: *mut IO_REMOVE_LOCK, tag: PVOID) -> NTSTATUS {
    ntddk::IoAcquireRemoveLockEx(lock, tag, c"".as_ptr(), 1, BYTES)
}

#[inline(always)]
unsafe fn release(tag: PVOID) {
    release_of(&raw mut LOCK, tag);
}

#[inline(always)]
unsafe fn release_of(lock: *mut IO_REMOVE_LOCK, tag: PVOID) {
    ntddk::IoReleaseRemoveLockEx(lock, tag, BYTES);
}

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::RemoveLockReleasedTwice, IRP_MJ_QUERY_INFORMATION) => Some(release_twice),
        (Mistake::RemoveLockTag, IRP_MJ_QUERY_INFORMATION) => Some(release_another_tag),
        (Mistake::RemoveLockWaitTag, IRP_MJ_QUERY_INFORMATION) => Some(wait_with_another_tag),
        (Mistake::RemoveLockWaitUnacquired, IRP_MJ_QUERY_INFORMATION) => Some(wait_without),
        (Mistake::RemoveLockInitializedTwice, IRP_MJ_QUERY_INFORMATION) => Some(initialize_again),
        (Mistake::RemoveLockKept, IRP_MJ_QUERY_INFORMATION) => Some(skip_and_keep),
        (Mistake::RemoveLockKeptByCompletion, IRP_MJ_QUERY_INFORMATION) => Some(pass_and_keep),
        (Mistake::RemoveLockReleasedEarly, IRP_MJ_QUERY_INFORMATION) => Some(release_and_pass),
        _ => None,
    }
}

unsafe extern "C" fn release_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    ntddk::IoReleaseRemoveLockEx(&raw mut LOCK, null_mut(), BYTES); // MISTAKE: remove-lock-released-twice
    dispatch(device, irp)
}

unsafe extern "C" fn release_another_tag(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let _ = acquire(irp.cast());
    ntddk::IoReleaseRemoveLockEx(&raw mut LOCK, device.cast(), BYTES); // MISTAKE: remove-lock-tag
    dispatch(device, irp)
}

unsafe extern "C" fn wait_with_another_tag(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if acquire(irp.cast()) == STATUS_SUCCESS {
        ntddk::IoReleaseRemoveLockAndWaitEx(&raw mut LOCK, device.cast(), BYTES); // MISTAKE: remove-lock-wait-tag
    }
    dispatch(device, irp)
}

unsafe extern "C" fn wait_without(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    ntddk::IoReleaseRemoveLockAndWaitEx(&raw mut LOCK, irp.cast(), BYTES); // MISTAKE: remove-lock-wait-unacquired
    dispatch(device, irp)
}

unsafe extern "C" fn initialize_again(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    initialize();
    dispatch(device, irp)
}

/// Nobody hears of the end of the request.
unsafe extern "C" fn skip_and_keep(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let tag = irp.cast();
    let _ = ntddk::IoAcquireRemoveLockEx(&raw mut LOCK, tag, c"".as_ptr(), 1, BYTES); // MISTAKE: remove-lock-kept
    skip_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp);
    leave();
    status
}

/// The completion routine does not know of the lock.
unsafe extern "C" fn pass_and_keep(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let tag = irp.cast();
    let _ = ntddk::IoAcquireRemoveLockEx(&raw mut LOCK, tag, c"".as_ptr(), 1, BYTES); // MISTAKE: remove-lock-kept-by-completion
    let status = pass_with(device, irp, completed, null_mut());
    leave();
    status
}

/// The lock is held while the filter looks at the request, not while the driver below has it.
unsafe extern "C" fn release_and_pass(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let lock = of_device(device);
    if acquire_of(lock, irp.cast()) == STATUS_SUCCESS {
        release_of(lock, irp.cast());
    }
    skip_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: remove-lock-released-early
    leave();
    status
}

/// What is right: the lock is released by the completion routine, or after the call where there is none, or with
/// another tag by a worker; and a lock that is not the device's may be held around anything.
pub fn right_routine(major: u32) -> Option<DispatchRoutine> {
    match major {
        IRP_MJ_READ | IRP_MJ_WRITE => Some(pass_and_release),
        IRP_MJ_QUERY_INFORMATION => Some(skip_and_release),
        IRP_MJ_FLUSH_BUFFERS => Some(queue_holding),
        IRP_MJ_SET_INFORMATION => Some(look_and_pass),
        IRP_MJ_CLEANUP => Some(wait_for_own_lock),
        _ => None,
    }
}

unsafe extern "C" fn pass_and_release(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = match acquire(irp.cast()) {
        STATUS_SUCCESS => pass_with(device, irp, completed_and_release, null_mut()),
        failure => crate::kernel::complete(irp, failure),
    };
    leave();
    status
}

unsafe extern "C" fn completed_and_release(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    context: *mut c_void,
) -> NTSTATUS {
    release(irp.cast());
    completed(device, irp, context)
}

unsafe extern "C" fn skip_and_release(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = match acquire(null_mut()) {
        STATUS_SUCCESS => {
            skip_location(irp);
            let status = ntddk::IofCallDriver(lower(device), irp);
            release(null_mut());
            status
        }
        failure => crate::kernel::complete(irp, failure),
    };
    leave();
    status
}

/// The lock of the driver is held around what it keeps, not for the request.
unsafe extern "C" fn look_and_pass(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if acquire(irp.cast()) == STATUS_SUCCESS {
        release(irp.cast());
    }
    dispatch(device, irp)
}

/// A lock of a block, whose other users are waited for before the block goes.
unsafe extern "C" fn wait_for_own_lock(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let block = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, u64::from(BYTES), TAG);
    let lock: *mut IO_REMOVE_LOCK = block.cast();
    if !lock.is_null() {
        make(lock);
        if acquire_of(lock, block) == STATUS_SUCCESS {
            if acquire_of(lock, irp.cast()) == STATUS_SUCCESS {
                release_of(lock, irp.cast());
            }
            ntddk::IoReleaseRemoveLockAndWaitEx(lock, block, BYTES);
        }
        ntddk::ExFreePoolWithTag(block, TAG);
    }
    dispatch(device, irp)
}

/// Held for a work item, which outlives the request.
unsafe extern "C" fn queue_holding(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    static HOLDS: AtomicBool = AtomicBool::new(false);
    if !HOLDS.swap(true, Ordering::AcqRel) && acquire(tag_of_work()) == STATUS_SUCCESS {
        enter();
        threads::queue_work_once(work);
    }
    dispatch(device, irp)
}

fn tag_of_work() -> PVOID {
    work as *const () as PVOID
}

/// WORKER_THREAD_ROUTINE.
unsafe extern "C" fn work(_context: PVOID) {
    release(tag_of_work());
    leave();
}
