//! What drives the cache of a file: for a driver that has files of its own, as a layered file system has.
//!
//! Those that pin pages are not here.

use super::copy::{part, read, write};
use crate::nt::{
    CACHE_MANAGER_CALLBACKS, CACHE_UNINITIALIZE_EVENT, CC_FILE_SIZES, FILE_OBJECT, IO_STATUS_BLOCK,
    NTSTATUS, STATUS_SUCCESS,
};
use crate::processor::driver_code::entering;
use crate::processor::{exception, irql, work};
use crate::user::cache::{self, Callbacks};
use std::ffi::c_void;
use std::ptr::NonNull;

/// `PCC_POST_DEFERRED_WRITE`.
type PostDeferredWrite = unsafe extern "win64" fn(*mut c_void, *mut c_void);

/// `CcInitializeCacheMap`. The callbacks are those of the first that caches the file.
pub(super) unsafe extern "win64" fn initialize_cache_map(
    file: *mut FILE_OBJECT,
    sizes: *const CC_FILE_SIZES,
    _pin_access: u8,
    callbacks: *const CACHE_MANAGER_CALLBACKS,
    context: *mut c_void,
) {
    // SAFETY: the driver's structures, here and below.
    let size = unsafe { (*sizes).FileSize };
    let callbacks = Callbacks {
        // SAFETY: as above.
        routines: unsafe { *callbacks },
        context: context.expose_provenance(),
    };
    // SAFETY: the driver's file, with the pointers of a stream of its.
    unsafe { cache::initialize(file, size.cast_unsigned(), Some(callbacks)) };
}

/// `CcUninitializeCacheMap`: true if the file is not cached any more.
pub(super) unsafe extern "win64" fn uninitialize_cache_map(
    file: *mut FILE_OBJECT,
    truncate_to: *const i64,
    event: *mut CACHE_UNINITIALIZE_EVENT,
) -> u8 {
    // SAFETY: the driver's file, here and below.
    let stream = unsafe { (*file).SectionObjectPointer }.addr();
    // SAFETY: the driver's pointer, or null.
    let size = unsafe { truncate_to.as_ref() }.copied();
    if let Some(size) = size {
        cache::set_size(stream, size.cast_unsigned());
    }
    // SAFETY: as above.
    let event = NonNull::new(event).map(|event| unsafe { &raw mut (*event.as_ptr()).Event });
    // SAFETY: as above; the event stays until it is signaled.
    unsafe { cache::tell_end(stream, event) };
    // SAFETY: as above.
    unsafe { cache::uninitialize(file, size == Some(0)) };
    u8::from(!cache::is_cached(stream))
}

/// `CcSetFileSizes`.
pub(super) unsafe extern "win64" fn set_file_sizes(
    file: *mut FILE_OBJECT,
    sizes: *const CC_FILE_SIZES,
) {
    // SAFETY: the driver's file, and its structure below.
    let stream = unsafe { (*file).SectionObjectPointer }.addr();
    // SAFETY: as above.
    let size = unsafe { (*sizes).FileSize };
    cache::set_size(stream, size.cast_unsigned());
}

/// Says what was read, raises what went wrong.
///
/// # Safety
/// `block` is the driver's.
unsafe fn answer(
    ddi: &'static str,
    read: Result<Option<usize>, NTSTATUS>,
    block: *mut IO_STATUS_BLOCK,
) -> u8 {
    match read {
        Ok(Some(count)) => {
            let mut result = IO_STATUS_BLOCK::default();
            result.Anonymous.Status = STATUS_SUCCESS;
            result.Information = count;
            // SAFETY: contract.
            unsafe { block.write(result) };
            1
        }
        Ok(None) => 0,
        Err(status) => {
            exception::raise(ddi, status);
            0
        }
    }
}

/// `CcCopyRead`.
pub(super) unsafe extern "win64" fn copy_read(
    file: *mut FILE_OBJECT,
    offset: *const i64,
    length: u32,
    wait: u8,
    buffer: *mut c_void,
    block: *mut IO_STATUS_BLOCK,
    caller: usize,
) -> u8 {
    const DDI: &str = "CcCopyRead";
    irql::require(DDI, caller);
    // SAFETY: the driver's pointers, here and below.
    let offset = unsafe { *offset };
    // SAFETY: as above.
    let part = unsafe { part(DDI, file, offset.cast_unsigned(), length, caller) };
    // SAFETY: as above.
    let read = unsafe { read(file, &part, wait != 0, buffer) };
    // SAFETY: as above.
    unsafe { answer(DDI, read, block) }
}

