//! Reads and writes in pages that are lent to who asks for them, as those of a cache.
//!
//! A write makes the file large enough before it lends pages, and puts what is in them into the file when they come
//! back: whoever cuts the file off meanwhile, cuts them off too. DDI: `CcMdlRead`, `CcPrepareMdlWrite`.

use super::cached::CachedFile;
use super::data::Transfer;
use super::waiting::Reply;
use ntbox_kernel::io_manager::cache_pages;
use ntbox_kernel::nt::{MDL, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS};

/// Lends pages with what a read of `length` bytes gives; how many bytes that are.
pub fn lend(
    file: &CachedFile<'_>,
    transfer: &Transfer,
    length: u32,
) -> Result<(*mut MDL, usize), NTSTATUS> {
    let mut bytes = room(length)?;
    let (status, count) = file.read(transfer, &mut bytes);
    if status != STATUS_SUCCESS {
        return Err(status);
    }
    bytes.truncate(count);
    Ok((lend_all(&bytes)?, count))
}

/// Lends pages for a write of `length` bytes, for which `make_room` makes the file large enough.
pub fn prepare(
    length: u32,
    make_room: impl FnOnce(u32) -> Result<(), NTSTATUS>,
) -> Result<*mut MDL, NTSTATUS> {
    make_room(length)?;
    lend_all(&room(length)?)
}

/// Has `to` write what is in pages that were lent for a write, if need be `through` the cache; none if `list` is not out.
/// They stay lent.
pub fn write(
    offset: i64,
    through: bool,
    list: *const MDL,
    to: impl FnOnce(&Transfer, &[u8]) -> (Reply, i64),
) -> Option<NTSTATUS> {
    let bytes = cache_pages::read(list)?;
    let transfer = Transfer {
        offset,
        paging: true,
        through,
        ..Transfer::default()
    };
    let ((status, _), _) = to(&transfer, &bytes);
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
