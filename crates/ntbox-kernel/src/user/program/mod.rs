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

mod buffer;
mod calls;
mod ended;
mod pending;
mod view;

pub use ended::EndBy;
pub use pending::Pending;
pub use view::View;

use super::ending::{Ending, SKIP_EVENT_ON_HANDLE, SKIP_PORT_ON_SUCCESS};
use super::open::OpenRequest;
use super::outcome::{self, Outcome, Way};
use super::{information, request};
use crate::io_manager::counters;
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, FILE_OPEN_BY_FILE_ID, FILE_SYNCHRONOUS_IO_ALERT,
    FILE_SYNCHRONOUS_IO_NONALERT, FileCompletionInformation,
    FileIoCompletionNotificationInformation, HANDLE, IO_STATUS_BLOCK, NTSTATUS, STATUS_PENDING,
    Status,
};
use crate::processor::handle;
use crate::processor::thread::from_user_mode;
use buffer::Buffer;
use ended::{End, Port, Told};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::Arc;

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
    /// The file with this id is meant, on the volume of `name` (`\\??\\C:\\`) or of the file it is relative to.
    pub fn by_id(mut self, id: u64) -> Self {
        self.open.file_id = Some(id);
        self.open.options |= FILE_OPEN_BY_FILE_ID;
        self
    }
    /// The name goes on with these units.
    pub fn rest(mut self, rest: &'a [u16]) -> Self {
        self.open.rest = rest;
        self
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

/// The key of packets at a program's ports.
const PORT_KEY: usize = 0x6B65_7900;

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
    told: Told,
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
                    told: match asynchronous {
                        true => Told::Event,
                        false => Told::Nothing,
                    },
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
    let way = outcome::last();
    let information = if Status(status).is_error() {
        0
    } else {
        information
    };
    Outcome {
        information,
        pended: way.pended,
        fast: way.fast,
        waits: way.waits,
        data,
        ..Outcome::early(status)
    }
}

/// A call that its service finishes before it returns.
fn finish_now(
    mut buffer: Buffer,
    output: bool,
    service: impl FnOnce(*mut IO_STATUS_BLOCK, *mut c_void) -> NTSTATUS,
) -> Outcome {
    let mut iosb = unwritten();
    let (block, bytes) = (&raw mut *iosb, buffer.pointer());
    let status = from_user_mode(|| service(block, bytes));
    let information = if Status(status).is_error() {
        0
    } else {
        iosb.Information
    };
    // SAFETY: the service has returned: nobody writes the block any more.
    let block = unsafe { iosb.Anonymous.Status };
    Outcome {
        written: block != STATUS_PENDING,
        ..finish(
            status,
            information,
            buffer.take(if output { information } else { 0 }),
        )
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

    /// Passes an event with each call that takes one, which an asynchronous handle does anyway.
    pub fn pass_events(&mut self) {
        self.told = Told::Event;
    }

    /// Has the calls of an asynchronous handle that may stay outstanding end so from now on.
    ///
    /// # Errors
    /// The file is on a port already.
    pub fn end_by(&mut self, end: EndBy) -> Result<(), NTSTATUS> {
        self.told = match end {
            EndBy::Event => Told::Event,
            EndBy::Apc => Told::Apc,
            EndBy::Port | EndBy::PortUnlessDone => {
                let port = Port::new();
                let words = [port.handle().expose_provenance(), PORT_KEY];
                let data: Vec<u8> = words.into_iter().flat_map(usize::to_le_bytes).collect();
                self.set_without_request(FileCompletionInformation, &data)?;
                Told::Port(Arc::new(port))
            }
        };
        if end == EndBy::PortUnlessDone {
            let modes = SKIP_PORT_ON_SUCCESS | SKIP_EVENT_ON_HANDLE;
            let class = FileIoCompletionNotificationInformation;
            self.set_without_request(class, &modes.to_le_bytes())?;
        }
        Ok(())
    }

    /// Sets information that the I/O manager keeps itself.
    fn set_without_request(&self, class: i32, data: &[u8]) -> Result<(), NTSTATUS> {
        let mut iosb = unwritten();
        let (block, bytes, length) = (&raw mut *iosb, data.as_ptr().cast(), data.len() as u32);
        let status = from_user_mode(|| {
            // SAFETY: block and data live until the call returns.
            unsafe {
                information::nt_set_information_file(self.handle, block, bytes, length, class)
            }
        });
        if status < 0 { Err(status) } else { Ok(()) }
    }

    /// Packets at the file's port that no call has waited for.
    pub fn unclaimed_packets(&self) -> usize {
        match &self.told {
            Told::Port(port) => port.unclaimed(),
            _ => 0,
        }
    }

    /// The position of a synchronous handle, as `FilePositionInformation` tells it.
    pub fn position(&self) -> Option<i64> {
        if self.asynchronous {
            return None;
        }
        let file: *mut FILE_OBJECT = handle::object_of_handle(self.handle).ok()?.cast();
        // SAFETY: the open handle keeps the file object, and no request of a synchronous handle is
        // under way while its program does something else.
        Some(unsafe { (*file).CurrentByteOffset })
    }

    /// Starts a call: `service` gets what tells of its end, status block and buffers.
    fn start(
        &self,
        buffer: Option<Buffer>,
        input: Option<Buffer>,
        output: bool,
        service: impl FnOnce(&Ending, *mut IO_STATUS_BLOCK, *mut c_void, *mut c_void) -> NTSTATUS,
    ) -> Pending<'_> {
        self.start_ending(self.told.of_call(false), buffer, input, output, service)
    }

    /// As [`start`](Self::start), with what tells of the end.
    fn start_ending(
        &self,
        end: End,
        buffer: Option<Buffer>,
        input: Option<Buffer>,
        output: bool,
        service: impl FnOnce(&Ending, *mut IO_STATUS_BLOCK, *mut c_void, *mut c_void) -> NTSTATUS,
    ) -> Pending<'_> {
        let mut pending = Pending {
            handle: self.handle,
            of: PhantomData,
            end,
            came: (false, None),
            iosb: unwritten(),
            buffer,
            _input: input,
            output,
            returned: 0,
            way: Way::default(),
            finished: false,
        };
        let ending = pending.end.ending();
        let block = &raw mut *pending.iosb;
        let bytes = pending
            .buffer
            .as_mut()
            .map_or(std::ptr::null_mut(), Buffer::pointer);
        let given = pending
            ._input
            .as_mut()
            .map_or(std::ptr::null_mut(), Buffer::pointer);
        pending.returned = from_user_mode(|| service(&ending, block, bytes, given));
        pending.way = outcome::last();
        pending
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
