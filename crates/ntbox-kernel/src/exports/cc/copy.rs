//! Copying between the cache and a driver's buffer: the parts that the routines of the cache manager and of fast I/O share.

use crate::nt::{FILE_OBJECT, NTSTATUS};
use crate::processor::top_level::Component;
use crate::user::cache;
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::ops::Range;

/// The part of the cache that a call of `ddi` is about; one that goes beyond the file is reported, and read or written as
/// far as the file goes.
///
/// # Safety
/// `file` is the driver's.
pub unsafe fn part(
    ddi: &str,
    file: *mut FILE_OBJECT,
    offset: u64,
    length: u32,
    caller: usize,
) -> Range<u64> {
    // SAFETY: contract.
    let stream = unsafe { (*file).SectionObjectPointer }.addr();
    let end = offset.saturating_add(length.into());
    match cache::size_of(stream) {
        Some(size) if end > size => {
            violation(
                &rules::BEYOND_CACHED_FILE,
                format!(
                    "{ddi} was called for {length} bytes at {offset} of a cached file of {size} bytes"
                ),
                &[("called at", caller)],
            );
            offset.min(size)..size
        }
        _ => offset..end,
    }
}

/// What is in a part of the cache, as far as the file goes.
///
/// # Errors
/// The status that is raised.
///
/// # Safety
/// `file` is the driver's.
pub unsafe fn read_part(file: *mut FILE_OBJECT, part: &Range<u64>) -> Result<Vec<u8>, NTSTATUS> {
    let mut bytes = vec![0; (part.end - part.start) as usize];
    // SAFETY: contract.
    let count = unsafe { cache::read(file, part.start, &mut bytes, Component::FileSystem) }?;
    bytes.truncate(count);
    Ok(bytes)
}

/// What is read, or the status that is raised; none where it would have to wait and may not.
///
/// # Safety
/// `file` and `buffer` are the driver's; the buffer is as long as the part.
pub unsafe fn read(
    file: *mut FILE_OBJECT,
    part: &Range<u64>,
    wait: bool,
    buffer: *mut c_void,
) -> Result<Option<usize>, NTSTATUS> {
    // SAFETY: contract.
    if !wait && !unsafe { cache::is_here(file, part, false) } {
        return Ok(None);
    }
    // SAFETY: contract.
    let bytes = unsafe { read_part(file, part) }?;
    // SAFETY: contract: no more than the driver has room for.
    unsafe { buffer.cast::<u8>().copy_from(bytes.as_ptr(), bytes.len()) };
    Ok(Some(bytes.len()))
}

/// True if it was written, false where that would have to wait and may not; or the status that is raised.
///
/// # Safety
/// `file` and `buffer` are the driver's; the buffer is as long as the part.
pub unsafe fn write(
    file: *mut FILE_OBJECT,
    part: &Range<u64>,
    wait: bool,
    buffer: *const c_void,
) -> Result<bool, NTSTATUS> {
    // SAFETY: contract.
    if !wait && !unsafe { cache::is_here(file, part, true) } {
        return Ok(false);
    }
    let length = (part.end - part.start) as usize;
    // SAFETY: contract; copied first, as the driver's own threads may write there.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) }.to_vec();
    // SAFETY: contract.
    let through = unsafe { (*file).Flags } & crate::nt::FO_WRITE_THROUGH != 0;
    // SAFETY: contract.
    unsafe { cache::write_to(file, part.start, &bytes, through, Component::FileSystem) }?;
    Ok(true)
}
