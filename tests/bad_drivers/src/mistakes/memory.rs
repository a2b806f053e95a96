//! Pool: written beyond its end, used or freed after it was freed, never freed.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use core::sync::atomic::{AtomicPtr, Ordering};
use wdk_sys::{
    IRP_MJ_CREATE, IRP_MJ_QUERY_INFORMATION, NTSTATUS, PDEVICE_OBJECT, PIRP, POOL_FLAG_NON_PAGED,
    ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadM");

/// A multiple of the pool's granularity of 16 bytes: the block ends where its page ends.
const WHOLE: usize = 64;
/// The pool rounds this up, so the block's page holds a few bytes more.
const WITH_SLACK: usize = 40;

/// Keeps the compiler from dropping a block that has no use.
static LAST_NAME: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::LeakAtUnload, IRP_MJ_CREATE) => Some(keep_for_ever),
        (Mistake::PoolOverrun, IRP_MJ_QUERY_INFORMATION) => Some(overrun),
        (Mistake::OverlappingCopy, IRP_MJ_QUERY_INFORMATION) => Some(copy_within),
        (Mistake::PoolOverrunInSlack, IRP_MJ_QUERY_INFORMATION) => Some(overrun_in_slack),
        (Mistake::UseAfterFree, IRP_MJ_QUERY_INFORMATION) => Some(use_after_free),
        (Mistake::FreeTwice, IRP_MJ_QUERY_INFORMATION) => Some(free_twice),
        (Mistake::ZeroByteAllocation, IRP_MJ_QUERY_INFORMATION) => Some(allocate_no_bytes),
        (Mistake::ZeroTag, IRP_MJ_QUERY_INFORMATION) => Some(allocate_without_tag),
        (Mistake::AllocationUnchecked, IRP_MJ_QUERY_INFORMATION) => Some(use_unchecked),
        (Mistake::LeakOnFailure, IRP_MJ_QUERY_INFORMATION) => Some(leak_on_failure),
        _ => None,
    }
}

unsafe fn allocate(bytes: usize) -> *mut u8 {
    ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes as u64, TAG).cast()
}

unsafe fn free(block: *mut u8) {
    ntddk::ExFreePoolWithTag(block.cast(), TAG);
}

/// Terminates a name of [`WHOLE`] bytes in a block of [`WHOLE`] bytes.
unsafe extern "C" fn overrun(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let name = allocate(WHOLE);
    if !name.is_null() {
        name.add(WHOLE).write_volatile(0); // MISTAKE: pool-overrun
        free(name);
    }
    dispatch(device, irp)
}

/// The same with a block that does not fill its page to the end: found when it is freed.
unsafe extern "C" fn overrun_in_slack(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let name = allocate(WITH_SLACK);
    if !name.is_null() {
        name.add(WITH_SLACK).write_volatile(0);
        ntddk::ExFreePoolWithTag(name.cast(), TAG); // MISTAKE: pool-overrun-in-slack
    }
    dispatch(device, irp)
}

unsafe extern "C" {
    fn memcpy(target: *mut u8, source: *const u8, length: usize) -> *mut u8;
    fn memmove(target: *mut u8, source: *const u8, length: usize) -> *mut u8;
}

/// Moves the bytes of a block back and forth, first as it is right.
unsafe extern "C" fn copy_within(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let block = allocate(WHOLE);
    if !block.is_null() {
        // More than compilers copy without a call.
        let length = core::hint::black_box(WHOLE - 8);
        memmove(block.add(8), block, length);
        memcpy(block, block.add(8), length); // MISTAKE: overlapping-copy
        free(block);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn use_after_free(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let context = allocate(WHOLE);
    if !context.is_null() {
        free(context);
        context.read_volatile(); // MISTAKE: use-after-free
    }
    dispatch(device, irp)
}

unsafe extern "C" fn free_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let context = allocate(WHOLE);
    if !context.is_null() {
        free(context);
        ntddk::ExFreePoolWithTag(context.cast(), TAG); // MISTAKE: free-twice
    }
    dispatch(device, irp)
}

/// Room for the rest of a name, of which nothing is left.
unsafe extern "C" fn allocate_no_bytes(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let name = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, 0, TAG); // MISTAKE: zero-byte-allocation
    if !name.is_null() {
        free(name.cast());
    }
    dispatch(device, irp)
}

unsafe extern "C" fn allocate_without_tag(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let name = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, WHOLE as u64, 0); // MISTAKE: zero-tag
    if !name.is_null() {
        ntddk::ExFreePoolWithTag(name, 0);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn use_unchecked(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let name = allocate(WHOLE);
    name.write_volatile(0); // MISTAKE: allocation-unchecked
    free(name);
    dispatch(device, irp)
}

unsafe extern "C" fn leak_on_failure(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let bytes = WHOLE as u64;
    let name = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes, TAG); // MISTAKE: leak-on-failure
    if !name.is_null() {
        let context = allocate(WITH_SLACK);
        if !context.is_null() {
            free(context);
            free(name.cast());
        }
    }
    dispatch(device, irp)
}

unsafe extern "C" fn keep_for_ever(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let bytes = WITH_SLACK as u64;
    let name = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes, TAG); // MISTAKE: leak-at-unload
    LAST_NAME.store(name.cast(), Ordering::Relaxed);
    dispatch(device, irp)
}
