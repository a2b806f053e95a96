//! `NtQueryEaFile`, `NtSetEaFile`.
//!
//! A list that is set is looked at before a driver sees it; the names that are asked for go in the
//! auxiliary buffer, which completion frees. DDI: `ZwQueryEaFile`, `ZwSetEaFile`,
//! `IoCheckEaBufferValidity`, IRP_MJ_QUERY_EA, IRP_MJ_SET_EA.

#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]

use super::access::{FILE_READ_EA, FILE_WRITE_EA};
use super::buffers;
use super::request::{FileCall, Request, ask};
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
    if !asked.names.is_empty() && check(asked.names, &ASKED).is_err() {
        return STATUS_EA_LIST_INCONSISTENT;
    }
    let prepare = |call: &FileCall, request: &mut Request| {
        let names = match asked.names {
            [] => null_mut(),
            names => buffers::attach_auxiliary(request, names)?,
        };
        buffers::attach_output(request, call.device_flags(), buffer, length)?;
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
        Ok(())
    };
    // SAFETY: contract of the function.
    unsafe { ask(handle, FILE_READ_EA, IRP_MJ_QUERY_EA, iosb, prepare) }
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
    // A handle that is none, or has not the right, is told before the list is looked at.
    let prepare = |call: &FileCall, request: &mut Request| {
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
        // SAFETY: contract of the function.
        unsafe { buffers::attach_input(request, call.device_flags(), buffer, length) }?;
        request.location().Parameters.SetEa = SetEa { Length: length };
        Ok(())
    };
    // SAFETY: contract of the function.
    unsafe { ask(handle, FILE_WRITE_EA, IRP_MJ_SET_EA, iosb, prepare) }
}
