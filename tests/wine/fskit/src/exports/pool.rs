//! The pool of the other drivers, counted: what they have not given back is in the report.

use crate::kernel;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};

static BLOCKS: AtomicU32 = AtomicU32::new(0);

/// How many blocks there are.
pub fn count() -> u32 {
    BLOCKS.load(Ordering::Acquire)
}

/// Zeroes, whatever the flags say; all of Wine's memory is alike.
#[unsafe(no_mangle)]
unsafe extern "C" fn ExAllocatePool2(_flags: u64, bytes: u64, _tag: u32) -> *mut c_void {
    let block: *mut c_void = kernel::allocate(bytes as usize);
    if !block.is_null() {
        BLOCKS.fetch_add(1, Ordering::AcqRel);
    }
    block
}

/// Of a block of [`ExAllocatePool2`]. Wine has this routine; it is here for the count.
#[unsafe(export_name = "ExFreePoolWithTag")]
unsafe extern "C" fn free(block: *mut c_void, _tag: u32) {
    kernel::free(block);
    BLOCKS.fetch_sub(1, Ordering::AcqRel);
}
