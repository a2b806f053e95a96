//! `NtReadFile`, `NtWriteFile`, `NtFlushBuffersFile`.
//!
//! On a synchronous handle whose file is cached (`PrivateCacheMap`), fast I/O is
//! tried first, under the file's lock; an asynchronous handle always gets an
//! IRP. DDI: `ZwReadFile`, `ZwWriteFile`, IRP_MJ_READ, IRP_MJ_WRITE.

#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]

use super::access::{FILE_APPEND_DATA, FILE_READ_DATA, FILE_WRITE_DATA};
use super::ending::Ending;
use super::request::FileCall;
use super::{buffers, cache, outcome};
use crate::io_manager::counters::{self, FastIo};
use crate::io_manager::fast_io_checks;
use crate::nt::stack_location::ReadWrite;
use crate::nt::{
    FILE_USE_FILE_POINTER_POSITION, FILE_WRITE_TO_END_OF_FILE, FO_NO_INTERMEDIATE_BUFFERING,
    FO_WRITE_THROUGH, HANDLE, IO_STATUS_BLOCK, IRP_MJ_FLUSH_BUFFERS, IRP_MJ_READ, IRP_MJ_WRITE,
    IRP_NOCACHE, IRP_READ_OPERATION, IRP_WRITE_OPERATION, NTSTATUS, SL_WRITE_THROUGH,
    STATUS_BUFFER_OVERFLOW, STATUS_END_OF_FILE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use crate::processor::driver_code::entering;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

/// A transfer's arguments, the same for both directions.
#[derive(Clone, Copy)]
pub struct Transfer {
    /// What tells the caller.
    pub ending: Ending,
    /// Where status and count go.
    pub iosb: *mut IO_STATUS_BLOCK,
    /// The caller's buffer.
    pub buffer: *mut c_void,
    /// Bytes.
    pub length: u32,
    /// Offset in the file; `None` and the special values of `ZwReadFile`/`ZwWriteFile`
    /// mean the current position, or for a write the end of the file.
    pub offset: Option<i64>,
    /// Key of the locks the caller holds.
    pub key: u32,
}

impl Transfer {
    /// The offset to use: a synchronous file has a position, an asynchronous one does not.
    fn resolve(&self, call: &FileCall, write: bool) -> Result<i64, NTSTATUS> {
        const SPECIAL: i64 = -1 << 32;
        let position = SPECIAL | FILE_USE_FILE_POINTER_POSITION as i64;
        let end = SPECIAL | FILE_WRITE_TO_END_OF_FILE as i64;
        match self.offset {
            Some(offset) if write && offset == end => Ok(offset),
            Some(offset) if offset >= 0 => Ok(offset),
            None if !call.is_synchronous() => Err(STATUS_INVALID_PARAMETER),
            Some(offset) if offset != position || !call.is_synchronous() => {
                Err(STATUS_INVALID_PARAMETER)
            }
            // SAFETY: the call holds a reference on the file and its lock.
            _ => Ok(unsafe { (*call.file()).CurrentByteOffset }),
        }
    }
}

/// `NtReadFile`.
///
/// # Safety
/// Buffer and status block are valid until the request has completed.
pub unsafe fn nt_read_file(handle: HANDLE, transfer: &Transfer) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { transfer_file(handle, transfer, false) }.unwrap_or_else(|status| status)
}

/// `NtWriteFile`.
///
/// # Safety
/// As for [`nt_read_file`].
pub unsafe fn nt_write_file(handle: HANDLE, transfer: &Transfer) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { transfer_file(handle, transfer, true) }.unwrap_or_else(|status| status)
}

