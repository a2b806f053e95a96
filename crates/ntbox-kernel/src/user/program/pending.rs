//! Calls that stay outstanding.

#![expect(unsafe_code, reason = "the status block is a union")]

use super::super::outcome::{Outcome, Way};
use super::super::{cancel, request};
use super::File;
use super::buffer::Buffer;
use super::ended::End;
use crate::io_manager::counters;
use crate::nt::{HANDLE, IO_STATUS_BLOCK, NTSTATUS, STATUS_PENDING, Status};
use crate::processor::thread::from_user_mode;
use std::marker::PhantomData;
use std::time::Duration;

/// A call that may be outstanding. Its buffer and status block live until it has
/// finished: dropping an unfinished one cancels it and waits.
pub struct Pending<'f> {
    pub(super) handle: HANDLE,
    pub(super) of: PhantomData<&'f File>,
    pub(super) end: End,
    /// Whether that has come, and what it said of the status.
    pub(super) came: (bool, Option<IO_STATUS_BLOCK>),
    pub(super) iosb: Box<IO_STATUS_BLOCK>,
    pub(super) buffer: Option<Buffer>,
    /// Input of a control, kept while the request may read it.
    pub(super) _input: Option<Buffer>,
    pub(super) output: bool,
    pub(super) returned: NTSTATUS,
    pub(super) way: Way,
    pub(super) finished: bool,
}

impl Pending<'_> {
    /// The service returned `STATUS_PENDING` to the program.
    pub fn is_outstanding(&self) -> bool {
        if self.finished || self.returned != STATUS_PENDING {
            return false;
        }
        match self.end.is_signaled() {
            Some(signaled) => !signaled,
            // An APC of this thread writes it.
            None => self.block_status() == STATUS_PENDING,
        }
    }
    /// What the status block says by now.
    fn block_status(&self) -> NTSTATUS {
        // SAFETY: both members of the union are plain integers or pointers; the block is this program's.
        unsafe { (&raw const self.iosb.Anonymous.Status).read_volatile() }
    }
    /// Cancels this request alone (`NtCancelIoFileEx`). It still has to be waited for.
    pub fn cancel(&mut self) -> NTSTATUS {
        let block = &raw mut *self.iosb;
        from_user_mode(|| cancel::nt_cancel_io_file_ex(self.handle, block))
    }
    /// Waits up to `timeout` (100 ns units, relative): true when it has finished.
    pub fn finishes_within(&mut self, timeout: i64) -> bool {
        if self.returned != STATUS_PENDING || self.came.0 {
            return true;
        }
        let time = Duration::from_nanos(timeout.unsigned_abs().saturating_mul(100));
        self.came = self.end.wait(Some(time));
        self.came.0
    }
    /// Lets the handle be closed before the call has finished: the file system then ends a
    /// request that waits, and cancelling finds nothing.
    pub fn outlives_handle(mut self) -> Pending<'static> {
        let finished = std::mem::replace(&mut self.finished, true);
        Pending {
            handle: self.handle,
            of: PhantomData,
            end: std::mem::replace(&mut self.end, End::Nothing),
            came: self.came,
            iosb: std::mem::replace(&mut self.iosb, super::unwritten()),
            buffer: self.buffer.take(),
            _input: self._input.take(),
            output: self.output,
            returned: self.returned,
            way: self.way,
            finished,
        }
    }
    /// Waits until it has finished.
    pub fn wait(mut self) -> Outcome {
        self.settle()
    }

    fn settle(&mut self) -> Outcome {
        if !self.came.0 {
            // Of what has ended before the service returned there may be something, and nothing to wait for.
            let time = (self.returned != STATUS_PENDING).then_some(Duration::ZERO);
            self.came = match self.end {
                End::Event(_) if time.is_some() => self.came,
                _ => self.end.wait(time),
            };
            debug_assert!(
                self.came.0 || time.is_some(),
                "a wait without an end has ended"
            );
        }
        self.finished = true;
        let mut status = self.returned;
        let mut block = *self.iosb;
        if status == STATUS_PENDING {
            // A program believes the packet.
            block = self.came.1.unwrap_or(block);
            status = request::status_of(&block);
        }
        let information = if Status(status).is_error() {
            0
        } else {
            block.Information
        };
        let data = match self.buffer.take() {
            Some(buffer) => buffer.take(if self.output { information } else { 0 }),
            None => Vec::new(),
        };
        counters::call(status);
        Outcome {
            status,
            information,
            pended: self.way.pended,
            fast: self.way.fast,
            waits: self.way.waits,
            signaled: match &self.end {
                End::Nothing => None,
                end => Some(end.is_signaled().unwrap_or(self.came.0)),
            },
            written: self.block_status() != STATUS_PENDING,
            data,
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.cancel();
            self.settle();
        }
    }
}
