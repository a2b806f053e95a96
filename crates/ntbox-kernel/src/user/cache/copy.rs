//! Copying from the cache and to it, and reading what is missing for that.

#![expect(
    unsafe_code,
    reason = "file objects are shared with drivers by pointer"
)]

use super::super::paging::{Kept, PAGE, Pages};
use super::super::request::status_of;
use super::pages::{Bytes, Missing};
use super::writer::{flush, later};
use super::{Map, between, end_or_write, maps, of_this_call, stream_of};
use crate::nt::{
    CACHE_MANAGER_CALLBACKS, FILE_OBJECT, FO_RANDOM_ACCESS, NTSTATUS, STATUS_END_OF_FILE,
    STATUS_FILE_CLOSED,
};
use crate::processor::top_level::{self, Component};

/// Reads what is missing, below `above`.
fn read_in(stream: usize, missing: Missing, file: &Kept, above: Component) -> Result<(), NTSTATUS> {
    let room = vec![0; missing.pages as usize * PAGE];
    let offset = missing.offset.cast_signed();
    // SAFETY: the caller keeps the file as long as the request lasts.
    let mut pages = unsafe { Pages::new(file.file(), room, offset) };
    let block = of_this_call(|| pages.read(above))?;
    let count = match status_of(&block) {
        STATUS_END_OF_FILE => 0,
        status if status < 0 => return Err(status),
        _ => block.Information,
    };
    let mut bytes = pages.into_bytes();
    bytes.truncate(count);
    if let Some(map) = maps().get_mut(&stream) {
        map.pages.enter(missing, &bytes);
    }
    Ok(())
}

/// Does something in the cache, as often as something is missing that has to be read for it.
fn with_pages<R>(
    stream: usize,
    above: Component,
    mut act: impl FnMut(&mut Map) -> Result<R, Missing>,
) -> Result<R, NTSTATUS> {
    loop {
        let (missing, file) = {
            let mut maps = maps();
            let map = maps.get_mut(&stream).ok_or(STATUS_FILE_CLOSED)?;
            match act(map) {
                Ok(done) => return Ok(done),
                // SAFETY: the map keeps it.
                Err(missing) => (missing, unsafe { Kept::new(map.file.file()) }),
            }
        };
        read_in(stream, missing, &file, top_level::above_or(above))?;
    }
}

/// `CcCopyRead`: copies from `offset` on into `buffer`; how many bytes there were. A sequence of reads is read ahead of,
/// unless the file was opened for random access.
///
/// # Errors
/// What a paging request has failed with; `STATUS_FILE_CLOSED` if the file does not use the cache.
///
/// # Safety
/// `file` is alive.
pub unsafe fn read(
    file: *mut FILE_OBJECT,
    offset: u64,
    buffer: &mut [u8],
    above: Component,
) -> Result<usize, NTSTATUS> {
    // SAFETY: contract.
    let stream = unsafe { stream_of(file) };
    // SAFETY: contract.
    let at_random = unsafe { (*file).Flags } & FO_RANDOM_ACCESS != 0;
    let (count, ahead) = with_pages(stream, above, |map| {
        let count = map.pages.read(offset, buffer)?;
        let end = offset + count as u64;
        let Some(private) = map.users.get_mut(&file.addr()) else {
            return Ok((count, None));
        };
        let goes_on = !at_random && private.read_to == offset && offset != 0;
        private.read_to = end;
        Ok((count, goes_on.then_some(end)))
    })?;
    if let Some(end) = ahead {
        read_ahead(stream, end..end + buffer.len() as u64);
    }
    Ok(count)
}

/// Whether all that a read of `bytes` needs, or a write, is in memory, so that it does not wait.
///
/// # Safety
/// `file` is alive.
pub unsafe fn is_here(file: *mut FILE_OBJECT, bytes: &Bytes, writes: bool) -> bool {
    // SAFETY: contract.
    let stream = unsafe { stream_of(file) };
    let maps = maps();
    let missing = |map: &Map| match writes {
        true => map.pages.missing_for_write(bytes),
        false => map.pages.first_missing(bytes),
    };
    maps.get(&stream).is_some_and(|map| missing(map).is_none())
}

/// Has a thread of the system read what a sequence of reads will ask for.
fn read_ahead(stream: usize, bytes: Bytes) {
    let maps = maps();
    let Some(map) = maps.get(&stream) else { return };
    let Some(missing) = map.pages.first_missing(&bytes) else {
        return;
    };
    // SAFETY: the map keeps it.
    let file = unsafe { Kept::new(map.file.file()) };
    drop(maps);
    later(move || {
        let pair = |routines: &CACHE_MANAGER_CALLBACKS| {
            (routines.AcquireForReadAhead, routines.ReleaseFromReadAhead)
        };
        // Whoever asks for it will be told what is wrong.
        let _ = between(stream, pair, || {
            read_in(stream, missing, &file, Component::CacheManager)
        });
    });
}

/// Reads what has to be in memory before `bytes` can be written, so that writing them does not fail.
///
/// # Errors
/// As [`read`].
///
/// # Safety
/// `file` is alive.
pub unsafe fn prepare_write(
    file: *mut FILE_OBJECT,
    bytes: &Bytes,
    above: Component,
) -> Result<(), NTSTATUS> {
    // SAFETY: contract.
    let stream = unsafe { stream_of(file) };
    let missing = |map: &mut Map| map.pages.missing_for_write(bytes).map_or(Ok(()), Err);
    with_pages(stream, above, missing)
}

/// `CcCopyWrite`: copies `data` to `offset`, inside of the size that the stream has been given. With `through` it is
/// written before this returns.
///
/// # Errors
/// As [`read`].
///
/// # Safety
/// `file` is alive.
pub unsafe fn write_to(
    file: *mut FILE_OBJECT,
    offset: u64,
    data: &[u8],
    through: bool,
    above: Component,
) -> Result<(), NTSTATUS> {
    // SAFETY: contract.
    let stream = unsafe { stream_of(file) };
    with_pages(stream, above, |map| map.pages.write(offset, data))?;
    if through {
        return flush(stream, Some(offset..offset + data.len() as u64));
    }
    end_or_write(maps(), stream);
    Ok(())
}
