//! `NtQueryVolumeInformationFile`, `NtSetVolumeInformationFile`.
//!
//! Always an IRP with a system buffer. DDI: `ZwQueryVolumeInformationFile`,
//! IRP_MJ_QUERY_VOLUME_INFORMATION, IRP_MJ_SET_VOLUME_INFORMATION.

#![expect(
    non_upper_case_globals,
    reason = "information classes keep the DDI's names"
)]
#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]

use super::access::{FILE_READ_DATA, FILE_WRITE_DATA};
use super::buffers;
use super::request::{FileCall, Request, ask};
use crate::nt::stack_location::QueryVolume;
use crate::nt::*;
use std::ffi::c_void;

/// The least buffer of a class.
fn least_length(class: i32) -> usize {
    match class {
        FileFsVolumeInformation => size_of::<FILE_FS_VOLUME_INFORMATION>(),
        FileFsLabelInformation => size_of::<FILE_FS_LABEL_INFORMATION>(),
        FileFsSizeInformation => size_of::<FILE_FS_SIZE_INFORMATION>(),
        FileFsDeviceInformation => size_of::<FILE_FS_DEVICE_INFORMATION>(),
        FileFsAttributeInformation => size_of::<FILE_FS_ATTRIBUTE_INFORMATION>(),
        FileFsFullSizeInformation => size_of::<FILE_FS_FULL_SIZE_INFORMATION>(),
        FileFsSectorSizeInformation => size_of::<FILE_FS_SECTOR_SIZE_INFORMATION>(),
        _ => 0,
    }
}

/// `NtQueryVolumeInformationFile`.
///
/// # Safety
/// `buffer` holds `length` bytes; the status block is valid.
pub unsafe fn nt_query_volume_information_file(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *mut c_void,
    length: u32,
    class: i32,
) -> NTSTATUS {
    if let Err(status) = check(length, class) {
        return status;
    }
    let right = if class == FileFsControlInformation {
        FILE_READ_DATA
    } else {
        0
    };
    let prepare = |_: &FileCall, request: &mut Request| {
        buffers::attach_system_buffer(request, length.max(1))?;
        request.header().UserBuffer = buffer;
        request.header().Flags |= IRP_INPUT_OPERATION;
        request.location().Parameters.QueryVolume = QueryVolume {
            Length: length,
            FsInformationClass: class,
            ..Default::default()
        };
        Ok(())
    };
    // SAFETY: contract of the function.
    unsafe {
        ask(
            handle,
            right,
            IRP_MJ_QUERY_VOLUME_INFORMATION,
            iosb,
            prepare,
        )
    }
}

/// `NtSetVolumeInformationFile`.
///
/// # Safety
/// `buffer` holds `length` bytes; the status block is valid.
pub unsafe fn nt_set_volume_information_file(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *const c_void,
    length: u32,
    class: i32,
) -> NTSTATUS {
    if let Err(status) = check(length, class) {
        return status;
    }
    let prepare = |_: &FileCall, request: &mut Request| {
        // SAFETY: contract of the function.
        unsafe { buffers::attach_copy(request, buffer, length, length.max(1)) }?;
        request.location().Parameters.SetVolume = QueryVolume {
            Length: length,
            FsInformationClass: class,
            ..Default::default()
        };
        Ok(())
    };
    // SAFETY: contract of the function.
    unsafe {
        ask(
            handle,
            FILE_WRITE_DATA,
            IRP_MJ_SET_VOLUME_INFORMATION,
            iosb,
            prepare,
        )
    }
}

fn check(length: u32, class: i32) -> Result<(), NTSTATUS> {
    if !(1..FileFsMaximumInformation).contains(&class) {
        return Err(STATUS_INVALID_INFO_CLASS);
    }
    if (length as usize) < least_length(class) {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    Ok(())
}
