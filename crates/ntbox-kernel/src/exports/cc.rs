//! `Cc`: the cache manager's routines that filters call on files of the file system below.
//!
//! The box has no cache manager: its file system serves fast I/O itself, and what it has in memory is what is on
//! disk. So there is never anything to flush, to purge or to find, which is what these say. Left out is what drives
//! the cache, which is for file systems: an import of those is reported by name when the driver is loaded.
//!
//! Source: `CcFlushCache`, `CcPurgeCacheSection`, `CcGetFileObjectFromSectionPtrs` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{FILE_OBJECT, IO_STATUS_BLOCK, SECTION_OBJECT_POINTERS, STATUS_SUCCESS, VPB};
use crate::processor::irql;
use std::mem::offset_of;
use std::ptr::null_mut;

super::table! {
    caller(4) "CcFlushCache" => flush_cache,
    caller(4) "CcPurgeCacheSection" => purge_cache_section,
    "CcGetFileObjectFromSectionPtrs" => get_file_object,
    "CcGetFileObjectFromSectionPtrsRef" => get_file_object,
    "CcIsThereDirtyData" => is_there_dirty_data,
}

/// Looks at the pointers as the cache manager does: an address that is none faults in the name of who passed it.
///
/// # Safety
/// None: what is read is not used.
pub(super) unsafe fn look_at(pointers: *const SECTION_OBJECT_POINTERS) {
    let map: *const usize = pointers
        .wrapping_byte_add(offset_of!(SECTION_OBJECT_POINTERS, SharedCacheMap))
        .cast();
    // SAFETY: the driver's pointer.
    unsafe { map.read_volatile() };
}

/// `CcFlushCache`.
unsafe extern "win64" fn flush_cache(
    pointers: *const SECTION_OBJECT_POINTERS,
    _offset: *const i64,
    length: u32,
    block: *mut IO_STATUS_BLOCK,
    caller: usize,
) {
    irql::require("CcFlushCache", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    if !block.is_null() {
        let mut flushed = IO_STATUS_BLOCK::default();
        flushed.Anonymous.Status = STATUS_SUCCESS;
        flushed.Information = length as usize;
        // SAFETY: the driver's pointer.
        unsafe { block.write(flushed) };
    }
}

/// `CcPurgeCacheSection`: nothing is left in the cache.
unsafe extern "win64" fn purge_cache_section(
    pointers: *const SECTION_OBJECT_POINTERS,
    _offset: *const i64,
    _length: u32,
    _flags: u32,
    caller: usize,
) -> u8 {
    irql::require("CcPurgeCacheSection", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    1
}

/// `CcGetFileObjectFromSectionPtrs(Ref)`: null, the file is not cached.
unsafe extern "win64" fn get_file_object(
    pointers: *const SECTION_OBJECT_POINTERS,
) -> *mut FILE_OBJECT {
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    null_mut()
}

/// `CcIsThereDirtyData`.
unsafe extern "win64" fn is_there_dirty_data(_volume: *const VPB) -> u8 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::DISPATCH_LEVEL;
    use crate::verifier::capture;

    #[test]
    fn all_of_a_file_is_where_it_belongs() {
        let pointers = SECTION_OBJECT_POINTERS::default();
        let mut block = IO_STATUS_BLOCK {
            Information: 7,
            ..IO_STATUS_BLOCK::default()
        };
        block.Anonymous.Status = -1;
        let none = std::ptr::null();
        // SAFETY: pointers of this test, here and below.
        unsafe { flush_cache(&raw const pointers, none, 100, &raw mut block, 0) };
        // SAFETY: both members of the union are integers or pointers.
        let status = unsafe { block.Anonymous.Status };
        assert_eq!((status, block.Information), (STATUS_SUCCESS, 100));
        // SAFETY: as above.
        assert!(unsafe { get_file_object(&raw const pointers) }.is_null());
        let (purged, found) = capture(|| {
            let _level = irql::raised_to(DISPATCH_LEVEL);
            // SAFETY: as above.
            unsafe { purge_cache_section(&raw const pointers, none, 0, 0, 0) }
        });
        assert_eq!((purged, found.len()), (1, 1));
    }
}
