//! `NtQuerySecurityObject`, `NtSetSecurityObject` on files.
//!
//! DDI: `ZwQuerySecurityObject`, IRP_MJ_QUERY_SECURITY, IRP_MJ_SET_SECURITY: the
//! descriptor goes as the caller's raw buffer.

#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]

use super::access::{READ_CONTROL, WRITE_DAC, WRITE_OWNER};
use super::request::FileCall;
use crate::nt::stack_location::{QuerySecurity, SetSecurity};
use crate::nt::{
    HANDLE, IO_STATUS_BLOCK, IRP_MJ_QUERY_SECURITY, IRP_MJ_SET_SECURITY, NTSTATUS,
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL,
};
use std::ffi::c_void;
use std::ptr::null_mut;

/// `NtQuerySecurityObject`: `Information` of the block is the length needed.
///
/// # Safety
/// `buffer` holds `length` bytes; the status block is valid.
pub unsafe fn nt_query_security_object(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    information: u32,
    buffer: *mut c_void,
    length: u32,
) -> NTSTATUS {
    let query = || {
        let mut call = FileCall::on(handle, READ_CONTROL)?;
        call.lock()?;
        let mut request = call.new_request(IRP_MJ_QUERY_SECURITY, 0, null_mut(), null_mut())?;
        request.header().UserBuffer = buffer;
        request.location().Parameters.QuerySecurity = QuerySecurity {
            SecurityInformation: information,
            Length: length,
            ..Default::default()
        };
        // SAFETY: contract of the function.
        let status = unsafe { call.send_and_wait(request, false, iosb) };
        // The object manager gives the file system's overflow its own name.
        Ok(if status == STATUS_BUFFER_OVERFLOW {
            STATUS_BUFFER_TOO_SMALL
        } else {
            status
        })
    };
    query().unwrap_or_else(|status: NTSTATUS| status)
}

/// `NtSetSecurityObject`.
///
/// # Safety
/// `descriptor` is a valid descriptor; the status block is valid.
pub unsafe fn nt_set_security_object(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    information: u32,
    descriptor: *mut c_void,
) -> NTSTATUS {
    let set = || {
        let mut call = FileCall::on(handle, WRITE_DAC | WRITE_OWNER)?;
        call.lock()?;
        let mut request = call.new_request(IRP_MJ_SET_SECURITY, 0, null_mut(), null_mut())?;
        request.location().Parameters.SetSecurity = SetSecurity {
            SecurityInformation: information,
            SecurityDescriptor: descriptor,
            ..Default::default()
        };
        // SAFETY: contract of the function.
        Ok(unsafe { call.send_and_wait(request, false, iosb) })
    };
    set().unwrap_or_else(|status: NTSTATUS| status)
}
