//! How a request tells its caller that it has ended, besides the status block: an event, an APC, or a packet at the
//! completion port of its file.
//!
//! With an APC routine the file may have no port. The context is the routine's, or goes into the packet; a request
//! without one leaves none. What fast I/O has answered signals the event and leaves the packet, and calls no routine.
//!
//! DDI: `NtFsControlFile`, `NtQueryDirectoryFile` and its like, `FILE_COMPLETION_INFORMATION`, FileReplaceCompletionInformation
//! in `NtSetInformationFile`, FO_SKIP_COMPLETION_PORT in `FILE_OBJECT`; `SetFileCompletionNotificationModes` in the SDK;
//! ReactOS for what fast I/O does.

#![expect(
    non_upper_case_globals,
    reason = "information classes keep the DDI's names"
)]
#![expect(unsafe_code, reason = "ports and file objects are reached by pointer")]

use super::event;
use super::request::{FileCall, Request};
use crate::io_manager::completion_port::{self, Packet};
use crate::io_manager::identity;
use crate::nt::{
    FILE_COMPLETION_INFORMATION, FO_SKIP_COMPLETION_PORT, FO_SKIP_SET_EVENT, FO_SKIP_SET_FAST_IO,
    FileCompletionInformation, FileIoCompletionNotificationInformation,
    FileReplaceCompletionInformation, HANDLE, IO_STATUS_BLOCK, IrpExt, NTSTATUS,
    STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_PARAMETER, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
};
use crate::processor::object::{self, Kind};
use crate::processor::{dispatcher, handle, lifetime};
use std::ffi::c_void;
use std::ptr::null_mut;

/// `FILE_SKIP_COMPLETION_PORT_ON_SUCCESS`: no packet of a request that has succeeded at once.
pub const SKIP_PORT_ON_SUCCESS: u32 = 1;
/// `FILE_SKIP_SET_EVENT_ON_HANDLE`: the event in the file object is not signaled.
pub const SKIP_EVENT_ON_HANDLE: u32 = 2;
/// `FILE_SKIP_SET_USER_EVENT_ON_FAST_IO`: the event of a call that fast I/O has answered is not signaled.
pub const SKIP_USER_EVENT_ON_FAST_IO: u32 = 4;

/// The modes, with what they are in `FILE_OBJECT.Flags`.
const MODES: [(u32, u32); 3] = [
    (SKIP_PORT_ON_SUCCESS, FO_SKIP_COMPLETION_PORT),
    (SKIP_EVENT_ON_HANDLE, FO_SKIP_SET_EVENT),
    (SKIP_USER_EVENT_ON_FAST_IO, FO_SKIP_SET_FAST_IO),
];

/// What a caller gives a service for it.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// Event to signal, or null.
    pub event: HANDLE,
    /// Address of the APC routine (`PIO_APC_ROUTINE`), or 0.
    pub routine: usize,
    /// Its context, or that of the packet.
    pub context: *mut c_void,
}

impl Ending {
    /// The event alone, or nothing if it is null.
    pub const fn event(event: HANDLE) -> Self {
        Self {
            event,
            routine: 0,
            context: null_mut(),
        }
    }
}

impl FileCall {
    /// A new request that ends so; it is refused with an APC routine where the file has a port.
    pub(super) fn new_request_ending(
        &self,
        major: u32,
        iosb: *mut IO_STATUS_BLOCK,
        ending: &Ending,
    ) -> Result<Request, NTSTATUS> {
        let event = event::by_handle(ending.event)?;
        if !event.is_null() {
            // SAFETY: the caller's handle keeps the event.
            unsafe { dispatcher::clear_event(event) };
        }
        let mut request = self.new_request(major, 0, iosb, event)?;
        // SAFETY: a new request.
        unsafe {
            request
                .pointer()
                .set_user_apc(ending.routine, ending.context)
        };
        Ok(request)
    }

    /// Refuses an APC routine where the file is on a completion port.
    pub(super) fn takes(self, ending: &Ending) -> Result<Self, NTSTATUS> {
        // SAFETY: this call holds a reference on the file object.
        if ending.routine != 0 && unsafe { completion_port::has_port(self.file()) } {
            return Err(STATUS_INVALID_PARAMETER);
        }
        Ok(self)
    }

    /// Fast I/O has answered with `done`.
    ///
    /// # Safety
    /// `iosb` is valid.
    pub(super) unsafe fn answered_fast(
        &self,
        ending: &Ending,
        iosb: *mut IO_STATUS_BLOCK,
        done: IO_STATUS_BLOCK,
    ) -> Result<NTSTATUS, NTSTATUS> {
        let event = event::by_handle(ending.event)?;
        // SAFETY: contract.
        unsafe { iosb.write(done) };
        if !event.is_null() && !self.has_flag(FO_SKIP_SET_FAST_IO) {
            // SAFETY: the caller's handle keeps the event.
            unsafe { dispatcher::set_event(event) };
        }
        let status = super::request::status_of(&done);
        // SAFETY: this call holds a reference on the file object.
        unsafe { completion_port::request_ended(self.file(), ending.context, done, status >= 0) };
        Ok(status)
    }

