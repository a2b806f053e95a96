//! `NtQueryDirectoryFile`, `NtNotifyChangeDirectoryFile(Ex)`.
//!
//! All are ordinary asynchronous requests: the buffer goes as the device's
//! flags say. DDI: `ZwQueryDirectoryFile`, `ZwNotifyChangeDirectoryFile`, `ZwNotifyChangeDirectoryFileEx`,
//! IRP_MJ_DIRECTORY_CONTROL.

#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]
#![expect(
    non_upper_case_globals,
    reason = "the DDI's information classes are matched by name"
)]

use super::access::FILE_LIST_DIRECTORY;
use super::buffers;
use super::ending::Ending;
use super::request::FileCall;
use crate::nt::stack_location::{NotifyDirectoryEx, QueryDirectory};
use crate::nt::{
    DirectoryNotifyInformation, HANDLE, IO_STATUS_BLOCK, IRP_MJ_DIRECTORY_CONTROL,
    IRP_MN_NOTIFY_CHANGE_DIRECTORY, IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX, IRP_MN_QUERY_DIRECTORY,
    NTSTATUS, SL_RESTART_SCAN, SL_RETURN_SINGLE_ENTRY, SL_WATCH_TREE, STATUS_INVALID_PARAMETER,
    UNICODE_STRING,
};
use std::ffi::c_void;

/// A directory query's arguments.
#[derive(Clone, Copy)]
pub struct DirectoryQuery<'a> {
    /// What tells the caller.
    pub ending: Ending,
    /// Where status and count go.
    pub iosb: *mut IO_STATUS_BLOCK,
    /// The caller's buffer.
    pub buffer: *mut c_void,
    /// Bytes.
    pub length: u32,
    /// `FileBothDirectoryInformation`, …
    pub class: i32,
    /// At most one entry.
    pub single_entry: bool,
    /// Pattern; the first query of a handle fixes it.
    pub pattern: Option<&'a [u16]>,
    /// Begin again.
    pub restart: bool,
}

/// `NtQueryDirectoryFile`.
///
/// # Safety
/// Buffer and status block are valid until the request has completed.
pub unsafe fn nt_query_directory_file(handle: HANDLE, query: &DirectoryQuery<'_>) -> NTSTATUS {
    let run = || {
        let mut call = FileCall::on(handle, FILE_LIST_DIRECTORY)?.takes(&query.ending)?;
        call.lock()?;
        let mut request =
            call.new_request_ending(IRP_MJ_DIRECTORY_CONTROL, query.iosb, &query.ending)?;
        let pattern = match query.pattern {
            Some(pattern) if !pattern.is_empty() => attach_name(&mut request, pattern)?,
            _ => std::ptr::null_mut(),
        };
        buffers::attach_output(
            &mut request,
            call.device_flags(),
            query.buffer,
            query.length,
        )?;
        let location = request.location();
        location.MinorFunction = IRP_MN_QUERY_DIRECTORY as u8;
        let mut flags = 0;
        if query.restart {
            flags |= SL_RESTART_SCAN;
        }
        if query.single_entry {
            flags |= SL_RETURN_SINGLE_ENTRY;
        }
        location.Flags = flags as u8;
        location.Parameters.QueryDirectory = QueryDirectory {
            Length: query.length,
            FileName: pattern,
            FileInformationClass: query.class,
            ..Default::default()
        };
        Ok(call.send(request, true))
    };
    run().unwrap_or_else(|status: NTSTATUS| status)
}

/// Puts a name into the request's auxiliary buffer, which completion frees.
fn attach_name(
    request: &mut super::request::Request,
    name: &[u16],
) -> Result<*mut UNICODE_STRING, NTSTATUS> {
    let bytes = size_of_val(name);
    if bytes > usize::from(u16::MAX) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let memory = buffers::attach_auxiliary_room(request, size_of::<UNICODE_STRING>() + bytes)?;
    let header: *mut UNICODE_STRING = memory.cast();
    let units: *mut u16 = header.wrapping_add(1).cast();
    // SAFETY: the block holds the header and the units.
    unsafe { std::ptr::copy_nonoverlapping(name.as_ptr(), units, name.len()) };
    let string = UNICODE_STRING {
        Length: bytes as u16,
        MaximumLength: bytes as u16,
        Buffer: units,
    };
    // SAFETY: as above.
    unsafe { header.write(string) };
    Ok(header)
}

/// A notification's arguments.
#[derive(Clone, Copy)]
pub struct Notification {
    /// What tells the caller.
    pub ending: Ending,
    /// Where status and count go.
    pub iosb: *mut IO_STATUS_BLOCK,
    /// The caller's buffer.
    pub buffer: *mut c_void,
    /// Bytes.
    pub length: u32,
    /// `FILE_NOTIFY_CHANGE_*`.
    pub filter: u32,
    /// The whole tree below the directory.
    pub tree: bool,
    /// `DirectoryNotifyInformation`, …: the first request of a handle fixes it.
    pub class: i32,
}

/// `NtNotifyChangeDirectoryFileEx`: pended until something changes. For `DirectoryNotifyInformation` it is
/// `NtNotifyChangeDirectoryFile`, which any file system knows.
///
/// # Safety
/// Buffer and status block are valid until the request has completed.
pub unsafe fn nt_notify_change_directory_file_ex(
    handle: HANDLE,
    notification: &Notification,
) -> NTSTATUS {
    let run = || {
        if notification.filter == 0 || notification.filter & !0xFFF != 0 {
            return Err(STATUS_INVALID_PARAMETER);
        }
        let mut call = FileCall::on(handle, FILE_LIST_DIRECTORY)?.takes(&notification.ending)?;
        call.lock()?;
        let mut request = call.new_request_ending(
            IRP_MJ_DIRECTORY_CONTROL,
            notification.iosb,
            &notification.ending,
        )?;
        buffers::attach_output(
            &mut request,
            call.device_flags(),
            notification.buffer,
            notification.length,
        )?;
        let location = request.location();
        let minor = match notification.class {
            DirectoryNotifyInformation => IRP_MN_NOTIFY_CHANGE_DIRECTORY,
            _ => IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX,
        };
        location.MinorFunction = minor as u8;
        location.Flags = if notification.tree {
            SL_WATCH_TREE as u8
        } else {
            0
        };
        location.Parameters.NotifyDirectoryEx = NotifyDirectoryEx {
            Length: notification.length,
            CompletionFilter: notification.filter,
            DirectoryNotifyInformationClass: notification.class,
            ..Default::default()
        };
        Ok(call.send(request, false))
    };
    run().unwrap_or_else(|status: NTSTATUS| status)
}
