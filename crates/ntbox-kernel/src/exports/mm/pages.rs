//! Pages that a driver allocates by a list: `MmAllocatePagesForMdl` and its like.
//!
//! The pages have no address before they are mapped: the list says where they are by their numbers alone. Every page is
//! to be had, so that a list is never shorter than was asked for. The pages are a block of the driver's, found by it
//! where they are touched after they are freed, or left.
//!
//! Source: `MmAllocatePagesForMdl`, `MmAllocatePagesForMdlEx`, `MmFreePagesFromMdl` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::{PAGE, USER_MAPPING, flags, wrong, wrong_state};
use crate::io_manager::mdl::{self, MAPPED_TO_SYSTEM_VA, PAGES_LOCKED};
use crate::nt::MDL;
use crate::pool::{self, Kind, active};
use crate::processor::irql;
use crate::verifier::rules;
use std::ptr::null_mut;

const TAG: u32 = u32::from_le_bytes(*b"MmPg");
/// 4 GB but a page, as the pages say.
const MOST: usize = (u32::MAX as usize) & !(PAGE - 1);

/// A list whose pages are its own.
static ALLOCATED: active::Kind = active::Kind {
    what: "MDL",
    begun: "allocated with its pages",
    freed: None,
    twice: None,
    missing: None,
    forget: |_| {},
};

/// True for a list whose pages are to be freed, not unlocked.
pub fn is_with_its_pages(list: *const MDL) -> bool {
    ALLOCATED.is_active(list.addr())
}

/// Allocates `bytes` as whole pages, and a list of them; null without memory.
fn allocate(bytes: usize, caller: usize) -> *mut MDL {
    let bytes = bytes.next_multiple_of(PAGE);
    if bytes == 0 || bytes > MOST {
        return null_mut();
    }
    let pages = pool::allocate(Kind::NonPaged, bytes, TAG, caller);
    if pages.is_null() {
        return null_mut();
    }
    // SAFETY: a new block of that many bytes.
    unsafe { pages.write_bytes(0, bytes) };
    let length = bytes as u32;
    // SAFETY: there is no request.
    let list = unsafe { mdl::allocate_for_driver(null_mut(), length, false, null_mut(), caller) };
    if list.is_null() {
        // SAFETY: allocated above, and nobody knows of it.
        unsafe { pool::free(pages, None, caller) };
        return null_mut();
    }
    // SAFETY: the new list, with room for the numbers of its pages.
    unsafe { mdl::number_pages(list, pages.addr()) };
    // SAFETY: as above.
    unsafe { (*list).MdlFlags |= PAGES_LOCKED };
    ALLOCATED.begin(list.addr(), caller);
    list
}

/// `MmAllocatePagesForMdl`: pages of zeroes. Where they lie in physical memory is nobody's concern here.
pub unsafe extern "win64" fn allocate_pages(
    _low: i64,
    _high: i64,
    _skip: i64,
    bytes: usize,
    caller: usize,
) -> *mut MDL {
    irql::require("MmAllocatePagesForMdl", caller);
    allocate(bytes, caller)
}

/// `MmAllocatePagesForMdlEx`, as [`allocate_pages`]: also what need not be zeroes is.
pub unsafe extern "win64" fn allocate_pages_ex(
    _low: i64,
    _high: i64,
    _skip: i64,
    bytes: usize,
    _cache: i32,
    _flags: u32,
    caller: usize,
) -> *mut MDL {
    irql::require("MmAllocatePagesForMdlEx", caller);
    allocate(bytes, caller)
}

