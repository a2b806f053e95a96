//! The calls on an open file.

#![expect(unsafe_code, reason = "services take raw buffers, which the calls own")]

use super::super::control::Control;
use super::super::directory::{DirectoryQuery, Notification};
use super::super::extended_attributes::{EaQuery, nt_query_ea_file, nt_set_ea_file};
use super::super::locks::Range;
use super::super::outcome::Outcome;
use super::super::quota::{nt_query_quota_information_file, nt_set_quota_information_file};
use super::super::transfer::Transfer;
use super::super::{
    cancel, control, directory, information, locks, mdl_transfer, process, security, transfer,
    volume,
};
use super::buffer::Buffer;
use super::{File, Pending, finish, finish_now};
use crate::nt::{DirectoryNotifyInformation, HANDLE, IO_STATUS_BLOCK, NTSTATUS};
use crate::processor::handle;
use crate::processor::thread::from_user_mode;
use std::ffi::c_void;
use std::ptr::without_provenance_mut;

/// A service that gives, or takes, a buffer of a class.
type QueryClass = unsafe fn(HANDLE, *mut IO_STATUS_BLOCK, *mut c_void, u32, i32) -> NTSTATUS;
type SetClass = unsafe fn(HANDLE, *mut IO_STATUS_BLOCK, *const c_void, u32, i32) -> NTSTATUS;

