//! Pageable code and memory, which are not there at DISPATCH_LEVEL (C4, P1).

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch, enter, leave, pass_with};
use crate::kernel::mark_pending;
use core::ffi::c_void;
use core::ptr::null_mut;
use wdk_sys::{
    IRP_MJ_QUERY_INFORMATION, KSPIN_LOCK, NTSTATUS, PDEVICE_OBJECT, PIRP, POOL_FLAG_PAGED,
    STATUS_SUCCESS, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadG");
const BYTES: u64 = 64;

/// Guards nothing.
static mut LOCK: KSPIN_LOCK = 0;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::CompletionRoutinePageable, _) => Some(pass_with_pageable),
        (Mistake::PagedPoolAtDispatch, IRP_MJ_QUERY_INFORMATION) => Some(touch_paged_pool),
        (Mistake::PageableCodeAtDispatch, IRP_MJ_QUERY_INFORMATION) => Some(call_pageable),
        _ => None,
    }
}

unsafe extern "C" fn pass_with_pageable(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, completed_pageable, null_mut());
    leave();
    status
}

/// [`crate::filter::completed`] where NT may page it out.
#[unsafe(link_section = "PAGE")]
unsafe extern "C" fn completed_pageable(_: PDEVICE_OBJECT, irp: PIRP, _: *mut c_void) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    leave();
    STATUS_SUCCESS
}

unsafe extern "C" fn touch_paged_pool(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let name: *mut u8 = ntddk::ExAllocatePool2(POOL_FLAG_PAGED, BYTES, TAG).cast();
    if !name.is_null() {
        name.write_volatile(1);
        let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
        name.write_volatile(2); // MISTAKE: paged-pool-at-dispatch
        ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
        ntddk::ExFreePoolWithTag(name.cast(), TAG);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn call_pageable(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irql = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    use_paged_pool();
    ntddk::KeReleaseSpinLock(&raw mut LOCK, irql);
    dispatch(device, irp)
}

/// Pageable code that uses pageable memory: right below DISPATCH_LEVEL.
#[inline(never)]
#[unsafe(link_section = "PAGE")]
pub unsafe extern "C" fn use_paged_pool() {
    let block: *mut u8 = ntddk::ExAllocatePool2(POOL_FLAG_PAGED, BYTES, TAG).cast();
    if !block.is_null() {
        for offset in 0..BYTES as usize {
            block.add(offset).write_volatile(1);
        }
        ntddk::ExFreePoolWithTag(block.cast(), TAG);
    }
}
