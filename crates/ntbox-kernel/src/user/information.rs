//! `NtQueryInformationFile`, `NtSetInformationFile`.
//!
//! The I/O manager answers some classes itself (position of a synchronous file,
//! access, mode, alignment); basic, standard and network-open information is
//! asked through fast I/O first; the rest is an IRP with a system buffer.
//! DDI: `ZwQueryInformationFile`, `ZwSetInformationFile`, IRP_MJ_QUERY_INFORMATION,
//! IRP_MJ_SET_INFORMATION.

#![expect(
    non_upper_case_globals,
    reason = "information classes keep the DDI's names"
)]
#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]

use super::access::{
    DELETE, FILE_READ_ATTRIBUTES, FILE_READ_EA, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA, SYNCHRONIZE,
};
use super::open::{OpenRequest, nt_create_file};
use super::request::FileCall;
use super::{buffers, outcome};
use crate::io_manager::counters::FastIo;
use crate::nt::stack_location::{QueryFile, SetFile, SetFileRename, SetFileTail};
use crate::nt::*;
use crate::processor::driver_code::entering;
use crate::processor::handle;
use std::ffi::c_void;
use std::ptr::null_mut;

/// `FILE_LINK_INFORMATION_EX` and `FILE_RENAME_INFORMATION_EX` begin like the older forms.
const NAME_AT: usize = 20;

/// The right a query needs at the handle, by class.
fn query_right(class: i32) -> u32 {
    match class {
        FileBasicInformation
        | FileAllInformation
        | FileNetworkOpenInformation
        | FileAttributeTagInformation
        | FileStatInformation => FILE_READ_ATTRIBUTES,
        FileStatLxInformation => FILE_READ_ATTRIBUTES | FILE_READ_EA,
        FileFullEaInformation => FILE_READ_EA,
        _ => 0,
    }
}

/// The right a change needs at the handle, by class.
fn set_right(class: i32) -> u32 {
    match class {
        FileBasicInformation | FileCaseSensitiveInformation => FILE_WRITE_ATTRIBUTES,
        FileRenameInformation
        | FileRenameInformationEx
        | FileShortNameInformation
        | FileDispositionInformation
        | FileDispositionInformationEx => DELETE,
        FileEndOfFileInformation | FileAllocationInformation | FileValidDataLengthInformation => {
            FILE_WRITE_DATA
        }
        _ => 0,
    }
}

/// The least buffer of a class; zero if the file system decides.
fn least_length(class: i32) -> usize {
    match class {
        FileBasicInformation => size_of::<FILE_BASIC_INFORMATION>(),
        FileStandardInformation => size_of::<FILE_STANDARD_INFORMATION>(),
        FileNetworkOpenInformation => size_of::<FILE_NETWORK_OPEN_INFORMATION>(),
        FilePositionInformation
        | FileEndOfFileInformation
        | FileAllocationInformation
        | FileInternalInformation => 8,
        FileAccessInformation
        | FileModeInformation
        | FileAlignmentInformation
        | FileEaInformation
        | FileCaseSensitiveInformation
        | FileIoCompletionNotificationInformation => 4,
        FileAttributeTagInformation => size_of::<FILE_ATTRIBUTE_TAG_INFORMATION>(),
        FileAllInformation => size_of::<FILE_ALL_INFORMATION>(),
        FileDispositionInformation => 1,
        FileRenameInformation
        | FileRenameInformationEx
        | FileLinkInformation
        | FileLinkInformationEx => NAME_AT + 4,
        _ => 0,
    }
}

