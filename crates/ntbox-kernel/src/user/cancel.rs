//! `NtCancelIoFileEx`, `NtCancelIoFile`.
//!
//! A thread cancels its own requests with APCs held off: their second stage,
//! which frees them, is an APC of that thread. Requests of other threads are
//! cancelled by those threads, in an APC.
//!
//! Cancelling sends no request, and a program may or may not find something left to cancel: it
//! takes no identity.

#![expect(unsafe_code, reason = "requests are shared with drivers by pointer")]

use super::request::FileCall;
use crate::io_manager::identity;
use crate::io_manager::{cancel, irp};
use crate::nt::{
    APC_LEVEL, HANDLE, IO_STATUS_BLOCK, IRP, IrpExt, NTSTATUS, STATUS_NOT_FOUND, STATUS_SUCCESS,
};
use crate::processor::{irql, thread};

/// `NtCancelIoFileEx`: all requests on the file, or those of this thread with this status
/// block. `STATUS_NOT_FOUND` if there is none.
pub fn nt_cancel_io_file_ex(handle: HANDLE, block: *mut IO_STATUS_BLOCK) -> NTSTATUS {
    let call = FileCall::on(handle, 0);
    identity::take_back();
    let call = match call {
        Ok(call) => call,
        Err(status) => return status,
    };
    let found = if block.is_null() {
        // SAFETY: the call holds a reference on the file.
        unsafe { irp::cancel_requests(call.file()) }
    } else {
        cancel_by_block(&call, block)
    };
    thread::deliver_apcs();
    if found == 0 {
        STATUS_NOT_FOUND
    } else {
        STATUS_SUCCESS
    }
}

/// `NtCancelIoFile`: all requests of this thread on the file; success even if there is none.
pub fn nt_cancel_io_file(handle: HANDLE) -> NTSTATUS {
    let call = FileCall::on(handle, 0);
    identity::take_back();
    match call {
        Ok(call) => {
            // SAFETY: the call holds a reference on the file.
            unsafe { irp::cancel_requests_of_this_thread(call.file()) };
            thread::deliver_apcs();
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

fn cancel_by_block(call: &FileCall, block: *mut IO_STATUS_BLOCK) -> usize {
    let level = irql::raise(APC_LEVEL.max(irql::current()));
    let this = thread::current().object();
    let mut found: Vec<*mut IRP> = Vec::new();
    irp::for_each_live(|irp, _| {
        // SAFETY: a request is alive during its visit.
        let of_thread = unsafe { irp.thread() } == this;
        // SAFETY: as above.
        let of_file = unsafe { irp.original_file_object() } == call.file();
        if !of_thread || !of_file {
            return;
        }
        // SAFETY: as above.
        let header = unsafe { &*irp };
        // SAFETY: the member is a plain pointer.
        if unsafe { header.Anonymous.UserIosb } == block {
            found.push(irp);
        }
    });
    for irp in &found {
        // SAFETY: its second stage needs this thread below APC_LEVEL, so it is still alive.
        unsafe { cancel::cancel(*irp, 0) };
    }
    irql::lower(level);
    found.len()
}