    /// `FileIoCompletionNotificationInformation` of the file.
    pub(super) fn modes(&self) -> u32 {
        let on = MODES.into_iter().filter(|(_, flag)| self.has_flag(*flag));
        on.fold(0, |modes, (mode, _)| modes | mode)
    }

    /// Sets one of the classes about completion that no driver is asked about; `None` for any other.
    pub(super) fn set_completion(&self, class: i32, data: &[u8]) -> Option<NTSTATUS> {
        let done = match class {
            FileCompletionInformation => self.put_on_port(data, false),
            FileReplaceCompletionInformation => self.put_on_port(data, true),
            FileIoCompletionNotificationInformation => self.set_modes(data),
            _ => return None,
        };
        identity::take_back();
        Some(done.err().unwrap_or(STATUS_SUCCESS))
    }

    fn put_on_port(&self, data: &[u8], replaces: bool) -> Result<(), NTSTATUS> {
        if data.len() < size_of::<FILE_COMPLETION_INFORMATION>() {
            return Err(STATUS_INFO_LENGTH_MISMATCH);
        }
        // SAFETY: two addresses, and there are as many bytes.
        let asked = unsafe {
            data.as_ptr()
                .cast::<FILE_COMPLETION_INFORMATION>()
                .read_unaligned()
        };
        if self.is_synchronous() {
            return Err(STATUS_INVALID_PARAMETER);
        }
        let port = match asked.Port {
            none if none.is_null() && replaces => null_mut(),
            handle => port_of(handle)?,
        };
        // SAFETY: this call holds a reference on the file object, and the handle keeps the port.
        unsafe { completion_port::put_on(self.file(), port, asked.Key, replaces) }
    }

    /// Modes are added, and none is taken away.
    fn set_modes(&self, data: &[u8]) -> Result<(), NTSTATUS> {
        let modes = data.first_chunk().copied().map(u32::from_le_bytes);
        let modes = modes.ok_or(STATUS_INFO_LENGTH_MISMATCH)?;
        let known = MODES.into_iter().fold(0, |known, (mode, _)| known | mode);
        if modes & !known != 0 || self.is_synchronous() {
            return Err(STATUS_INVALID_PARAMETER);
        }
        for (_, flag) in MODES.into_iter().filter(|(mode, _)| modes & mode != 0) {
            // SAFETY: this call holds a reference on the file object.
            unsafe { (*self.file()).Flags |= flag };
        }
        Ok(())
    }
}

/// The port behind a handle, which keeps it.
fn port_of(handle: HANDLE) -> Result<*mut c_void, NTSTATUS> {
    let object = handle::object_of_handle(handle)?;
    // SAFETY: an open handle's object is alive.
    match unsafe { object::kind_of(object) } {
        Some(Kind::IoCompletion) => Ok(object),
        _ => Err(STATUS_OBJECT_TYPE_MISMATCH),
    }
}

/// `NtCreateIoCompletion`, with all rights.
pub fn nt_create_io_completion() -> HANDLE {
    const IO_COMPLETION_ALL_ACCESS: u32 = 0x1F_0003;
    let port = completion_port::create();
    // SAFETY: a live object.
    let handle = unsafe { handle::open_handle(port, IO_COMPLETION_ALL_ACCESS, false) };
    // SAFETY: the handle keeps the object; the creation's reference goes.
    unsafe { lifetime::dereference(port) };
    handle
}

/// `NtRemoveIoCompletion`: the first packet at the port, which is waited for; `timeout` is that of a wait.
///
/// # Errors
/// `STATUS_TIMEOUT`; the handle is not that of a port.
pub fn nt_remove_io_completion(handle: HANDLE, timeout: Option<i64>) -> Result<Packet, NTSTATUS> {
    let port = port_of(handle)?;
    // SAFETY: the handle keeps the port.
    unsafe { lifetime::reference(port) };
    // SAFETY: referenced.
    let removed = unsafe { completion_port::remove(port, timeout) };
    // SAFETY: the reference from above.
    unsafe { lifetime::dereference(port) };
    removed
}

/// `NtDelayExecution`: `STATUS_USER_APC` if it is alertable and ends for an APC, which has run when the program goes on.
pub fn nt_delay_execution(alertable: bool, interval: i64) -> NTSTATUS {
    dispatcher::delay(interval, alertable, 0)
}
