//! Reads and writes in the pages of the cache itself, which a driver hands on by an MDL: for a driver that has files of
//! its own.
//!
//! Source: `CcMdlRead`, `CcMdlReadComplete`, `CcPrepareMdlWrite`, `CcMdlWriteComplete`, `CcMdlWriteAbort` in the DDI
//! reference.

use super::copy::{part, read_part};
use crate::io_manager::cache_pages;
use crate::nt::{FILE_OBJECT, IO_STATUS_BLOCK, MDL, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS};
use crate::processor::top_level::Component;
use crate::processor::{exception, irql};
use crate::user::cache;
use crate::verifier::{rules, violation};

/// Lends pages with these bytes, and says so; without memory for them that is raised.
///
/// # Safety
/// `list` and `block` are the driver's.
unsafe fn lend(ddi: &'static str, bytes: &[u8], list: *mut *mut MDL, block: *mut IO_STATUS_BLOCK) {
    let lent = cache_pages::lend(bytes);
    if lent.is_null() && !bytes.is_empty() {
        exception::raise(ddi, STATUS_INSUFFICIENT_RESOURCES);
        return;
    }
    let mut result = IO_STATUS_BLOCK::default();
    result.Anonymous.Status = STATUS_SUCCESS;
    result.Information = bytes.len();
    // SAFETY: contract.
    unsafe { list.write(lent) };
    // SAFETY: contract.
    unsafe { block.write(result) };
}

/// Lends the pages that hold a part of a file.
///
/// # Safety
/// All pointers are the driver's.
unsafe fn lend_part(
    ddi: &'static str,
    (file, offset, length): (*mut FILE_OBJECT, *const i64, u32),
    list: *mut *mut MDL,
    block: *mut IO_STATUS_BLOCK,
    caller: usize,
) {
    irql::require(ddi, caller);
    // SAFETY: contract.
    let offset = unsafe { *offset }.cast_unsigned();
    // SAFETY: contract.
    let part = unsafe { part(ddi, file, offset, length, caller) };
    // SAFETY: contract.
    match unsafe { read_part(file, &part) } {
        // SAFETY: contract.
        Ok(bytes) => unsafe { lend(ddi, &bytes, list, block) },
        Err(status) => exception::raise(ddi, status),
    }
}

/// `CcMdlRead`.
pub(super) unsafe extern "win64" fn read(
    file: *mut FILE_OBJECT,
    offset: *const i64,
    length: u32,
    list: *mut *mut MDL,
    block: *mut IO_STATUS_BLOCK,
    caller: usize,
) {
    // SAFETY: the driver's pointers.
    unsafe { lend_part("CcMdlRead", (file, offset, length), list, block, caller) };
}

/// `CcPrepareMdlWrite`: the pages hold what is in the file until the driver writes in them.
pub(super) unsafe extern "win64" fn prepare_write(
    file: *mut FILE_OBJECT,
    offset: *const i64,
    length: u32,
    list: *mut *mut MDL,
    block: *mut IO_STATUS_BLOCK,
    caller: usize,
) {
    // SAFETY: the driver's pointers.
    unsafe {
        lend_part(
            "CcPrepareMdlWrite",
            (file, offset, length),
            list,
            block,
            caller,
        )
    };
}

/// Reports a list that is none of the cache's, or is back already.
fn is_unknown(ddi: &str, list: *const MDL, caller: usize) {
    violation(
        &rules::BAD_FREE,
        format!("{ddi} was called for {list:p}, which is no list of pages that the cache has lent"),
        &[("called at", caller)],
    );
}

/// Takes pages back; what is in them goes nowhere.
fn take_back(ddi: &'static str, list: *const MDL, caller: usize) {
    irql::require(ddi, caller);
    // A read of nothing has lent nothing.
    if !list.is_null() && cache_pages::take_back(list).is_none() {
        is_unknown(ddi, list, caller);
    }
}

/// `CcMdlReadComplete`.
pub(super) unsafe extern "win64" fn read_complete(
    _file: *mut FILE_OBJECT,
    list: *const MDL,
    caller: usize,
) {
    take_back("CcMdlReadComplete", list, caller);
}

/// `CcMdlWriteAbort`.
pub(super) unsafe extern "win64" fn write_abort(
    _file: *mut FILE_OBJECT,
    list: *const MDL,
    caller: usize,
) {
    take_back("CcMdlWriteAbort", list, caller);
}

/// `CcMdlWriteComplete`. Where a file is written through and that fails, the pages stay lent, and the driver may try
/// again.
pub(super) unsafe extern "win64" fn write_complete(
    file: *mut FILE_OBJECT,
    offset: *const i64,
    list: *const MDL,
    caller: usize,
) {
    const DDI: &str = "CcMdlWriteComplete";
    irql::require(DDI, caller);
    if list.is_null() {
        return;
    }
    let Some(bytes) = cache_pages::read(list) else {
        return is_unknown(DDI, list, caller);
    };
    // SAFETY: the driver's pointers, here and below.
    let offset = unsafe { *offset }.cast_unsigned();
    // SAFETY: as above.
    let through = unsafe { (*file).Flags } & crate::nt::FO_WRITE_THROUGH != 0;
    // SAFETY: as above.
    match unsafe { cache::write_to(file, offset, &bytes, through, Component::FileSystem) } {
        Ok(()) => drop(cache_pages::take_back(list)),
        Err(status) => exception::raise(DDI, status),
    }
}