/// A call about a class, for which it needs `right`, with a buffer of `length` bytes.
fn call_on(
    handle: HANDLE,
    class: i32,
    length: u32,
    right: fn(i32) -> u32,
) -> Result<FileCall, NTSTATUS> {
    if !(1..FileMaximumInformation).contains(&class) {
        return Err(STATUS_INVALID_INFO_CLASS);
    }
    if (length as usize) < least_length(class) {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    let mut call = FileCall::on(handle, right(class))?;
    call.lock()?;
    Ok(call)
}

/// `NtQueryInformationFile`.
///
/// # Safety
/// `buffer` holds `length` bytes; the status block is valid.
pub unsafe fn nt_query_information_file(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *mut c_void,
    length: u32,
    class: i32,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { query(handle, iosb, buffer, length, class) }.unwrap_or_else(|status| status)
}

unsafe fn query(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *mut c_void,
    length: u32,
    class: i32,
) -> Result<NTSTATUS, NTSTATUS> {
    let call = call_on(handle, class, length, query_right)?;
    if let Some(answer) = answered_here(&call, handle, class)? {
        // SAFETY: contract of the function; the length was checked above.
        unsafe {
            std::ptr::copy_nonoverlapping(answer.as_ptr(), buffer.cast::<u8>(), answer.len())
        };
        // SAFETY: contract of the function.
        unsafe { iosb.write(block(STATUS_SUCCESS, answer.len())) };
        return Ok(STATUS_SUCCESS);
    }
    // SAFETY: contract of the function.
    if let Some(done) = unsafe { fast(&call, buffer, class) } {
        // SAFETY: as above.
        unsafe { iosb.write(done) };
        // SAFETY: written by the routine.
        return Ok(unsafe { done.Anonymous.Status });
    }
    let mut request = call.new_request(IRP_MJ_QUERY_INFORMATION, 0, null_mut(), null_mut())?;
    let system = buffers::attach_system_buffer(&mut request, length.max(1))?;
    request.header().UserBuffer = buffer;
    request.header().Flags |= IRP_INPUT_OPERATION;
    if class == FileAllInformation {
        // What the I/O manager knows is filled in before the file system adds the rest.
        let all: *mut FILE_ALL_INFORMATION = system.cast();
        let granted = handle::access_of_handle(handle)?;
        let mode = mode_of(&call);
        // SAFETY: the system buffer holds the structure: the length was checked.
        unsafe { (*all).AccessInformation.AccessFlags = granted };
        // SAFETY: as above.
        unsafe { (*all).ModeInformation.Mode = mode };
        // SAFETY: the file keeps its stack.
        let alignment = unsafe { (*call.device()).AlignmentRequirement };
        // SAFETY: as above.
        unsafe { (*all).AlignmentInformation.AlignmentRequirement = alignment };
        request.header().IoStatus.Information = size_of::<FILE_ACCESS_INFORMATION>()
            + size_of::<FILE_MODE_INFORMATION>()
            + size_of::<FILE_ALIGNMENT_INFORMATION>();
    }
    request.location().Parameters.QueryFile = QueryFile {
        Length: length,
        FileInformationClass: class,
        ..Default::default()
    };
    let deferred = call.is_synchronous();
    // SAFETY: contract of the function.
    Ok(unsafe { call.send_and_wait(request, deferred, iosb) })
}

/// A status block.
pub(super) fn block(status: NTSTATUS, information: usize) -> IO_STATUS_BLOCK {
    let mut block = IO_STATUS_BLOCK::default();
    block.Anonymous.Status = status;
    block.Information = information;
    block
}

/// Classes that no driver is asked about.
fn answered_here(call: &FileCall, handle: HANDLE, class: i32) -> Result<Option<Vec<u8>>, NTSTATUS> {
    Ok(match class {
        FilePositionInformation if call.is_synchronous() => {
            // SAFETY: the call holds a reference and the file's lock.
            Some(
                unsafe { (*call.file()).CurrentByteOffset }
                    .to_le_bytes()
                    .to_vec(),
            )
        }
        FileAccessInformation => Some(handle::access_of_handle(handle)?.to_le_bytes().to_vec()),
        FileModeInformation => Some(mode_of(call).to_le_bytes().to_vec()),
        FileIoCompletionNotificationInformation => Some(call.modes().to_le_bytes().to_vec()),
        FileAlignmentInformation => {
            // SAFETY: the file keeps its stack.
            Some(
                unsafe { (*call.device()).AlignmentRequirement }
                    .to_le_bytes()
                    .to_vec(),
            )
        }
        _ => None,
    })
}

/// The open's options that `FILE_MODE_INFORMATION` shows.
fn mode_of(call: &FileCall) -> u32 {
    let alert = FO_SYNCHRONOUS_IO | FO_ALERTABLE_IO;
    let mut mode = 0;
    for (flag, option) in [
        (FO_WRITE_THROUGH, FILE_WRITE_THROUGH),
        (FO_SEQUENTIAL_ONLY, FILE_SEQUENTIAL_ONLY),
        (FO_NO_INTERMEDIATE_BUFFERING, FILE_NO_INTERMEDIATE_BUFFERING),
        (FO_DELETE_ON_CLOSE, FILE_DELETE_ON_CLOSE),
    ] {
        if call.has_flag(flag) {
            mode |= option;
        }
    }
    if call.has_flag(FO_SYNCHRONOUS_IO) {
        let alertable = alert & FO_ALERTABLE_IO != 0 && call.has_flag(FO_ALERTABLE_IO);
        mode |= if alertable {
            FILE_SYNCHRONOUS_IO_ALERT
        } else {
            FILE_SYNCHRONOUS_IO_NONALERT
        };
    }
    mode
}

/// The three fast queries; `None` when the IRP is needed.
unsafe fn fast(call: &FileCall, buffer: *mut c_void, class: i32) -> Option<IO_STATUS_BLOCK> {
    let (entry, routine) = match class {
        FileBasicInformation => (
            FastIo::QueryBasicInfo,
            call.fast_io(|table| table.FastIoQueryBasicInfo)?,
        ),
        FileStandardInformation => (
            FastIo::QueryStandardInfo,
            call.fast_io(|table| table.FastIoQueryStandardInfo)?,
        ),
        FileNetworkOpenInformation => (
            FastIo::QueryNetworkOpenInfo,
            call.fast_io(|table| table.FastIoQueryNetworkOpenInfo)?,
        ),
        _ => return None,
    };
    let wait = u8::from(call.is_synchronous());
    // SAFETY: the entry of the top driver with its documented arguments; the buffer holds the
    // structure of the class: the length was checked.
    outcome::fast(entry, routine as usize, |iosb| unsafe {
        entering(routine)(call.file(), wait, buffer, iosb, call.device())
    })
}

/// `NtSetInformationFile`.
///
/// # Safety
/// `buffer` holds `length` bytes; the status block is valid.
pub unsafe fn nt_set_information_file(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *const c_void,
    length: u32,
    class: i32,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { set(handle, iosb, buffer, length, class) }.unwrap_or_else(|status| status)
}

unsafe fn set(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *const c_void,
    length: u32,
    class: i32,
) -> Result<NTSTATUS, NTSTATUS> {
    let call = call_on(handle, class, length, set_right)?;
    // SAFETY: contract of the function.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length as usize) };
    if class == FilePositionInformation && call.is_synchronous() {
        let position = i64::from_le_bytes(
            bytes[..8]
                .try_into()
                .map_err(|_| STATUS_INFO_LENGTH_MISMATCH)?,
        );
        if position < 0 {
            return Err(STATUS_INVALID_PARAMETER);
        }
        // SAFETY: the call holds a reference and the file's lock.
        unsafe { (*call.file()).CurrentByteOffset = position };
        // SAFETY: contract of the function.
        unsafe { iosb.write(block(STATUS_SUCCESS, 0)) };
        return Ok(STATUS_SUCCESS);
    }
    if let Some(status) = call.set_completion(class, bytes) {
        if status >= 0 {
            // SAFETY: contract of the function.
            unsafe { iosb.write(block(status, 0)) };
        }
        return Ok(status);
    }
    let renames = matches!(
        class,
        FileRenameInformation
            | FileRenameInformationEx
            | FileLinkInformation
            | FileLinkInformationEx
    );
    let directory = if renames {
        TargetDirectory::open(&call, bytes)?
    } else {
        None
    };
    let mut request = call.new_request(IRP_MJ_SET_INFORMATION, 0, null_mut(), null_mut())?;
    // SAFETY: contract of the function.
    unsafe { buffers::attach_copy(&mut request, buffer, length, length.max(1)) }?;
    let replace = bytes.first().copied().unwrap_or(0);
    let mut parameters = SetFile {
        Length: length,
        FileInformationClass: class,
        ..Default::default()
    };
    if renames {
        parameters.Tail = SetFileTail {
            Rename: SetFileRename {
                ReplaceIfExists: replace & 1,
                AdvanceOnly: 0,
            },
        };
        if let Some(directory) = &directory {
            parameters.FileObject = directory.file;
        }
    }
    request.location().Parameters.SetFile = parameters;
    let deferred = call.is_synchronous();
    // SAFETY: contract of the function.
    let status = unsafe { call.send_and_wait(request, deferred, iosb) };
    drop(directory);
    Ok(status)
}

/// The directory that a rename or link goes to, open while the request runs
/// (`IopOpenLinkOrRenameTarget`: the target's parent is opened with
/// `SL_OPEN_TARGET_DIRECTORY`; a simple name stays in its directory and opens nothing).
struct TargetDirectory {
    handle: HANDLE,
    file: *mut FILE_OBJECT,
}

impl TargetDirectory {
    fn open(call: &FileCall, information: &[u8]) -> Result<Option<Self>, NTSTATUS> {
        let field = |at: usize| {
            information
                .get(at..at + 8)
                .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())
        };
        let root = field(8)
            .map(usize::from_le_bytes)
            .ok_or(STATUS_INFO_LENGTH_MISMATCH)? as HANDLE;
        let length = information
            .get(16..20)
            .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
            .map(u32::from_le_bytes)
            .ok_or(STATUS_INFO_LENGTH_MISMATCH)? as usize;
        let name = information
            .get(NAME_AT..NAME_AT + length)
            .ok_or(STATUS_INVALID_PARAMETER)?;
        let units: Vec<u16> = name
            .chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect();
        let (name, rest) = unicode::text_and_rest(&units);
        if root.is_null() && !name.starts_with('\\') {
            return Ok(None);
        }
        // SAFETY: the call holds a reference on the file.
        let base = unsafe { crate::io_manager::file::base_file_system_device(call.file()) };
        // SAFETY: the file keeps its stack.
        let top = unsafe { crate::io_manager::device::top_of_stack(base) };
        // A device hint of the file's own open goes for the target, too.
        let device_hint = if top == call.device() {
            null_mut()
        } else {
            call.device()
        };
        let request = OpenRequest {
            name: &name,
            rest,
            root,
            access: FILE_WRITE_DATA | SYNCHRONIZE,
            options: FILE_OPEN_FOR_BACKUP_INTENT,
            open_target_directory: true,
            // Names differ in case where they did for the file's own open.
            case_sensitive: call.has_flag(FO_OPENED_CASE_SENSITIVE),
            device_hint,
            ..OpenRequest::default()
        };
        let (handle, _) = nt_create_file(&request)?;
        let file: *mut FILE_OBJECT = handle::object_of_handle(handle)?.cast();
        let target = Self { handle, file };
        // SAFETY: an open file.
        let there = unsafe { (*file).DeviceObject };
        // SAFETY: the call holds a reference on the file.
        let here = unsafe { (*call.file()).DeviceObject };
        if there != here {
            return Err(STATUS_NOT_SAME_DEVICE);
        }
        Ok(Some(target))
    }
}

impl Drop for TargetDirectory {
    fn drop(&mut self) {
        handle::close_handle(self.handle);
    }
}