unsafe fn transfer_file(
    handle: HANDLE,
    transfer: &Transfer,
    write: bool,
) -> Result<NTSTATUS, NTSTATUS> {
    let rights = if write {
        FILE_WRITE_DATA | FILE_APPEND_DATA
    } else {
        FILE_READ_DATA
    };
    let mut call = FileCall::on(handle, rights)?.takes(&transfer.ending)?;
    call.lock()?;
    let mut offset = transfer.resolve(&call, write)?;
    if write
        && call.mode() != 0
        && crate::processor::handle::access_of_handle(handle)? & FILE_WRITE_DATA == 0
    {
        // Only appending was granted: the offset is ignored.
        offset = -1;
    }
    if call.is_synchronous() {
        // SAFETY: contract of the function.
        if let Some(done) = unsafe { fast(&call, transfer, offset, write) } {
            // SAFETY: as above.
            return unsafe { call.answered_fast(&transfer.ending, transfer.iosb, done) };
        }
    }
    let major = if write { IRP_MJ_WRITE } else { IRP_MJ_READ };
    let mut request = call.new_request_ending(major, transfer.iosb, &transfer.ending)?;
    if write {
        // SAFETY: contract of the function.
        unsafe {
            buffers::attach_input(
                &mut request,
                call.device_flags(),
                transfer.buffer,
                transfer.length,
            )
        }?;
    } else {
        buffers::attach_output(
            &mut request,
            call.device_flags(),
            transfer.buffer,
            transfer.length,
        )?;
    }
    if call.has_flag(FO_NO_INTERMEDIATE_BUFFERING) {
        request.header().Flags |= IRP_NOCACHE;
    }
    request.header().Flags |= if write {
        IRP_WRITE_OPERATION
    } else {
        IRP_READ_OPERATION
    };
    let location = request.location();
    if write && call.has_flag(FO_WRITE_THROUGH) {
        location.Flags = SL_WRITE_THROUGH as u8;
    }
    let parameters = ReadWrite {
        Length: transfer.length,
        Key: transfer.key,
        ByteOffset: offset,
        ..Default::default()
    };
    if write {
        location.Parameters.Write = parameters;
    } else {
        location.Parameters.Read = parameters;
    }
    Ok(call.send(request, true))
}

/// Fast I/O on a cached file; `None` when the IRP is needed.
unsafe fn fast(
    call: &FileCall,
    transfer: &Transfer,
    offset: i64,
    write: bool,
) -> Option<IO_STATUS_BLOCK> {
    // SAFETY: the call holds a reference on the file.
    let private = unsafe { cache::private_map(call.file()) };
    if private.load(Ordering::Relaxed).is_null() {
        return None;
    }
    let (entry, routine) = if write {
        (FastIo::Write, call.fast_io(|table| table.FastIoWrite)?)
    } else {
        (FastIo::Read, call.fast_io(|table| table.FastIoRead)?)
    };
    let mut offset = offset;
    let mut iosb = IO_STATUS_BLOCK::default();
    // SAFETY: the entry of the top driver with its documented arguments; the caller's buffer
    // holds `length` bytes by the contract of the services.
    let answered = fast_io_checks::around(routine as usize, || unsafe {
        entering(routine)(
            call.file(),
            &raw mut offset,
            transfer.length,
            1,
            transfer.key,
            transfer.buffer,
            &raw mut iosb,
            call.device(),
        )
    }) != 0;
    // SAFETY: both members of the union are plain integers or pointers.
    let status = unsafe { iosb.Anonymous.Status };
    // A fast read may end at the end of the file; anything else goes the long way.
    let usable = answered
        && (status == STATUS_SUCCESS
            || !write && (status == STATUS_BUFFER_OVERFLOW || status == STATUS_END_OF_FILE));
    counters::fast(entry, usable);
    if !usable {
        return None;
    }
    outcome::note_fast();
    Some(iosb)
}

/// `NtFlushBuffersFile`.
///
/// # Safety
/// The status block is valid.
pub unsafe fn nt_flush_buffers_file(handle: HANDLE, iosb: *mut IO_STATUS_BLOCK) -> NTSTATUS {
    let flush = || {
        let mut call = FileCall::on(handle, FILE_WRITE_DATA | FILE_APPEND_DATA)?;
        call.lock()?;
        let request = call.new_request(IRP_MJ_FLUSH_BUFFERS, 0, null_mut(), null_mut())?;
        // SAFETY: contract of the function.
        Ok(unsafe { call.send_and_wait(request, false, iosb) })
    };
    flush().unwrap_or_else(|status: NTSTATUS| status)
}
