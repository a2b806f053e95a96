//! Room for data, and holes: parts of a file that have none and are zero.

use super::Server;
use super::change::end_of;
use crate::bytes::Fields;
use crate::errors::Result;
use crate::volume::{Called, Handle, offset};
use fuser::Errno;
use ntbox_kernel::nt::{
    FILE_STANDARD_INFORMATION, FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA,
    FileAllocationInformation, FileEndOfFileInformation, FileStandardInformation,
};
use ntbox_kernel::user::access::{FILE_READ_ATTRIBUTES, FILE_READ_DATA};
use std::mem::offset_of;

/// `sizeof(FILE_ALLOCATED_RANGE_BUFFER)`.
const RANGE: u32 = 16;

fn size_of_data(handle: &Handle) -> Called<i64> {
    let bytes = size_of::<FILE_STANDARD_INFORMATION>() as u32;
    let data = handle.query(FileStandardInformation, bytes)?;
    Ok(Fields(&data).long(offset_of!(FILE_STANDARD_INFORMATION, EndOfFile)))
}

/// Two fields of 64 bits.
fn pair(first: i64, second: i64) -> Vec<u8> {
    [first.to_le_bytes(), second.to_le_bytes()].concat()
}

impl Server {
    /// `fallocate`: room for a range, or zeroes in it, which have no room where a hole is wanted.
    pub fn allocate(&self, file: u64, start: u64, length: u64, mode: i32) -> Result<()> {
        let end = end_of(start, length).map_err(|_| Errno::EFBIG)?;
        let keeps_size = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
        let file = self.open.file(file)?;
        let handle = &file.handle;
        match mode & !libc::FALLOC_FL_KEEP_SIZE {
            0 => {}
            libc::FALLOC_FL_PUNCH_HOLE if keeps_size => {
                handle.control(FSCTL_SET_SPARSE, &[], 0)?;
                zero(handle, start, end)?;
            }
            libc::FALLOC_FL_ZERO_RANGE => zero(handle, start, end)?,
            _ => return Err(Errno::EOPNOTSUPP.into()),
        }
        if mode & libc::FALLOC_FL_PUNCH_HOLE != 0 || end <= size_of_data(handle)? {
            return Ok(());
        }
        let class = if keeps_size {
            FileAllocationInformation
        } else {
            FileEndOfFileInformation
        };
        Ok(handle.set(class, &end.to_le_bytes())?)
    }

    /// `lseek`: where the next data begins, or the next hole, which there is one of behind the data.
    pub fn seek(&self, node: u64, file: u64, start: i64, whence: i32) -> Result<i64> {
        let file = self.open.file(file)?;
        let seek = |handle: &Handle| next(handle, start, whence);
        // NT wants to read who asks for it.
        match file.reads() {
            true => seek(&file.handle),
            false => self.with(node, FILE_READ_DATA | FILE_READ_ATTRIBUTES, seek),
        }
    }
}

fn next(handle: &Handle, start: i64, whence: i32) -> Result<i64> {
    let size = size_of_data(handle)?;
    if !(0..size).contains(&start) {
        return Err(Errno::ENXIO.into());
    }
    // The first is all that counts: where there are others, the status is a warning.
    let ranges = handle.control(
        FSCTL_QUERY_ALLOCATED_RANGES,
        &pair(start, size - start),
        RANGE,
    )?;
    let range = (!ranges.is_empty()).then(|| (Fields(&ranges).long(0), Fields(&ranges).long(8)));
    Ok(match (whence, range) {
        (libc::SEEK_DATA, Some((data, _))) => data,
        (libc::SEEK_DATA, None) => return Err(Errno::ENXIO.into()),
        (libc::SEEK_HOLE, Some((data, length))) if data == start => data + length,
        (libc::SEEK_HOLE, _) => start,
        _ => return Err(Errno::EINVAL.into()),
    })
}

fn zero(handle: &Handle, start: u64, end: i64) -> Result<()> {
    handle.control(FSCTL_SET_ZERO_DATA, &pair(offset(start)?, end), 0)?;
    Ok(())
}
