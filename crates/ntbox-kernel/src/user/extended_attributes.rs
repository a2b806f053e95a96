//! `NtQueryEaFile`, `NtSetEaFile`.
//!
//! A list that is set is looked at before a driver sees it; the names that are asked for go in the
//! auxiliary buffer, which completion frees. DDI: `ZwQueryEaFile`, `ZwSetEaFile`,
//! `IoCheckEaBufferValidity`, IRP_MJ_QUERY_EA, IRP_MJ_SET_EA.

#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]

use super::access::{FILE_READ_EA, FILE_WRITE_EA};
use super::buffers;
use super::request::FileCall;
use crate::nt::extended_attributes::{ASKED, FULL, check};
use crate::nt::stack_location::{QueryEa, SetEa};
use crate::nt::{
    HANDLE, IO_STATUS_BLOCK, IRP_MJ_QUERY_EA, IRP_MJ_SET_EA, NTSTATUS, SL_INDEX_SPECIFIED,
    SL_RESTART_SCAN, SL_RETURN_SINGLE_ENTRY, STATUS_EA_LIST_INCONSISTENT,
};
use std::ffi::c_void;
use std::ptr::{null_mut, slice_from_raw_parts};

/// What a query asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct EaQuery<'a> {
    /// Entries of `FILE_GET_EA_INFORMATION`; empty for all that there are.
    pub names: &'a [u8],
    /// The first one, counted from 1.
    pub index: Option<u32>,
    /// At most one.
    pub single_entry: bool,
    /// From the first.
    pub restart: bool,
}

/// `NtQueryEaFile`, at PASSIVE_LEVEL. STATUS_EA_LIST_INCONSISTENT for names that are no list; else what the file
/// system says.
///
/// # Safety
/// `buffer` holds `length` bytes; the status block is valid.
pub unsafe fn nt_query_ea_file(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *mut c_void,
    length: u32,
    asked: &EaQuery<'_>,
) -> NTSTATUS {
    let query = || {
        if !asked.names.is_empty() {
            check(asked.names, &ASKED).map_err(|_| STATUS_EA_LIST_INCONSISTENT)?;
        }
        let mut call = FileCall::on(handle, FILE_READ_EA)?;
        call.lock()?;
        let mut request = call.new_request(IRP_MJ_QUERY_EA, 0, null_mut(), null_mut())?;
        let names = match asked.names {
            [] => null_mut(),
            names => buffers::attach_auxiliary(&mut request, names)?,
        };
        buffers::attach_output(&mut request, call.device_flags(), buffer, length)?;
        let location = request.location();
        let flags = [
            (asked.restart, SL_RESTART_SCAN),
            (asked.single_entry, SL_RETURN_SINGLE_ENTRY),
            (asked.index.is_some(), SL_INDEX_SPECIFIED),
        ];
        location.Flags = flags
            .iter()
            .filter(|(set, _)| *set)
            .fold(0, |all, (_, flag)| all | *flag as u8);
        location.Parameters.QueryEa = QueryEa {
            Length: length,
            EaList: names,
            EaListLength: asked.names.len() as u32,
            EaIndex: asked.index.unwrap_or(0),
            ..Default::default()
        };
        let deferred = call.is_synchronous();
        // SAFETY: contract of the function.
        Ok(unsafe { call.send_and_wait(request, deferred, iosb) })
    };
    query().unwrap_or_else(|status: NTSTATUS| status)
}

/// `NtSetEaFile`, at PASSIVE_LEVEL. STATUS_EA_LIST_INCONSISTENT for a list that is none, with the offset of the
/// wrong entry in the status block; else what the file system says.
///
/// # Safety
/// `buffer` holds `length` bytes; the status block is valid.
pub unsafe fn nt_set_ea_file(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *const c_void,
    length: u32,
) -> NTSTATUS {
    let set = || {
        let mut call = FileCall::on(handle, FILE_WRITE_EA)?;
        let list = match length {
            0 => &[],
            // SAFETY: contract of the function.
            length => unsafe { &*slice_from_raw_parts(buffer.cast::<u8>(), length as usize) },
        };
        if let Err(wrong) = check(list, &FULL) {
            // SAFETY: contract of the function.
            unsafe { (*iosb).Information = wrong };
            return Err(STATUS_EA_LIST_INCONSISTENT);
        }
        call.lock()?;
        let mut request = call.new_request(IRP_MJ_SET_EA, 0, null_mut(), null_mut())?;
        // SAFETY: contract of the function.
        unsafe { buffers::attach_input(&mut request, call.device_flags(), buffer, length) }?;
        request.location().Parameters.SetEa = SetEa { Length: length };
        let deferred = call.is_synchronous();
        // SAFETY: contract of the function.
        Ok(unsafe { call.send_and_wait(request, deferred, iosb) })
    };
    set().unwrap_or_else(|status: NTSTATUS| status)
}