/// `MmFreePagesFromMdl`: the list itself stays, for the driver to free.
pub unsafe extern "win64" fn free_pages(list: *mut MDL, caller: usize) {
    let ddi = "MmFreePagesFromMdl";
    irql::require(ddi, caller);
    if !ALLOCATED.end(list.addr()) {
        return wrong_state(ddi, list, "has no pages of MmAllocatePagesForMdl", caller);
    }
    if flags(list) & MAPPED_TO_SYSTEM_VA != 0 || USER_MAPPING.is_active(list.addr()) {
        wrong(
            &rules::MDL_FREED_MAPPED,
            ddi,
            list,
            "is mapped still",
            caller,
        );
    }
    // SAFETY: the driver's list, made by `allocate`.
    let pages = unsafe { mdl::system_address(list) };
    // SAFETY: as above.
    unsafe { (*list).MdlFlags &= !(PAGES_LOCKED | MAPPED_TO_SYSTEM_VA) };
    // SAFETY: allocated with the list, whose they were until now.
    unsafe { pool::free(pages, Some(TAG), caller) };
}

#[cfg(test)]
mod tests {
    use super::super::{map_locked_pages_specify_cache, unlock_pages, unmap_locked_pages};
    use super::*;
    use crate::verifier::capture;
    use std::ffi::c_void;

    fn map(list: *mut MDL) -> *mut c_void {
        let priority = super::super::NO_EXECUTE | 16;
        // SAFETY: a live list.
        unsafe { map_locked_pages_specify_cache(list, 0, 1, null_mut(), 0, priority, 0) }
    }

    #[test]
    fn pages_have_an_address_once_they_are_mapped() {
        let ((), found) = capture(|| {
            // SAFETY: numbers alone.
            let list = unsafe { allocate_pages(0, -1, 0, PAGE + 1, 0) };
            // SAFETY: the list of two pages, here and below.
            let (address, bytes) = unsafe { (mdl::virtual_address(list), (*list).ByteCount) };
            assert_eq!((address.is_null(), bytes as usize), (true, 2 * PAGE));
            let mapped = map(list).cast::<u8>();
            assert!(mapped.addr().is_multiple_of(PAGE));
            // SAFETY: mapped so far.
            let last = unsafe { mapped.add(2 * PAGE - 1) };
            // SAFETY: as above.
            assert_eq!(unsafe { last.read() }, 0);
            // A part of it is where the whole is.
            // SAFETY: no request.
            let part = unsafe { mdl::allocate(null_mut(), PAGE as u32, false, null_mut()) };
            // SAFETY: live lists.
            unsafe { mdl::build_partial(list, part, (PAGE + 8) as *mut c_void, 8) };
            // SAFETY: as above.
            let of_part = unsafe { mdl::system_address(part) };
            assert_eq!(of_part, mapped.wrapping_add(PAGE + 8).cast());
            // SAFETY: as above.
            unsafe { unmap_locked_pages(mapped.cast(), list, 0) };
            // SAFETY: as above.
            unsafe { free_pages(list, 0) };
            // SAFETY: the driver's, and the box's.
            unsafe { mdl::free(list, 0) };
            // SAFETY: as above.
            unsafe { mdl::free(part, 0) };
        });
        assert!(found.is_empty(), "{found:?}");
        // SAFETY: numbers alone.
        assert!(unsafe { allocate_pages_ex(0, -1, 0, 0, 1, 0, 0) }.is_null());
    }

    #[test]
    fn pages_are_freed_once_unmapped_and_never_unlocked() {
        let ((), found) = capture(|| {
            // SAFETY: numbers alone.
            let list = unsafe { allocate_pages_ex(0, -1, 0, PAGE, 1, 0, 0) };
            map(list);
            // SAFETY: a live list, here and below.
            unsafe { unlock_pages(list, 0) };
            // SAFETY: as above.
            unsafe { free_pages(list, 0) };
            // SAFETY: as above.
            unsafe { free_pages(list, 0) };
            // SAFETY: as above.
            unsafe { mdl::free(list, 0) };
        });
        let names: Vec<_> = found.iter().map(|found| found.rule.name).collect();
        assert_eq!(names, ["MdlState", "MdlFreedMapped", "MdlState"]);
    }
}
