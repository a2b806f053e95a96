//! A program of the box: it owns its buffers and status blocks, calls the
//! services from user mode, and gets an [`Outcome`] from each call.
//!
//! A call that can stay outstanding has a `start_…` form that gives a
//! [`Pending`]; the plain form starts and waits. On a synchronous handle the
//! service itself waits, so that `start_…` returns a finished one.

#![expect(
    unsafe_code,
    reason = "services take raw buffers, which this module owns"
)]

use super::control::Control;
use super::directory::{DirectoryQuery, Notification};
use super::event::Event;
use super::locks::Range;
use super::open::OpenRequest;
use super::outcome::{self, Outcome, is_error};
use super::section;
use super::transfer::Transfer;
use super::{
    cancel, control, counters, directory, information, locks, request, security, transfer, volume,
};
use crate::nt::{
    DEVICE_OBJECT, FILE_SYNCHRONOUS_IO_ALERT, FILE_SYNCHRONOUS_IO_NONALERT, HANDLE,
    IO_STATUS_BLOCK, NTSTATUS, STATUS_PENDING,
};
use crate::processor::thread::from_user_mode;
use std::ffi::c_void;

/// What a program opens. The same fields as [`OpenRequest`], with a file as the root.
#[derive(Clone, Copy)]
pub struct CreateParameters<'a> {
    /// Everything but the root.
    pub open: OpenRequest<'a>,
    /// The file that the name is relative to.
    pub root: Option<&'a File>,
}

impl<'a> CreateParameters<'a> {
    /// Opens `name` as `FILE_OPEN` for reading, synchronously, sharing everything.
    pub fn new(name: &'a str) -> Self {
        Self {
            open: OpenRequest {
                name,
                ..OpenRequest::default()
            },
            root: None,
        }
    }
    /// Rights asked for.
    pub fn access(mut self, access: u32) -> Self {
        self.open.access = access;
        self
    }
    /// `FILE_CREATE`, `FILE_OPEN_IF`, …
    pub fn disposition(mut self, disposition: u32) -> Self {
        self.open.disposition = disposition;
        self
    }
    /// All create options; without a synchronous one the handle is asynchronous.
    pub fn options(mut self, options: u32) -> Self {
        self.open.options = options;
        self
    }
    /// `FILE_SHARE_*`.
    pub fn share(mut self, share: u32) -> Self {
        self.open.share = share;
        self
    }
    /// `FILE_ATTRIBUTE_*` of a new file.
    pub fn attributes(mut self, attributes: u32) -> Self {
        self.open.attributes = attributes;
        self
    }
    /// The request begins at `device` instead of the top of the stack.
    pub fn device_hint(mut self, device: *mut DEVICE_OBJECT) -> Self {
        self.open.device_hint = device;
        self
    }
    /// The name is relative to `root`.
    pub fn relative_to(mut self, root: &'a File) -> Self {
        self.root = Some(root);
        self
    }
}

/// What opening gave.
pub struct Opened {
    /// Status; `information` is `FILE_OPENED`, `FILE_CREATED`, …
    pub outcome: Outcome,
    /// The file, if the open succeeded.
    pub file: Option<File>,
}

/// A file that a program has open; dropping it closes the handle.
pub struct File {
    handle: HANDLE,
    asynchronous: bool,
}

// SAFETY: a handle may be used from any thread of its process.
unsafe impl Send for File {}
// SAFETY: the services synchronize on the file object.
unsafe impl Sync for File {}

/// Opens or creates a file.
pub fn create_file(parameters: &CreateParameters<'_>) -> Opened {
    let mut open = parameters.open;
    if let Some(root) = parameters.root {
        open.root = root.handle;
    }
    let asynchronous =
        open.options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT) == 0;
    match from_user_mode(|| super::nt_create_file(&open)) {
        Ok((handle, iosb)) => {
            // SAFETY: the service wrote it.
            let status = unsafe { iosb.Anonymous.Status };
            let outcome = finish(status, iosb.Information, Vec::new());
            Opened {
                outcome,
                file: Some(File {
                    handle,
                    asynchronous,
                }),
            }
        }
        Err(status) => Opened {
            outcome: finish(status, 0, Vec::new()),
            file: None,
        },
    }
}

