//! The name of a file object, as `ObQueryNameString` and `NtQueryObject` give it.
//!
//! The I/O manager does not read `FileName` (which is only valid during the
//! open): it asks the file system for `FileNameInformation`, through the whole
//! stack, and puts the device's name in front.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the file object and the answer are read by pointer"
)]

use super::{file, lookup};
use crate::nt::{
    FILE_DEVICE_NETWORK_FILE_SYSTEM, FILE_OBJECT, IRP_MJ_QUERY_INFORMATION, NTSTATUS,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_NOT_IMPLEMENTED, Status,
};
use crate::pool;
use crate::processor::object;

/// `FileNameInformation`.
const FILE_NAME_INFORMATION: i32 = 9;
/// Bytes of the longest name behind its length.
const LONGEST: u32 = 4 + 65_534;

/// Device name and path of an open file.
///
/// # Errors
/// The file system's error, unless it does not know the class: then the device's name is all there is.
///
/// # Safety
/// `file` is alive and opened. PASSIVE_LEVEL.
pub unsafe fn of_file(file: *mut FILE_OBJECT) -> Result<Vec<u16>, NTSTATUS> {
    // SAFETY: contract.
    let device = unsafe { object::name_of((*file).DeviceObject.cast()) };
    // SAFETY: contract.
    unsafe { behind(&device.unwrap_or_default(), file) }
}

/// The same with the drive's letter, or behind a backslash where the path begins with the name of a server.
///
/// # Errors
/// As [`of_file`]; `STATUS_INVALID_PARAMETER` for a device without a letter.
///
/// # Safety
/// As [`of_file`].
pub unsafe fn dos_name_of_file(file: *mut FILE_OBJECT) -> Result<Vec<u16>, NTSTATUS> {
    // SAFETY: contract.
    let device = unsafe { (*file).DeviceObject };
    // SAFETY: the file keeps its device.
    if unsafe { (*device).DeviceType } == FILE_DEVICE_NETWORK_FILE_SYSTEM {
        // SAFETY: contract.
        return unsafe { behind(r"\", file) };
    }
    // SAFETY: the file keeps its device.
    let letter = unsafe { lookup::dos_name(device) }?;
    // SAFETY: contract.
    unsafe { behind(&letter, file) }
}

/// The path of a file behind `name`.
///
/// # Safety
/// As [`of_file`].
unsafe fn behind(name: &str, file: *mut FILE_OBJECT) -> Result<Vec<u16>, NTSTATUS> {
    // SAFETY: contract; the buffer has the length that is passed.
    unsafe {
        let mut name: Vec<u16> = name.encode_utf16().collect();
        if !file::is_opened(file) {
            return Ok(name);
        }
        let buffer = pool::allocate_for_box(LONGEST as usize);
        let mut returned = 0;
        let status = file::query(
            file,
            IRP_MJ_QUERY_INFORMATION as u8,
            FILE_NAME_INFORMATION,
            buffer,
            LONGEST,
            &raw mut returned,
        );
        if Status(status).is_success() {
            let bytes = buffer.cast::<u32>().read().min(LONGEST - 4);
            let text = buffer.cast::<u16>().add(2);
            name.extend_from_slice(std::slice::from_raw_parts(text, bytes as usize / 2));
        }
        pool::free_for_box(buffer);
        match status {
            status if Status(status).is_success() => Ok(name),
            STATUS_INVALID_PARAMETER | STATUS_INVALID_DEVICE_REQUEST | STATUS_NOT_IMPLEMENTED => {
                Ok(name)
            }
            status => Err(status),
        }
    }
}
