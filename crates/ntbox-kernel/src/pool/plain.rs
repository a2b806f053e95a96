//! Blocks without guards or bookkeeping, for benchmarks.

#![expect(
    unsafe_code,
    reason = "memory of drivers is handed out and taken back by pointer"
)]

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ffi::c_void;

/// In front of a block: its size, and padding that keeps the alignment of 16.
const HEADER: usize = 16;

fn layout(bytes: usize) -> Option<Layout> {
    // From a page on, blocks are aligned to a page, as NT aligns them.
    let alignment = if bytes >= crate::host::PAGE {
        crate::host::PAGE
    } else {
        HEADER
    };
    Layout::from_size_align(bytes.checked_add(alignment)?, alignment).ok()
}

pub(super) fn allocate(bytes: usize) -> *mut c_void {
    // SAFETY: the layout is not empty, for it has room for the header.
    finish(bytes, |layout| unsafe { alloc(layout) })
}

pub(super) fn allocate_zeroed(bytes: usize) -> *mut c_void {
    // SAFETY: as above.
    finish(bytes, |layout| unsafe { alloc_zeroed(layout) })
}

fn finish(bytes: usize, allocate: impl FnOnce(Layout) -> *mut u8) -> *mut c_void {
    let Some(layout) = layout(bytes) else {
        return std::ptr::null_mut();
    };
    let start = allocate(layout);
    if start.is_null() {
        return std::ptr::null_mut();
    }
    let block = start.wrapping_add(layout.align());
    let header: *mut usize = block.wrapping_sub(HEADER).cast();
    // SAFETY: the alignment is at least the size of the header, which lies in front of the block.
    unsafe { header.write(bytes) };
    block.cast()
}

/// # Safety
/// `block` came from this module and is freed once.
pub(super) unsafe fn free(block: *mut c_void) {
    let block: *mut u8 = block.cast();
    let header: *const usize = block.wrapping_sub(HEADER).cast();
    // SAFETY: there is one in front of each block of this module.
    let bytes = unsafe { header.read() };
    let layout = layout(bytes).expect("the size was allocated");
    // SAFETY: start and layout of the allocation.
    unsafe { dealloc(block.wrapping_sub(layout.align()), layout) };
}
