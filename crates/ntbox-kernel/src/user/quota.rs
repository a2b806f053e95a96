//! `NtQueryQuotaInformationFile`, `NtSetQuotaInformationFile`, of all users of a volume.
//!
//! DDI: IRP_MJ_QUERY_QUOTA, IRP_MJ_SET_QUOTA.

#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]

use super::access::{FILE_READ_DATA, FILE_WRITE_DATA};
use super::buffers;
use super::request::{FileCall, Request, ask};
use crate::nt::stack_location::{QueryQuota, SetQuota};
use crate::nt::{
    HANDLE, IO_STATUS_BLOCK, IRP_MJ_QUERY_QUOTA, IRP_MJ_SET_QUOTA, NTSTATUS, SL_RESTART_SCAN,
};
use std::ffi::c_void;

/// `NtQueryQuotaInformationFile`, at PASSIVE_LEVEL, from the first user on.
///
/// # Safety
/// `buffer` holds `length` bytes; the status block is valid.
pub unsafe fn nt_query_quota_information_file(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *mut c_void,
    length: u32,
) -> NTSTATUS {
    let prepare = |call: &FileCall, request: &mut Request| {
        buffers::attach_output(request, call.device_flags(), buffer, length)?;
        let location = request.location();
        location.Flags = SL_RESTART_SCAN as u8;
        location.Parameters.QueryQuota = QueryQuota {
            Length: length,
            ..Default::default()
        };
        Ok(())
    };
    // SAFETY: contract of the function.
    unsafe { ask(handle, FILE_READ_DATA, IRP_MJ_QUERY_QUOTA, iosb, prepare) }
}

/// `NtSetQuotaInformationFile`, at PASSIVE_LEVEL.
///
/// # Safety
/// `buffer` holds `length` bytes; the status block is valid.
pub unsafe fn nt_set_quota_information_file(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *const c_void,
    length: u32,
) -> NTSTATUS {
    let prepare = |call: &FileCall, request: &mut Request| {
        // SAFETY: contract of the function.
        unsafe { buffers::attach_input(request, call.device_flags(), buffer, length) }?;
        request.location().Parameters.SetQuota = SetQuota { Length: length };
        Ok(())
    };
    // SAFETY: contract of the function.
    unsafe { ask(handle, FILE_WRITE_DATA, IRP_MJ_SET_QUOTA, iosb, prepare) }
}
