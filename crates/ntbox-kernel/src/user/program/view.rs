//! A file that a program has mapped.

#![expect(unsafe_code, reason = "pages are passed by address")]

use super::super::outcome::Outcome;
use super::super::paging::{PAGE, Writer};
use super::super::section::{self, Mapping};
use super::buffer::Buffer;
use super::{File, finish, finish_now};
use crate::nt::STATUS_SUCCESS;
use crate::processor::thread::from_user_mode;

/// A view of a file, which may outlive the handle that it was made by; dropping it unmaps it.
#[derive(Debug)]
pub struct View(section::View);

impl File {
    /// Maps the file (FsFilter callbacks around it).
    pub fn map(&self, mapping: Mapping) -> (Outcome, Option<View>) {
        match from_user_mode(|| section::View::create(self.handle, mapping)) {
            Ok(view) => (finish(STATUS_SUCCESS, 0, Vec::new()), Some(View(view))),
            Err(status) => (finish(status, 0, Vec::new()), None),
        }
    }
}

impl View {
    /// Reads one page of it, as a page fault does.
    pub fn page_in(&self, page: i64) -> Outcome {
        let offset = page * PAGE as i64;
        finish_now(Buffer::new(PAGE), true, |iosb, buffer| {
            // SAFETY: the block lives until the call returns, and nobody else has it.
            let block = unsafe { &mut *iosb };
            // SAFETY: the buffer is one page long.
            unsafe { self.0.page_in(buffer, offset, block) }
        })
    }

    /// Writes one page of it, which holds `data`, as `writer` does.
    ///
    /// # Panics
    /// If `data` is not a page.
    pub fn page_out(&self, page: i64, data: &[u8], writer: Writer) -> Outcome {
        assert_eq!(data.len(), PAGE);
        let offset = page * PAGE as i64;
        finish_now(Buffer::holding(data), false, |iosb, buffer| {
            // SAFETY: the block lives until the call returns, and nobody else has it.
            let block = unsafe { &mut *iosb };
            // SAFETY: the buffer is one page long.
            unsafe { self.0.page_out(buffer, offset, writer, block) }
        })
    }

    /// Ends it. If its handle is closed, so is the file now.
    pub fn unmap(self) -> Outcome {
        from_user_mode(|| drop(self.0));
        finish(STATUS_SUCCESS, 0, Vec::new())
    }
}
