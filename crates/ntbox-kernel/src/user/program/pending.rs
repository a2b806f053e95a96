//! Calls that stay outstanding.

#![expect(unsafe_code, reason = "the status block is a union")]

use super::super::cancel;
use super::super::event::Event;
use super::super::outcome::{Outcome, Way};
use super::File;
use super::buffer::Buffer;
use crate::io_manager::counters;
use crate::nt::{HANDLE, IO_STATUS_BLOCK, NTSTATUS, STATUS_PENDING, Status};
use crate::processor::thread::from_user_mode;
use std::marker::PhantomData;

/// A call that may be outstanding. Its buffer and status block live until it has
/// finished: dropping an unfinished one cancels it and waits.
pub struct Pending<'f> {
    pub(super) handle: HANDLE,
    pub(super) of: PhantomData<&'f File>,
    pub(super) event: Option<Event>,
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
        !self.finished
            && self.returned == STATUS_PENDING
            && self
                .event
                .as_ref()
                .is_some_and(|event| !event.is_signaled())
    }
    /// Cancels this request alone (`NtCancelIoFileEx`). It still has to be waited for.
    pub fn cancel(&mut self) -> NTSTATUS {
        let block = &raw mut *self.iosb;
        from_user_mode(|| cancel::nt_cancel_io_file_ex(self.handle, block))
    }
    /// Waits up to `timeout` (100 ns units, relative): true when it has finished.
    pub fn finishes_within(&mut self, timeout: i64) -> bool {
        if self.returned == STATUS_PENDING
            && let Some(event) = &self.event
        {
            return from_user_mode(|| event.wait(Some(-timeout))) == 0;
        }
        true
    }
    /// Lets the handle be closed before the call has finished: the file system then ends a
    /// request that waits, and cancelling finds nothing.
    pub fn outlives_handle(mut self) -> Pending<'static> {
        let finished = std::mem::replace(&mut self.finished, true);
        Pending {
            handle: self.handle,
            of: PhantomData,
            event: self.event.take(),
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
        if self.returned == STATUS_PENDING
            && let Some(event) = &self.event
        {
            from_user_mode(|| event.wait(None));
        }
        self.finished = true;
        let mut status = self.returned;
        if status == STATUS_PENDING {
            // SAFETY: the request has finished: nobody writes the block any more.
            status = unsafe { self.iosb.Anonymous.Status };
        }
        let information = if Status(status).is_error() {
            0
        } else {
            self.iosb.Information
        };
        let data = match self.buffer.take() {
            Some(buffer) => buffer.take(if self.output { information } else { 0 }),
            None => Vec::new(),
        };
        counters::call(status);
        // SAFETY: the request has finished: nobody writes the block any more.
        let block = unsafe { self.iosb.Anonymous.Status };
        Outcome {
            status,
            information,
            pended: self.way.pended,
            fast: self.way.fast,
            waits: self.way.waits,
            signaled: self.event.as_ref().map(Event::is_signaled),
            written: block != STATUS_PENDING,
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
