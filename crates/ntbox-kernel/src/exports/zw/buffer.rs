//! Where a driver wants the answer to a question.

#![expect(unsafe_code, reason = "the buffer is the driver's")]

use crate::nt::{NTSTATUS, STATUS_INFO_LENGTH_MISMATCH, STATUS_SUCCESS};
use std::ffi::c_void;

/// A driver's buffer, and where it wants to know how much there is to write.
pub(super) struct Buffer {
    start: *mut c_void,
    length: u32,
    returned: *mut u32,
}

impl Buffer {
    /// # Safety
    /// `start` is writable for `length` bytes, and `returned` null or writable, while this lives.
    pub unsafe fn new(start: *mut c_void, length: u32, returned: *mut u32) -> Self {
        Self {
            start,
            length,
            returned,
        }
    }

    /// The start of the buffer, if it has that many bytes; these are told in any case.
    ///
    /// # Errors
    /// `otherwise`.
    pub fn room(&mut self, bytes: usize, otherwise: NTSTATUS) -> Result<*mut c_void, NTSTATUS> {
        if !self.returned.is_null() {
            // SAFETY: contract of `new`.
            unsafe { self.returned.write(bytes as u32) };
        }
        if bytes > self.length as usize {
            Err(otherwise)
        } else {
            Ok(self.start)
        }
    }

    /// Writes a value to a buffer that has to be of its size.
    ///
    /// # Errors
    /// `STATUS_INFO_LENGTH_MISMATCH`.
    pub fn put_exactly<T>(&mut self, value: T) -> Result<NTSTATUS, NTSTATUS> {
        let start = self.room(size_of::<T>(), STATUS_INFO_LENGTH_MISMATCH)?;
        if self.length as usize != size_of::<T>() {
            return Err(STATUS_INFO_LENGTH_MISMATCH);
        }
        // SAFETY: the buffer has room for it.
        unsafe { start.cast::<T>().write_unaligned(value) };
        Ok(STATUS_SUCCESS)
    }
}
