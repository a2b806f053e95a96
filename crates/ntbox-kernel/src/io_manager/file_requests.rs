//! Requests that the I/O manager itself sends about a file, and waits for.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests and file objects are shared with drivers by pointer"
)]

use super::counters::FastIo;
use super::device::{fast_io_of, reference_top_of_stack};
use super::file::{opened, related_device};
use super::{call, fast_io_checks, irp, request};
use crate::io_manager::{counters, identity};
use crate::nt::{
    ACCESS_STATE, DEVICE_OBJECT, FILE_OBJECT, FILE_STANDARD_INFORMATION, FileStandardInformation,
    IO_SECURITY_CONTEXT, IO_STATUS_BLOCK, IRP_BUFFERED_IO, IRP_CLOSE_OPERATION,
    IRP_CREATE_OPERATION, IRP_DEFER_IO_COMPLETION, IRP_MJ_CREATE, IRP_MJ_LOCK_CONTROL,
    IRP_MJ_QUERY_INFORMATION, IRP_MJ_SHUTDOWN, IRP_MN_UNLOCK_ALL, IRP_SYNCHRONOUS_API, IrpExt,
    KEVENT, NTSTATUS, STATUS_FILE_IS_A_DIRECTORY, STATUS_PENDING, Status,
};
use crate::processor::driver_code::entering;
use crate::processor::lifetime;
use crate::processor::{dispatcher, thread};

/// Sends cleanup or close and waits for it.
pub(super) unsafe fn send(file: *mut FILE_OBJECT, major: u8) {
    // SAFETY: contract of the callers: the file is alive (or being deleted, which drivers
    // see as alive).
    unsafe { send_to(related_device(file), file, major) };
}

/// As [`send`], to this device.
pub(super) unsafe fn send_to(device: *mut DEVICE_OBJECT, file: *mut FILE_OBJECT, major: u8) {
    let flags = IRP_CLOSE_OPERATION | IRP_SYNCHRONOUS_API;
    // SAFETY: as there.
    unsafe { send_plain(device, file, (major, 0), flags) };
}

/// The locks of this process are given back, which has no handle of the file any more while others have: fast I/O
/// first, then the IRP.
///
/// # Safety
/// As [`send`].
pub(super) unsafe fn unlock_all(file: *mut FILE_OBJECT) {
    // SAFETY: contract; the block outlives the call.
    unsafe {
        let device = related_device(file);
        if let Some(routine) = fast_io_of(device, |table| table.FastIoUnlockAll) {
            let mut iosb: IO_STATUS_BLOCK = std::mem::zeroed();
            let process = thread::current().process();
            let answered = fast_io_checks::around(routine as usize, || {
                entering(routine)(file, process, &raw mut iosb, device)
            });
            counters::fast(FastIo::UnlockAll, answered != 0);
            if answered != 0 {
                return;
            }
        }
        let kind = (IRP_MJ_LOCK_CONTROL as u8, IRP_MN_UNLOCK_ALL as u8);
        send_plain(device, file, kind, IRP_SYNCHRONOUS_API);
    }
}

/// Sends a request without parameters to this device, and waits for it.
unsafe fn send_plain(
    device: *mut DEVICE_OBJECT,
    file: *mut FILE_OBJECT,
    (major, minor): (u8, u8),
    flags: u32,
) {
    // SAFETY: as there; event and status block outlive the request, which is waited for.
    unsafe {
        let mut event: KEVENT = std::mem::zeroed();
        let mut iosb: IO_STATUS_BLOCK = std::mem::zeroed();
        dispatcher::initialize_event(&raw mut event, false, false);
        let request = irp::allocate((*device).StackSize);
        irp::set_identity(request, identity::current());
        // The second stage gives it back, and frees the request; of cleanup and close it does neither.
        let is_ended_here = flags & IRP_CLOSE_OPERATION != 0;
        if !is_ended_here {
            lifetime::reference(file.cast());
        }
        request.set_original_file_object(file);
        request.set_thread(thread::current().object());
        (*request).Flags = flags;
        (*request).UserEvent = &raw mut event;
        (*request).Anonymous.UserIosb = &raw mut iosb;
        let location = request.next_location();
        (*location).MajorFunction = major;
        (*location).MinorFunction = minor;
        (*location).FileObject = file;
        let status = call::call_driver(device, request, 0);
        counters::irp(major, status);
        if status == STATUS_PENDING {
            dispatcher::wait(&[(&raw mut event).cast()], false, None, false);
        }
        if is_ended_here {
            irp::free(request, 0);
        }
    }
}

