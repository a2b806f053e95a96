//! Reads and writes in pages that are lent to who asks for them, as those of a cache.
//!
//! A write makes the file large enough before it lends pages, and puts what is in them into the file when they come
//! back: whoever cuts the file off meanwhile, cuts them off too. DDI: `CcMdlRead`, `CcPrepareMdlWrite`.

use super::data::Transfer;
use super::volume::{OpenId, Volume};
use ntbox_kernel::io_manager::cache_pages;
use ntbox_kernel::nt::{
    MDL, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};

/// Lends pages with what a read of `length` bytes gives; how many bytes that are.
pub fn lend(
    volume: &Volume,
    open: OpenId,
    transfer: &Transfer,
    length: u32,
) -> Result<(*mut MDL, usize), NTSTATUS> {
    let mut bytes = room(length)?;
    let (status, count) = volume.read(open, transfer, &mut bytes);
    if status != STATUS_SUCCESS {
        return Err(status);
    }
    bytes.truncate(count);
    Ok((lend_all(&bytes)?, count))
}

/// Lends pages for a write of `length` bytes.
pub fn prepare(
    volume: &Volume,
    open: OpenId,
    transfer: &Transfer,
    length: u32,
) -> Result<*mut MDL, NTSTATUS> {
    let offset = u64::try_from(transfer.offset).map_err(|_| STATUS_INVALID_PARAMETER)?;
    volume.make_room(open, transfer, offset, length)?;
    lend_all(&room(length)?)
}

/// Writes what is in pages that were lent for a write; none if `list` is not out. They stay lent.
pub fn write(volume: &Volume, open: OpenId, offset: i64, list: *const MDL) -> Option<NTSTATUS> {
    let bytes = cache_pages::read(list)?;
    let transfer = Transfer {
        offset,
        paging: true,
        ..Transfer::default()
    };
    let ((status, _), _) = volume.write(open, &transfer, &bytes);
    Some(status)
}

fn room(length: u32) -> Result<Vec<u8>, NTSTATUS> {
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(length as usize);
    reserved.map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
    bytes.resize(length as usize, 0);
    Ok(bytes)
}

fn lend_all(bytes: &[u8]) -> Result<*mut MDL, NTSTATUS> {
    let list = cache_pages::lend(bytes);
    match list.is_null() && !bytes.is_empty() {
        true => Err(STATUS_INSUFFICIENT_RESOURCES),
        false => Ok(list),
    }
}
