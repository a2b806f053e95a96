//! `NtLockFile`, `NtUnlockFile`: fast I/O first, then the IRP.
//!
//! DDI: `ZwLockFile`, `ZwUnlockFile`, IRP_MJ_LOCK_CONTROL.

#![expect(
    unsafe_code,
    reason = "the file object is shared with drivers by pointer"
)]

use super::access::{FILE_READ_DATA, FILE_WRITE_DATA};
use super::ending::Ending;
use super::outcome;
use super::request::{FileCall, Request};
use crate::io_manager::counters::FastIo;
use crate::nt::stack_location::LockControl;
use crate::nt::{
    HANDLE, IO_STATUS_BLOCK, IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK, IRP_MN_UNLOCK_SINGLE, NTSTATUS,
    SL_EXCLUSIVE_LOCK, SL_FAIL_IMMEDIATELY, STATUS_INSUFFICIENT_RESOURCES,
};
use crate::pool;
use crate::processor::driver_code::entering;
use crate::processor::thread;
use std::ptr::null_mut;

/// A range of a file and the key it is locked under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub offset: i64,
    /// Bytes.
    pub length: i64,
    /// Key of the lock.
    pub key: u32,
}

/// `NtLockFile`. Without `fail_immediately` the request pends until the range is free.
///
/// # Safety
/// The status block is valid until the request has completed.
pub unsafe fn nt_lock_file(
    handle: HANDLE,
    ending: &Ending,
    iosb: *mut IO_STATUS_BLOCK,
    range: Range,
    fail_immediately: bool,
    exclusive: bool,
) -> NTSTATUS {
    let lock = || {
        let mut call = FileCall::on(handle, FILE_READ_DATA | FILE_WRITE_DATA)?.takes(ending)?;
        // Cleanup asks for the file's locks to be dropped from now on.
        // SAFETY: the call holds a reference on the file.
        unsafe { (*call.file()).LockOperation = true };
        if let Some(done) = fast_lock(&call, range, fail_immediately, exclusive) {
            // SAFETY: contract of the function.
            return unsafe { call.answered_fast(ending, iosb, done) };
        }
        call.lock()?;
        let mut request = call.new_request_ending(IRP_MJ_LOCK_CONTROL, iosb, ending)?;
        fill(&mut request, range)?;
        let location = request.location();
        location.MinorFunction = IRP_MN_LOCK as u8;
        let immediate = if fail_immediately {
            SL_FAIL_IMMEDIATELY
        } else {
            0
        };
        location.Flags = (immediate | if exclusive { SL_EXCLUSIVE_LOCK } else { 0 }) as u8;
        Ok(call.send(request, false))
    };
    lock().unwrap_or_else(|status: NTSTATUS| status)
}

/// `NtUnlockFile`.
///
/// # Safety
/// The status block is valid.
pub unsafe fn nt_unlock_file(handle: HANDLE, iosb: *mut IO_STATUS_BLOCK, range: Range) -> NTSTATUS {
    let unlock = || {
        let mut call = FileCall::on(handle, FILE_READ_DATA | FILE_WRITE_DATA)?;
        if let Some(done) = fast_unlock(&call, range) {
            // SAFETY: contract of the function.
            unsafe { iosb.write(done) };
            // SAFETY: written by the routine.
            return Ok(unsafe { done.Anonymous.Status });
        }
        call.lock()?;
        let mut request = call.new_request(IRP_MJ_LOCK_CONTROL, 0, null_mut(), null_mut())?;
        fill(&mut request, range)?;
        request.location().MinorFunction = IRP_MN_UNLOCK_SINGLE as u8;
        // SAFETY: contract of the function.
        Ok(unsafe { call.send_and_wait(request, false, iosb) })
    };
    unlock().unwrap_or_else(|status: NTSTATUS| status)
}

/// The range's parameters; the length lives in the auxiliary buffer, which completion frees.
fn fill(request: &mut Request, range: Range) -> Result<(), NTSTATUS> {
    let length: *mut i64 = pool::allocate_for_box(size_of::<i64>()).cast();
    if length.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: a new block of this size.
    unsafe { length.write(range.length) };
    request.header().Tail.Overlay.AuxiliaryBuffer = length.cast();
    request.location().Parameters.LockControl = LockControl {
        Length: length,
        Key: range.key,
        ByteOffset: range.offset,
        ..Default::default()
    };
    Ok(())
}

fn fast_lock(
    call: &FileCall,
    range: Range,
    fail_immediately: bool,
    exclusive: bool,
) -> Option<IO_STATUS_BLOCK> {
    let routine = call.fast_io(|table| table.FastIoLock)?;
    let (mut offset, mut length) = (range.offset, range.length);
    // SAFETY: the entry of the top driver with its documented arguments.
    outcome::fast(FastIo::Lock, routine as usize, |iosb| unsafe {
        entering(routine)(
            call.file(),
            &raw mut offset,
            &raw mut length,
            thread::current().process(),
            range.key,
            fail_immediately.into(),
            exclusive.into(),
            iosb,
            call.device(),
        )
    })
}

fn fast_unlock(call: &FileCall, range: Range) -> Option<IO_STATUS_BLOCK> {
    let routine = call.fast_io(|table| table.FastIoUnlockSingle)?;
    let (mut offset, mut length) = (range.offset, range.length);
    // SAFETY: the entry of the top driver with its documented arguments.
    outcome::fast(FastIo::UnlockSingle, routine as usize, |iosb| unsafe {
        entering(routine)(
            call.file(),
            &raw mut offset,
            &raw mut length,
            thread::current().process(),
            range.key,
            iosb,
            call.device(),
        )
    })
}