/// Sends a plain `IRP_MJ_CREATE` (`FILE_OPEN`) for the file and waits for it.
/// `crate::user` sends the creates that programs ask for.
///
/// # Errors
/// What the request was completed with.
///
/// # Safety
/// `file` is alive and not opened yet. PASSIVE_LEVEL.
pub(super) unsafe fn send_create(file: *mut FILE_OBJECT, access: u32) -> Result<(), NTSTATUS> {
    /// `FILE_OPEN` in the high byte of the options.
    const OPEN: u32 = 1 << 24;
    // SAFETY: contract; event, status block and security context outlive the request.
    unsafe {
        let device = related_device(file);
        let mut event: KEVENT = std::mem::zeroed();
        let mut iosb: IO_STATUS_BLOCK = std::mem::zeroed();
        let mut security: IO_SECURITY_CONTEXT = std::mem::zeroed();
        let mut access_state: ACCESS_STATE = std::mem::zeroed();
        security.AccessState = &raw mut access_state;
        security.DesiredAccess = access;
        dispatcher::initialize_event(&raw mut event, false, false);
        let request = irp::allocate((*device).StackSize);
        irp::set_identity(request, identity::current());
        request.set_original_file_object(file);
        request.set_thread(thread::current().object());
        (*request).Flags = IRP_CREATE_OPERATION | IRP_SYNCHRONOUS_API | IRP_DEFER_IO_COMPLETION;
        (*request).UserEvent = &raw mut event;
        (*request).Anonymous.UserIosb = &raw mut iosb;
        let location = request.next_location();
        (*location).MajorFunction = IRP_MJ_CREATE as u8;
        (*location).FileObject = file;
        (*location).Parameters.Create.SecurityContext = &raw mut security;
        (*location).Parameters.Create.Options = OPEN;
        let mut status = call::call_driver(device, request, 0);
        if status == STATUS_PENDING {
            dispatcher::wait(&[(&raw mut event).cast()], false, None, false);
            status = iosb.Anonymous.Status;
        } else {
            super::second_stage::finish_synchronously(request);
        }
        if !Status(status).is_success() {
            return Err(status);
        }
        opened(file);
        Ok(())
    }
}

/// Sends `IRP_MJ_SHUTDOWN` to the stack of a device that registered for it.
///
/// # Safety
/// `device` is alive. PASSIVE_LEVEL.
pub(super) unsafe fn send_shutdown(device: *mut DEVICE_OBJECT) {
    // SAFETY: contract; event and status block outlive the request, which is waited for.
    unsafe {
        let top = reference_top_of_stack(device);
        let mut event: KEVENT = std::mem::zeroed();
        let mut iosb: IO_STATUS_BLOCK = std::mem::zeroed();
        dispatcher::initialize_event(&raw mut event, true, false);
        let null = std::ptr::null_mut();
        let request = request::build_synchronous_fsd(
            IRP_MJ_SHUTDOWN as u8,
            top,
            null,
            0,
            std::ptr::null(),
            &raw mut event,
            &raw mut iosb,
        );
        if call::call_driver(top, request, 0) == STATUS_PENDING {
            dispatcher::wait(&[(&raw mut event).cast()], false, None, false);
        }
        lifetime::dereference(top.cast());
    }
}

/// `IoQueryFileInformation`, `IoQueryVolumeInformation`: a request to the file's
/// stack, waited for.
///
/// # Safety
/// `file` is alive; `buffer` has `length` bytes; `returned` is writable.
pub unsafe fn query(
    file: *mut FILE_OBJECT,
    major: u8,
    class: i32,
    buffer: *mut std::ffi::c_void,
    length: u32,
    returned: *mut u32,
) -> NTSTATUS {
    // SAFETY: contract; event and status block outlive the request, which is waited for.
    unsafe {
        let device = related_device(file);
        let mut event: KEVENT = std::mem::zeroed();
        let mut iosb: IO_STATUS_BLOCK = std::mem::zeroed();
        dispatcher::initialize_event(&raw mut event, false, false);
        let request = irp::allocate((*device).StackSize);
        irp::set_identity(request, identity::current());
        lifetime::reference(file.cast());
        request.set_original_file_object(file);
        request.set_thread(thread::current().object());
        (*request).Flags = IRP_BUFFERED_IO | IRP_SYNCHRONOUS_API;
        (*request).AssociatedIrp.SystemBuffer = buffer;
        (*request).UserEvent = &raw mut event;
        (*request).Anonymous.UserIosb = &raw mut iosb;
        let location = request.next_location();
        (*location).MajorFunction = major;
        (*location).FileObject = file;
        // Both queries have one layout.
        (*location).Parameters.QueryFile.Length = length;
        (*location).Parameters.QueryFile.FileInformationClass = class;
        let mut status = call::call_driver(device, request, 0);
        if status == STATUS_PENDING {
            dispatcher::wait(&[(&raw mut event).cast()], false, None, false);
            status = iosb.Anonymous.Status;
        }
        *returned = iosb.Information as u32;
        status
    }
}

/// What the file's stack says that it holds, in bytes (`FsRtlGetFileSize`). PASSIVE_LEVEL.
///
/// # Errors
/// `STATUS_FILE_IS_A_DIRECTORY`, and those of the query.
///
/// # Safety
/// `file` is alive.
pub unsafe fn size(file: *mut FILE_OBJECT) -> Result<i64, NTSTATUS> {
    let mut information = FILE_STANDARD_INFORMATION::default();
    let mut returned = 0;
    let length = size_of_val(&information) as u32;
    let buffer = (&raw mut information).cast();
    let major = IRP_MJ_QUERY_INFORMATION as u8;
    let class = FileStandardInformation;
    // SAFETY: contract; the buffer has the length that is passed.
    let status = unsafe { query(file, major, class, buffer, length, &raw mut returned) };
    match Status(status).is_success() {
        false => Err(status),
        true if information.Directory => Err(STATUS_FILE_IS_A_DIRECTORY),
        true => Ok(information.EndOfFile),
    }
}