impl File {
    /// Starts reading `length` bytes; without an offset from the current position.
    pub fn start_read(&self, offset: Option<i64>, length: u32) -> Pending<'_> {
        let buffer = Buffer::new(length as usize);
        self.start_transfer(buffer, true, offset, length, transfer::nt_read_file)
    }

    fn start_transfer(
        &self,
        buffer: Buffer,
        gives: bool,
        offset: Option<i64>,
        length: u32,
        service: unsafe fn(HANDLE, &Transfer) -> NTSTATUS,
    ) -> Pending<'_> {
        self.start(Some(buffer), None, gives, |ending, iosb, buffer, _| {
            let transfer = Transfer {
                ending: *ending,
                iosb,
                buffer,
                length,
                offset,
                key: 0,
            };
            // SAFETY: buffer and block live in the `Pending`.
            unsafe { service(self.handle, &transfer) }
        })
    }

    /// Reads.
    pub fn read(&self, offset: Option<i64>, length: u32) -> Outcome {
        self.start_read(offset, length).wait()
    }

    /// Starts writing; without an offset at the current position.
    pub fn start_write(&self, offset: Option<i64>, data: &[u8]) -> Pending<'_> {
        let (buffer, length) = (Buffer::holding(data), data.len() as u32);
        self.start_transfer(buffer, false, offset, length, transfer::nt_write_file)
    }

    /// Writes.
    pub fn write(&self, offset: Option<i64>, data: &[u8]) -> Outcome {
        self.start_write(offset, data).wait()
    }

    /// Flushes.
    pub fn flush(&self) -> Outcome {
        finish_now(Buffer::new(0), false, |iosb, _| {
            // SAFETY: the block lives until the call returns.
            unsafe { transfer::nt_flush_buffers_file(self.handle, iosb) }
        })
    }

    fn query(&self, service: QueryClass, class: i32, length: u32) -> Outcome {
        finish_now(Buffer::new(length as usize), true, |iosb, buffer| {
            // SAFETY: block and buffer live until the call returns.
            unsafe { service(self.handle, iosb, buffer, length, class) }
        })
    }

    fn set(&self, service: SetClass, class: i32, data: &[u8]) -> Outcome {
        let length = data.len() as u32;
        finish_now(Buffer::holding(data), false, |iosb, buffer| {
            // SAFETY: as in `query`.
            unsafe { service(self.handle, iosb, buffer, length, class) }
        })
    }

    /// Queries information of a class into a buffer of `length` bytes.
    pub fn query_information(&self, class: i32, length: u32) -> Outcome {
        self.query(information::nt_query_information_file, class, length)
    }

    /// Sets information of a class.
    pub fn set_information(&self, class: i32, data: &[u8]) -> Outcome {
        self.set(information::nt_set_information_file, class, data)
    }

    /// Queries volume information.
    pub fn query_volume(&self, class: i32, length: u32) -> Outcome {
        self.query(volume::nt_query_volume_information_file, class, length)
    }

    /// Sets volume information.
    pub fn set_volume(&self, class: i32, data: &[u8]) -> Outcome {
        self.set(volume::nt_set_volume_information_file, class, data)
    }

    /// Queries a directory.
    pub fn query_directory(
        &self,
        class: i32,
        length: u32,
        pattern: Option<&str>,
        restart: bool,
        single_entry: bool,
    ) -> Outcome {
        let pattern: Option<Vec<u16>> = pattern.map(|pattern| pattern.encode_utf16().collect());
        let pattern = pattern.as_deref();
        let started = self.start(
            Some(Buffer::new(length as usize)),
            None,
            true,
            |ending, iosb, buffer, _| {
                let query = DirectoryQuery {
                    ending: *ending,
                    iosb,
                    buffer,
                    length,
                    class,
                    single_entry,
                    pattern,
                    restart,
                };
                // SAFETY: buffer and block live in the `Pending`; the service copies the pattern.
                unsafe { directory::nt_query_directory_file(self.handle, &query) }
            },
        );
        started.wait()
    }

    /// Starts watching a directory. On a synchronous handle this blocks until something changes.
    pub fn start_notify(&self, filter: u32, tree: bool, length: u32) -> Pending<'_> {
        self.start_notify_by(DirectoryNotifyInformation, filter, tree, length)
    }

    /// As [`start_notify`](Self::start_notify), told by records of `class`.
    pub fn start_notify_by(&self, class: i32, filter: u32, tree: bool, length: u32) -> Pending<'_> {
        self.start(
            Some(Buffer::new(length as usize)),
            None,
            true,
            |ending, iosb, buffer, _| {
                let notification = Notification {
                    ending: *ending,
                    iosb,
                    buffer,
                    length,
                    filter,
                    tree,
                    class,
                };
                // SAFETY: buffer and block live in the `Pending`.
                unsafe { directory::nt_notify_change_directory_file_ex(self.handle, &notification) }
            },
        )
    }

    /// Starts locking a range.
    pub fn start_lock(&self, range: Range, fail_immediately: bool, exclusive: bool) -> Pending<'_> {
        let end = self.told.of_call(true);
        self.start_ending(end, None, None, false, |ending, iosb, _, _| {
            // SAFETY: the block lives in the `Pending`.
            unsafe {
                locks::nt_lock_file(
                    self.handle,
                    ending,
                    iosb,
                    range,
                    fail_immediately,
                    exclusive,
                )
            }
        })
    }

    /// Locks a range.
    pub fn lock(&self, range: Range, fail_immediately: bool, exclusive: bool) -> Outcome {
        self.start_lock(range, fail_immediately, exclusive).wait()
    }

    /// Unlocks a range.
    pub fn unlock(&self, range: Range) -> Outcome {
        finish_now(Buffer::new(0), false, |iosb, _| {
            // SAFETY: the block lives until the call returns.
            unsafe { locks::nt_unlock_file(self.handle, iosb, range) }
        })
    }

    /// Starts a file-system control.
    pub fn start_fs_control(&self, code: u32, input: &[u8], output_length: u32) -> Pending<'_> {
        self.start_control(code, input, output_length, false)
    }

    /// A file-system control.
    pub fn fs_control(&self, code: u32, input: &[u8], output_length: u32) -> Outcome {
        self.start_fs_control(code, input, output_length).wait()
    }

    /// Starts a device control.
    pub fn start_device_control(&self, code: u32, input: &[u8], output_length: u32) -> Pending<'_> {
        self.start_control(code, input, output_length, true)
    }

    /// A device control.
    pub fn device_control(&self, code: u32, input: &[u8], output_length: u32) -> Outcome {
        self.start_device_control(code, input, output_length).wait()
    }

    fn start_control(
        &self,
        code: u32,
        input: &[u8],
        output_length: u32,
        device: bool,
    ) -> Pending<'_> {
        let input_length = input.len() as u32;
        let output = Buffer::new(output_length as usize);
        self.start_ending(
            self.told.of_call(device),
            Some(output),
            Some(Buffer::holding(input)),
            true,
            |ending, iosb, output, input| {
                let control = Control {
                    ending: *ending,
                    iosb,
                    code,
                    input,
                    input_length,
                    output,
                    output_length,
                };
                if device {
                    // SAFETY: buffers and block live in the `Pending`.
                    unsafe { control::nt_device_io_control_file(self.handle, &control) }
                } else {
                    // SAFETY: as above.
                    unsafe { control::nt_fs_control_file(self.handle, &control) }
                }
            },
        )
    }

    /// Queries the security descriptor.
    pub fn query_security(&self, what: u32, length: u32) -> Outcome {
        finish_now(Buffer::new(length as usize), true, |iosb, buffer| {
            // SAFETY: block and buffer live until the call returns.
            unsafe { security::nt_query_security_object(self.handle, iosb, what, buffer, length) }
        })
    }

    /// Sets the security descriptor.
    pub fn set_security(&self, what: u32, descriptor: &[u8]) -> Outcome {
        finish_now(Buffer::holding(descriptor), false, |iosb, buffer| {
            // SAFETY: block and descriptor live until the call returns.
            unsafe { security::nt_set_security_object(self.handle, iosb, what, buffer) }
        })
    }

    /// Queries extended attributes.
    pub fn query_ea(&self, asked: &EaQuery<'_>, length: u32) -> Outcome {
        finish_now(Buffer::new(length as usize), true, |iosb, buffer| {
            // SAFETY: block and buffer live until the call returns.
            unsafe { nt_query_ea_file(self.handle, iosb, buffer, length, asked) }
        })
    }

    /// Sets extended attributes.
    pub fn set_ea(&self, list: &[u8]) -> Outcome {
        finish_now(Buffer::holding(list), false, |iosb, buffer| {
            // SAFETY: as in `query_ea`.
            unsafe { nt_set_ea_file(self.handle, iosb, buffer, list.len() as u32) }
        })
    }

    /// Queries the quotas of all users.
    pub fn query_quota(&self, length: u32) -> Outcome {
        finish_now(Buffer::new(length as usize), true, |iosb, buffer| {
            // SAFETY: as in `query_ea`.
            unsafe { nt_query_quota_information_file(self.handle, iosb, buffer, length) }
        })
    }

    /// Sets quotas.
    pub fn set_quota(&self, quotas: &[u8]) -> Outcome {
        finish_now(Buffer::holding(quotas), false, |iosb, buffer| {
            // SAFETY: as in `query_ea`.
            unsafe { nt_set_quota_information_file(self.handle, iosb, buffer, quotas.len() as u32) }
        })
    }

    /// Creates a process of the program in this file, called `name`, which does `body` and ends.
    ///
    /// # Errors
    /// As [`process::run`].
    pub fn run_program<R: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, NTSTATUS> {
        from_user_mode(|| process::run(self.handle, name, body))
    }

    /// As [`run_program`](Self::run_program); the process inherits a handle of this file.
    ///
    /// # Errors
    /// As [`process::run`].
    pub fn run_program_with_it<R: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce(Option<Self>) -> R + Send + 'static,
    ) -> Result<R, NTSTATUS> {
        let (asynchronous, told) = (self.asynchronous, self.told.clone());
        // A number, as a new process learns it: it ends before this handle is closed.
        let handle = self.handle.addr();
        self.run_program(name, move || {
            let inherited = from_user_mode(|| handle::duplicate(without_provenance_mut(handle)));
            body(inherited.ok().map(|handle| Self {
                handle,
                asynchronous,
                told,
            }))
        })
    }

    /// Reads in the pages of the cache, as a file server does.
    pub fn mdl_read(&self, offset: i64, length: u32) -> Outcome {
        let (status, data) = from_user_mode(|| mdl_transfer::read(self.handle, offset, length));
        finish(status, data.len(), data)
    }

    /// Writes in the pages of the cache, as a file server does.
    pub fn mdl_write(&self, offset: i64, data: &[u8]) -> Outcome {
        let (status, written) = from_user_mode(|| mdl_transfer::write(self.handle, offset, data));
        finish(status, written, Vec::new())
    }

    /// Cancels all requests of this thread on the file (`NtCancelIoFile`).
    pub fn cancel_io(&self) -> Outcome {
        let status = from_user_mode(|| cancel::nt_cancel_io_file(self.handle));
        finish(status, 0, Vec::new())
    }
}