/// `CcFastCopyRead`: below 4 GB, and it waits.
pub(super) unsafe extern "win64" fn fast_copy_read(
    file: *mut FILE_OBJECT,
    offset: u32,
    length: u32,
    _pages: u32,
    buffer: *mut c_void,
    block: *mut IO_STATUS_BLOCK,
    caller: usize,
) {
    const DDI: &str = "CcFastCopyRead";
    irql::require(DDI, caller);
    // SAFETY: the driver's pointers, here and below.
    let part = unsafe { part(DDI, file, offset.into(), length, caller) };
    // SAFETY: as above.
    let read = unsafe { read(file, &part, true, buffer) };
    // SAFETY: as above.
    unsafe { answer(DDI, read, block) };
}

/// `CcCopyWrite`.
pub(super) unsafe extern "win64" fn copy_write(
    file: *mut FILE_OBJECT,
    offset: *const i64,
    length: u32,
    wait: u8,
    buffer: *const c_void,
    caller: usize,
) -> u8 {
    const DDI: &str = "CcCopyWrite";
    irql::require(DDI, caller);
    // SAFETY: the driver's pointers, here and below.
    let offset = unsafe { *offset };
    // SAFETY: as above.
    let part = unsafe { part(DDI, file, offset.cast_unsigned(), length, caller) };
    // SAFETY: as above.
    match unsafe { write(file, &part, wait != 0, buffer) } {
        Ok(written) => written.into(),
        Err(status) => {
            exception::raise(DDI, status);
            0
        }
    }
}

/// `CcFastCopyWrite`: below 4 GB, and it waits.
pub(super) unsafe extern "win64" fn fast_copy_write(
    file: *mut FILE_OBJECT,
    offset: u32,
    length: u32,
    buffer: *const c_void,
    caller: usize,
) {
    const DDI: &str = "CcFastCopyWrite";
    // SAFETY: the driver's pointers, here and below.
    let part = unsafe { part(DDI, file, offset.into(), length, caller) };
    // SAFETY: as above.
    if let Err(status) = unsafe { write(file, &part, true, buffer) } {
        exception::raise(DDI, status);
    }
}

/// `CcZeroData`, inside of the cached file.
pub(super) unsafe extern "win64" fn zero_data(
    file: *mut FILE_OBJECT,
    start: *const i64,
    end: *const i64,
    wait: u8,
    caller: usize,
) -> u8 {
    const DDI: &str = "CcZeroData";
    irql::require(DDI, caller);
    // SAFETY: the driver's pointers, here and below.
    let start = unsafe { *start }.cast_unsigned();
    // SAFETY: as above.
    let end = unsafe { *end }.cast_unsigned();
    let length = end.saturating_sub(start).min(u32::MAX.into()) as u32;
    // SAFETY: as above.
    let part = unsafe { part(DDI, file, start, length, caller) };
    let zeros = vec![0u8; (part.end - part.start) as usize];
    // SAFETY: as above; the zeros are as many.
    let written = unsafe { write(file, &part, wait != 0, zeros.as_ptr().cast()) };
    drop(zeros);
    match written {
        Ok(written) => written.into(),
        Err(status) => {
            exception::raise(DDI, status);
            0
        }
    }
}

/// `CcCanIWrite`: the cache has room for everything.
pub(super) unsafe extern "win64" fn can_write(
    _file: *mut FILE_OBJECT,
    _bytes: u32,
    _wait: u8,
    _retrying: u8,
) -> u8 {
    1
}

/// `CcDeferWrite`: there is room at once, so the routine is called by a worker.
pub(super) unsafe extern "win64" fn defer_write(
    _file: *mut FILE_OBJECT,
    post: PostDeferredWrite,
    first: *mut c_void,
    second: *mut c_void,
    _bytes: u32,
    _retrying: u8,
) {
    let contexts = [first, second].map(<*mut c_void>::expose_provenance);
    work::queue(Box::new(move || {
        let [first, second] = contexts.map(std::ptr::with_exposed_provenance_mut);
        // SAFETY: the driver's routine, which it has asked to be called so.
        unsafe { entering(post)(first, second) };
    }));
}

/// `CcSetReadAheadGranularity`, `CcSetDirtyPageThreshold`: how much is read ahead and written is the box's to choose.
pub(super) unsafe extern "win64" fn set_amount(_file: *mut FILE_OBJECT, _amount: u32) {}

/// `CcSetAdditionalCacheAttributes`: what it turns off is only done sooner or later here, in any case rightly.
pub(super) unsafe extern "win64" fn set_attributes(
    _file: *mut FILE_OBJECT,
    _no_read_ahead: u8,
    _no_write_behind: u8,
    caller: usize,
) {
    irql::require("CcSetAdditionalCacheAttributes", caller);
}

/// `CcWaitForCurrentLazyWriterActivity`.
pub(super) unsafe extern "win64" fn wait_for_lazy_writer() -> NTSTATUS {
    cache::wait_for_lazy_writer();
    STATUS_SUCCESS
}