/// `NtQueryFullAttributesFile`: the data is a `FILE_NETWORK_OPEN_INFORMATION`.
pub fn query_attributes(name: &str) -> Outcome {
    match from_user_mode(|| super::nt_query_full_attributes_file(name)) {
        Ok(information) => {
            let bytes = (&raw const information).cast::<u8>();
            // SAFETY: a plain structure; its tail padding was zeroed by `default` and is not read:
            // the structure's fields end at 52 of 56 bytes.
            let data = unsafe { std::slice::from_raw_parts(bytes, 52) }.to_vec();
            finish(0, 0, data)
        }
        Err(status) => finish(status, 0, Vec::new()),
    }
}

fn finish(status: NTSTATUS, information: usize, data: Vec<u8>) -> Outcome {
    counters::call(status);
    let (pended, fast) = outcome::last();
    let information = if is_error(status) { 0 } else { information };
    Outcome {
        status,
        information,
        pended,
        fast,
        data,
    }
}

/// A program's buffer: aligned as services ask, with a pattern behind its end.
struct Buffer {
    words: Vec<u64>,
    length: usize,
}

impl Buffer {
    const PATTERN: u64 = 0xB0F0_0B0F_5AA5_A55A;

    fn new(length: usize) -> Self {
        let mut words = vec![0; length.div_ceil(8)];
        words.extend([Self::PATTERN; 2]);
        let mut buffer = Self { words, length };
        let pad = buffer.length..buffer.length.div_ceil(8) * 8;
        buffer.bytes_mut()[pad].fill(0xA5);
        buffer
    }
    fn holding(data: &[u8]) -> Self {
        let mut buffer = Self::new(data.len());
        buffer.bytes_mut()[..data.len()].copy_from_slice(data);
        buffer
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        let length = self.words.len() * 8;
        // SAFETY: any integer may be seen as its bytes.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast::<u8>(), length) }
    }
    fn pointer(&mut self) -> *mut c_void {
        self.words.as_mut_ptr().cast()
    }
    /// The first `count` bytes; checks that nobody wrote behind the end.
    fn take(mut self, count: usize) -> Vec<u8> {
        let (length, end) = (self.length, self.length.div_ceil(8) * 8);
        let bytes = self.bytes_mut();
        assert!(
            bytes[length..end].iter().all(|byte| *byte == 0xA5)
                && bytes[end..]
                    .chunks(8)
                    .all(|word| word == Self::PATTERN.to_ne_bytes()),
            "a program's buffer of {length} bytes was written behind its end"
        );
        bytes[..count.min(length)].to_vec()
    }
}

