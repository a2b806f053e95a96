//! Blocks of nonpaged pool.
//!
//! Wraps `ExAllocatePool2` and `ExFreePoolWithTag` (Windows 10, version 2004).

#![expect(unsafe_code, reason = "pool memory is a raw pointer")]

use crate::status::Status;
use core::ptr::NonNull;
use wdk_sys::{POOL_FLAG_NON_PAGED, ntddk};

/// Tag of the driver's allocations, as `!poolused` and `poolmon` show it: `FsGl`.
pub const TAG: u32 = u32::from_le_bytes(*b"FsGl");

/// The alignment that the pool guarantees on 64-bit Windows, in bytes.
pub(super) const POOL_ALIGNMENT: usize = 16;

/// Allocates `bytes` bytes of zeroed nonpaged pool. IRQL: ≤ DISPATCH_LEVEL.
///
/// Errors: STATUS_INSUFFICIENT_RESOURCES.
pub(crate) fn allocate(bytes: usize) -> Result<NonNull<u8>, Status> {
    // SAFETY: the DDI has no precondition beyond the IRQL; a zero-size request is widened to one byte.
    let memory = unsafe { ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes.max(1) as _, TAG) };
    NonNull::new(memory.cast()).ok_or(Status::INSUFFICIENT_RESOURCES)
}

/// Gives memory back. IRQL: ≤ DISPATCH_LEVEL.
///
/// # Safety
/// `memory` comes from [`allocate`], is not used afterwards, and was not freed before.
pub(crate) unsafe fn free(memory: NonNull<u8>) {
    // SAFETY: contract of the function; the tag is the one it was allocated with.
    unsafe { ntddk::ExFreePoolWithTag(memory.as_ptr().cast(), TAG) }
}
