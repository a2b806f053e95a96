//! `Cc`: the cache manager's routines that filters call on files of the file system below, and those that drive the
//! cache of a driver's own files.
//!
//! Source: `CcFlushCache`, `CcPurgeCacheSection`, `CcGetFileObjectFromSectionPtrs(Ref)`, `CcIsThereDirtyData` in the DDI
//! reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

pub(super) mod copy;
mod driving;
mod lists;

use crate::io_manager::{references, sections};
use crate::nt::{FILE_OBJECT, IO_STATUS_BLOCK, SECTION_OBJECT_POINTERS, STATUS_SUCCESS, VPB};
use crate::processor::{irql, lifetime};
use crate::user::cache;
use std::mem::offset_of;
use std::ops::Range;
use std::ptr::null_mut;

super::table! {
    caller(4) "CcFlushCache" => flush_cache,
    caller(4) "CcPurgeCacheSection" => purge_cache_section,
    "CcGetFileObjectFromSectionPtrs" => get_file_object,
    caller(1) "CcGetFileObjectFromSectionPtrsRef" => get_file_object_referenced,
    "CcIsThereDirtyData" => is_there_dirty_data,
    "CcInitializeCacheMap" => driving::initialize_cache_map,
    "CcUninitializeCacheMap" => driving::uninitialize_cache_map,
    "CcSetFileSizes" => driving::set_file_sizes,
    raises(6) "CcCopyRead" => driving::copy_read,
    raises(6) "CcFastCopyRead" => driving::fast_copy_read,
    raises(5) "CcCopyWrite" => driving::copy_write,
    raises(4) "CcFastCopyWrite" => driving::fast_copy_write,
    raises(4) "CcZeroData" => driving::zero_data,
    raises(5) "CcMdlRead" => lists::read,
    caller(2) "CcMdlReadComplete" => lists::read_complete,
    raises(5) "CcPrepareMdlWrite" => lists::prepare_write,
    raises(3) "CcMdlWriteComplete" => lists::write_complete,
    caller(2) "CcMdlWriteAbort" => lists::write_abort,
    "CcCanIWrite" => driving::can_write,
    "CcDeferWrite" => driving::defer_write,
    "CcSetReadAheadGranularity" => driving::set_amount,
    "CcSetDirtyPageThreshold" => driving::set_amount,
    caller(3) "CcSetAdditionalCacheAttributes" => driving::set_attributes,
    "CcWaitForCurrentLazyWriterActivity" => driving::wait_for_lazy_writer,
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

/// The part of a stream that is asked for: all of it where no offset is given, and to its end without a length.
///
/// # Safety
/// `offset` is the driver's pointer, or null.
unsafe fn part(offset: *const i64, length: u32) -> Option<Range<u64>> {
    // SAFETY: contract.
    let begin = unsafe { offset.as_ref() }?;
    let begin = u64::try_from(*begin).unwrap_or(0);
    let end = match length {
        0 => i64::MAX as u64,
        length => begin.saturating_add(length.into()),
    };
    Some(begin..end)
}

/// `CcFlushCache`.
unsafe extern "win64" fn flush_cache(
    pointers: *const SECTION_OBJECT_POINTERS,
    offset: *const i64,
    length: u32,
    block: *mut IO_STATUS_BLOCK,
    caller: usize,
) {
    irql::require("CcFlushCache", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    // SAFETY: as above.
    let bytes = unsafe { part(offset, length) };
    let flushed = cache::flush(pointers.addr(), bytes);
    if !block.is_null() {
        let mut result = IO_STATUS_BLOCK::default();
        result.Anonymous.Status = flushed.err().unwrap_or(STATUS_SUCCESS);
        result.Information = length as usize;
        // SAFETY: the driver's pointer.
        unsafe { block.write(result) };
    }
}

/// `CcPurgeCacheSection`: refused for what somebody has mapped, or is being written.
unsafe extern "win64" fn purge_cache_section(
    pointers: *const SECTION_OBJECT_POINTERS,
    offset: *const i64,
    length: u32,
    _flags: u32,
    caller: usize,
) -> u8 {
    irql::require("CcPurgeCacheSection", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    // SAFETY: as above.
    let bytes = unsafe { part(offset, length) };
    let stream = pointers.addr();
    (!sections::is_mapped(stream) && cache::purge(stream, bytes)).into()
}

/// `CcGetFileObjectFromSectionPtrs`: that which the cache was made with; null if the file is not cached.
unsafe extern "win64" fn get_file_object(
    pointers: *const SECTION_OBJECT_POINTERS,
) -> *mut FILE_OBJECT {
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    cache::with_file_of(pointers.addr(), |file| file).unwrap_or(null_mut())
}

/// `CcGetFileObjectFromSectionPtrsRef`: with a reference, which is the driver's to give back.
unsafe extern "win64" fn get_file_object_referenced(
    pointers: *const SECTION_OBJECT_POINTERS,
    caller: usize,
) -> *mut FILE_OBJECT {
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    let refer = |file: *mut FILE_OBJECT| {
        // SAFETY: the cache keeps it while this runs.
        unsafe { lifetime::reference(file.cast()) };
        // SAFETY: as above.
        unsafe { references::taken(file.cast(), caller) };
        file
    };
    cache::with_file_of(pointers.addr(), refer).unwrap_or(null_mut())
}

/// `CcIsThereDirtyData`: whether anything that is cached of files of the volume has to be written.
unsafe extern "win64" fn is_there_dirty_data(volume: *const VPB) -> u8 {
    // SAFETY: the cache keeps the file objects that it asks about.
    let is_of_volume = |file: *mut FILE_OBJECT| unsafe { (*file).Vpb }.cast_const() == volume;
    cache::is_any_dirty(is_of_volume).into()
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