/// A call that may be outstanding. Its buffer and status block live until it has
/// finished: dropping an unfinished one cancels it and waits.
pub struct Pending<'f> {
    file: &'f File,
    event: Option<Event>,
    iosb: Box<IO_STATUS_BLOCK>,
    buffer: Option<Buffer>,
    /// Input of a control, kept while the request may read it.
    _input: Option<Buffer>,
    output: bool,
    returned: NTSTATUS,
    pended: bool,
    fast: bool,
    finished: bool,
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
        from_user_mode(|| cancel::nt_cancel_io_file_ex(self.file.handle, block))
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
        let information = if is_error(status) {
            0
        } else {
            self.iosb.Information
        };
        let data = match self.buffer.take() {
            Some(buffer) => buffer.take(if self.output { information } else { 0 }),
            None => Vec::new(),
        };
        counters::call(status);
        Outcome {
            status,
            information,
            pended: self.pended,
            fast: self.fast,
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

/// A status block nobody has written yet.
fn unwritten() -> Box<IO_STATUS_BLOCK> {
    Box::new(information::block(STATUS_PENDING, 0))
}

impl File {
    /// The handle.
    pub fn handle(&self) -> HANDLE {
        self.handle
    }
    /// Opened without a synchronous option.
    pub fn is_asynchronous(&self) -> bool {
        self.asynchronous
    }

    /// Starts a call: `service` gets event, status block and buffer.
    fn start(
        &self,
        buffer: Option<Buffer>,
        input: Option<Buffer>,
        output: bool,
        service: impl FnOnce(HANDLE, *mut IO_STATUS_BLOCK, *mut c_void, *mut c_void) -> NTSTATUS,
    ) -> Pending<'_> {
        let event = self.asynchronous.then(Event::new);
        let mut pending = Pending {
            file: self,
            event,
            iosb: unwritten(),
            buffer,
            _input: input,
            output,
            returned: 0,
            pended: false,
            fast: false,
            finished: false,
        };
        let event = pending
            .event
            .as_ref()
            .map_or(std::ptr::null_mut(), Event::handle);
        let block = &raw mut *pending.iosb;
        let bytes = pending
            .buffer
            .as_mut()
            .map_or(std::ptr::null_mut(), Buffer::pointer);
        let given = pending
            ._input
            .as_mut()
            .map_or(std::ptr::null_mut(), Buffer::pointer);
        pending.returned = from_user_mode(|| service(event, block, bytes, given));
        (pending.pended, pending.fast) = outcome::last();
        pending
    }

    /// A call that its service finishes before it returns.
    fn finish_now(
        &self,
        mut buffer: Buffer,
        output: bool,
        service: impl FnOnce(*mut IO_STATUS_BLOCK, *mut c_void) -> NTSTATUS,
    ) -> Outcome {
        let mut iosb = unwritten();
        let (block, bytes) = (&raw mut *iosb, buffer.pointer());
        let status = from_user_mode(|| service(block, bytes));
        let information = if is_error(status) {
            0
        } else {
            iosb.Information
        };
        finish(
            status,
            information,
            buffer.take(if output { information } else { 0 }),
        )
    }

    /// Starts reading `length` bytes; without an offset from the current position.
    pub fn start_read(&self, offset: Option<i64>, length: u32) -> Pending<'_> {
        self.start(
            Some(Buffer::new(length as usize)),
            None,
            true,
            |event, iosb, buffer, _| {
                let transfer = Transfer {
                    event,
                    iosb,
                    buffer,
                    length,
                    offset,
                    key: 0,
                };
                // SAFETY: buffer and block live in the `Pending`.
                unsafe { transfer::nt_read_file(self.handle, &transfer) }
            },
        )
    }
    /// Reads.
    pub fn read(&self, offset: Option<i64>, length: u32) -> Outcome {
        self.start_read(offset, length).wait()
    }
    /// Starts writing; without an offset at the current position.
    pub fn start_write(&self, offset: Option<i64>, data: &[u8]) -> Pending<'_> {
        let length = data.len() as u32;
        self.start(
            Some(Buffer::holding(data)),
            None,
            false,
            |event, iosb, buffer, _| {
                let transfer = Transfer {
                    event,
                    iosb,
                    buffer,
                    length,
                    offset,
                    key: 0,
                };
                // SAFETY: buffer and block live in the `Pending`.
                unsafe { transfer::nt_write_file(self.handle, &transfer) }
            },
        )
    }
    /// Writes.
    pub fn write(&self, offset: Option<i64>, data: &[u8]) -> Outcome {
        self.start_write(offset, data).wait()
    }
    /// Flushes.
    pub fn flush(&self) -> Outcome {
        self.finish_now(Buffer::new(0), false, |iosb, _| {
            // SAFETY: the block lives until the call returns.
            unsafe { transfer::nt_flush_buffers_file(self.handle, iosb) }
        })
    }
    /// Queries information of a class into a buffer of `length` bytes.
    pub fn query_information(&self, class: i32, length: u32) -> Outcome {
        self.finish_now(Buffer::new(length as usize), true, |iosb, buffer| {
            // SAFETY: block and buffer live until the call returns.
            unsafe {
                information::nt_query_information_file(self.handle, iosb, buffer, length, class)
            }
        })
    }
    /// Sets information of a class.
    pub fn set_information(&self, class: i32, data: &[u8]) -> Outcome {
        let length = data.len() as u32;
        self.finish_now(Buffer::holding(data), false, |iosb, buffer| {
            // SAFETY: as in `query_information`.
            unsafe {
                information::nt_set_information_file(self.handle, iosb, buffer, length, class)
            }
        })
    }
    /// Queries volume information.
    pub fn query_volume(&self, class: i32, length: u32) -> Outcome {
        self.finish_now(Buffer::new(length as usize), true, |iosb, buffer| {
            // SAFETY: as in `query_information`.
            unsafe {
                volume::nt_query_volume_information_file(self.handle, iosb, buffer, length, class)
            }
        })
    }
    /// Sets volume information.
    pub fn set_volume(&self, class: i32, data: &[u8]) -> Outcome {
        let length = data.len() as u32;
        self.finish_now(Buffer::holding(data), false, |iosb, buffer| {
            // SAFETY: as in `query_information`.
            unsafe {
                volume::nt_set_volume_information_file(self.handle, iosb, buffer, length, class)
            }
        })
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
            |event, iosb, buffer, _| {
                let query = DirectoryQuery {
                    event,
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
        self.start(
            Some(Buffer::new(length as usize)),
            None,
            true,
            |event, iosb, buffer, _| {
                let notification = Notification {
                    event,
                    iosb,
                    buffer,
                    length,
                    filter,
                    tree,
                };
                // SAFETY: buffer and block live in the `Pending`.
                unsafe { directory::nt_notify_change_directory_file(self.handle, &notification) }
            },
        )
    }
    /// Starts locking a range.
    pub fn start_lock(&self, range: Range, fail_immediately: bool, exclusive: bool) -> Pending<'_> {
        self.start(None, None, false, |event, iosb, _, _| {
            // SAFETY: the block lives in the `Pending`.
            unsafe {
                locks::nt_lock_file(self.handle, event, iosb, range, fail_immediately, exclusive)
            }
        })
    }
    /// Locks a range.
    pub fn lock(&self, range: Range, fail_immediately: bool, exclusive: bool) -> Outcome {
        self.start_lock(range, fail_immediately, exclusive).wait()
    }
    /// Unlocks a range.
    pub fn unlock(&self, range: Range) -> Outcome {
        self.finish_now(Buffer::new(0), false, |iosb, _| {
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
        self.start(
            Some(output),
            Some(Buffer::holding(input)),
            true,
            |event, iosb, output, input| {
                let control = Control {
                    event,
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
        self.finish_now(Buffer::new(length as usize), true, |iosb, buffer| {
            // SAFETY: block and buffer live until the call returns.
            unsafe { security::nt_query_security_object(self.handle, iosb, what, buffer, length) }
        })
    }
    /// Sets the security descriptor.
    pub fn set_security(&self, what: u32, descriptor: &[u8]) -> Outcome {
        self.finish_now(Buffer::holding(descriptor), false, |iosb, buffer| {
            // SAFETY: block and descriptor live until the call returns.
            unsafe { security::nt_set_security_object(self.handle, iosb, what, buffer) }
        })
    }
    /// Creates a section on the file (FsFilter callbacks around it).
    pub fn create_section(&self) -> Outcome {
        let status = from_user_mode(|| section::create_section(self.handle));
        finish(status, 0, Vec::new())
    }
    /// Reads one page as a page fault in a mapped view does.
    pub fn page_in(&self, page: i64) -> Outcome {
        self.finish_now(Buffer::new(section::PAGE), true, |iosb, buffer| {
            // SAFETY: the block lives until the call returns, and nobody else has it.
            let block = unsafe { &mut *iosb };
            // SAFETY: the buffer is one page long.
            unsafe { section::page_in(self.handle, buffer, page * section::PAGE as i64, block) }
        })
    }
    /// Cancels all requests of this thread on the file (`NtCancelIoFile`).
    pub fn cancel_io(&self) -> Outcome {
        let status = from_user_mode(|| cancel::nt_cancel_io_file(self.handle));
        finish(status, 0, Vec::new())
    }
    /// Closes the handle.
    pub fn close(self) -> Outcome {
        let status = from_user_mode(|| request::nt_close(self.handle));
        std::mem::forget(self);
        finish(status, 0, Vec::new())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        from_user_mode(|| request::nt_close(self.handle));
    }
}
