//! `NtQueryQuotaInformationFile`, `NtSetQuotaInformationFile`, of all users of a volume.
//!
//! DDI: IRP_MJ_QUERY_QUOTA, IRP_MJ_SET_QUOTA.

#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]

use super::access::{FILE_READ_DATA, FILE_WRITE_DATA};
use super::buffers;
use super::request::FileCall;
use crate::nt::stack_location::{QueryQuota, SetQuota};
use crate::nt::{
    HANDLE, IO_STATUS_BLOCK, IRP_MJ_QUERY_QUOTA, IRP_MJ_SET_QUOTA, NTSTATUS, SL_RESTART_SCAN,
};
use std::ffi::c_void;
use std::ptr::null_mut;

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
    let query = || {
        let mut call = FileCall::on(handle, FILE_READ_DATA)?;
        call.lock()?;
        let mut request = call.new_request(IRP_MJ_QUERY_QUOTA, 0, null_mut(), null_mut())?;
        buffers::attach_output(&mut request, call.device_flags(), buffer, length)?;
        let location = request.location();
        location.Flags = SL_RESTART_SCAN as u8;
        location.Parameters.QueryQuota = QueryQuota {
            Length: length,
            ..Default::default()
        };
        let deferred = call.is_synchronous();
        // SAFETY: contract of the function.
        Ok(unsafe { call.send_and_wait(request, deferred, iosb) })
    };
    query().unwrap_or_else(|status: NTSTATUS| status)
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
    let set = || {
        let mut call = FileCall::on(handle, FILE_WRITE_DATA)?;
        call.lock()?;
        let mut request = call.new_request(IRP_MJ_SET_QUOTA, 0, null_mut(), null_mut())?;
        // SAFETY: contract of the function.
        unsafe { buffers::attach_input(&mut request, call.device_flags(), buffer, length) }?;
        request.location().Parameters.SetQuota = SetQuota { Length: length };
        let deferred = call.is_synchronous();
        // SAFETY: contract of the function.
        Ok(unsafe { call.send_and_wait(request, deferred, iosb) })
    };
    set().unwrap_or_else(|status: NTSTATUS| status)
}
