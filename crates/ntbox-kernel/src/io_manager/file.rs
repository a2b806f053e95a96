//! File objects.
//!
//! A file object lies on the device that its path named: the storage device of
//! a volume, or a named device. Its requests go to the top of the stack on the
//! volume (`IoGetRelatedDeviceObject`), or to the device that the open gave as a
//! hint. The last handle sends `IRP_MJ_CLEANUP`, the last reference
//! `IRP_MJ_CLOSE`, both only if the open succeeded.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "file objects are shared with drivers by pointer"
)]

use super::file_name::{self, Kept};
pub use super::file_requests::{query, size};
use super::file_requests::{send, send_to, unlock_all};
pub(super) use super::file_requests::{send_create, send_shutdown};
use super::{completion_port, device, file_checks, file_contexts, mount, references};
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, FO_DIRECT_DEVICE_OPEN, FO_FILE_OPEN_CANCELLED, FO_HANDLE_CREATED,
    FO_STREAM_FILE, FO_SYNCHRONOUS_IO, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, LIST_ENTRY, NTSTATUS,
    STATUS_SUCCESS, VPB, VPB_MOUNTED,
};
use crate::pool;
use crate::processor::dispatcher;
use crate::processor::object::{self, Kind, Procedures};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const IO_TYPE_FILE: i16 = 5;

/// What the box keeps about a file object (`FileObjectExtension`).
#[repr(C)]
struct Extension {
    /// First, as it begins with the name that reports look for.
    kept: Kept,
    /// Only this device and what is below it see the file's requests.
    hint: *mut DEVICE_OBJECT,
    opened: AtomicBool,
    cleaned_up: AtomicBool,
}

/// A file object for an open of `device`, the device its path names, with one
/// reference and the given `FileName`.
///
/// # Safety
/// `device` is alive.
pub unsafe fn create(device: *mut DEVICE_OBJECT, name: &[u16], flags: u32) -> *mut FILE_OBJECT {
    let file: *mut FILE_OBJECT =
        object::create_with(Kind::File, size_of::<FILE_OBJECT>(), Some(&PROCEDURES)).cast();
    let extension: *mut Extension = pool::allocate_for_box(size_of::<Extension>()).cast();
    // SAFETY: both blocks are zeroed, large enough and new; `device` is alive.
    unsafe {
        device::open(device);
        (*file).Type = IO_TYPE_FILE;
        (*file).Size = size_of::<FILE_OBJECT>() as i16;
        (*file).DeviceObject = device;
        (*file).Flags = flags;
        (*file).FileName = file_name::new(name);
        (*file).FileObjectExtension = extension.cast();
        dispatcher::initialize_event(&raw mut (*file).Lock, false, false);
        dispatcher::initialize_event(&raw mut (*file).Event, true, false);
        let entry: *mut LIST_ENTRY = &raw mut (*file).IrpList;
        (*entry).Flink = entry;
        (*entry).Blink = entry;
    }
    file
}

unsafe fn extension<'a>(file: *mut FILE_OBJECT) -> &'a mut Extension {
    // SAFETY: contract of the callers: a live file object, whose extension `create` made.
    unsafe { &mut *(*file).FileObjectExtension.cast::<Extension>() }
}

/// The open succeeded: cleanup and close are owed from now on.
///
/// # Safety
/// `file` is alive, and its create has been completed.
pub unsafe fn opened(file: *mut FILE_OBJECT) {
    // SAFETY: contract.
    let extension = unsafe { extension(file) };
    // SAFETY: as above; nobody else knows the file yet.
    unsafe { extension.kept.create_is_over(file) };
    extension.opened.store(true, Ordering::Release);
}

/// `IoReplaceFileObjectName`, and what a file system does with a name in a create. False if the file has no name.
///
/// # Safety
/// `file` is alive, and nobody else uses its name.
pub unsafe fn replace_name(file: *mut FILE_OBJECT, name: &[u16]) -> bool {
    // SAFETY: contract.
    let extension = unsafe { extension(file) };
    // SAFETY: contract.
    unsafe { extension.kept.replace(file, name) }
}

/// As [`replace_name`], whether or not the file has a name.
///
/// # Safety
/// As for [`replace_name`].
pub unsafe fn put_name(file: *mut FILE_OBJECT, name: &[u16]) {
    // SAFETY: contract.
    unsafe { file_name::put(file, name) };
}

/// The file system has opened the file, and has no use for `FileName`: who reads it from now on is found.
///
/// # Safety
/// `file` is alive, and being opened by the caller.
pub unsafe fn give_up_name(file: *mut FILE_OBJECT) {
    // SAFETY: contract.
    let extension = unsafe { extension(file) };
    // SAFETY: contract.
    unsafe { extension.kept.give_up(file) };
}

/// True if the open succeeded.
///
/// # Safety
/// `file` is alive.
pub unsafe fn is_opened(file: *mut FILE_OBJECT) -> bool {
    // SAFETY: contract.
    unsafe { extension(file) }.opened.load(Ordering::Acquire)
}

/// Sends the file's requests to `device` instead of the top of the stack
/// (`IoCreateFileSpecifyDeviceObjectHint`); null takes the hint away.
///
/// # Safety
/// `file` and `device` are alive; the device outlives the file.
pub unsafe fn set_device_hint(file: *mut FILE_OBJECT, device: *mut DEVICE_OBJECT) {
    // SAFETY: contract.
    unsafe { extension(file) }.hint = device;
}

/// `IoGetBaseFileSystemDeviceObject`: the file system's device, without filters.
///
/// # Safety
/// `file` is alive.
pub unsafe fn base_file_system_device(file: *mut FILE_OBJECT) -> *mut DEVICE_OBJECT {
    // SAFETY: contract; a file with a VPB holds a reference to it.
    unsafe {
        let own = mounted((*file).Vpb);
        if !own.is_null() {
            return own;
        }
        let device = (*file).DeviceObject;
        if (*file).Flags & FO_DIRECT_DEVICE_OPEN == 0 {
            let volume = mounted((*device).Vpb);
            if !volume.is_null() {
                return volume;
            }
        }
        device
    }
}

unsafe fn mounted(vpb: *mut VPB) -> *mut DEVICE_OBJECT {
    if vpb.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: contract of the caller.
    unsafe { (*vpb).DeviceObject }
}

/// `IoGetRelatedDeviceObject`: the device that the file's requests go to.
///
/// # Safety
/// `file` is alive.
pub unsafe fn related_device(file: *mut FILE_OBJECT) -> *mut DEVICE_OBJECT {
    // SAFETY: contract.
    unsafe {
        if !(*file).FileObjectExtension.is_null() {
            let hint = extension(file).hint;
            if !hint.is_null() {
                return hint;
            }
        }
        device::top_of_stack(base_file_system_device(file))
    }
}

/// Takes the lock that serializes requests of a synchronous file.
///
/// # Safety
/// `file` is alive and `FO_SYNCHRONOUS_IO`. Below `DISPATCH_LEVEL`.
pub unsafe fn acquire_lock(file: *mut FILE_OBJECT) -> NTSTATUS {
    // SAFETY: contract.
    unsafe {
        let busy = AtomicU32::from_ptr(&raw mut (*file).Busy);
        let waiters = AtomicU32::from_ptr(&raw mut (*file).Waiters);
        if busy
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
        {
            return STATUS_SUCCESS;
        }
        waiters.fetch_add(1, Ordering::AcqRel);
        let status = loop {
            if busy
                .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                break STATUS_SUCCESS;
            }
            let status = dispatcher::wait(&[(&raw mut (*file).Lock).cast()], false, None, false);
            if status != STATUS_SUCCESS {
                break status;
            }
        };
        waiters.fetch_sub(1, Ordering::AcqRel);
        status
    }
}

/// Gives the lock of [`acquire_lock`] back.
///
/// # Safety
/// As there, and the lock is held.
pub unsafe fn release_lock(file: *mut FILE_OBJECT) {
    // SAFETY: contract.
    unsafe {
        AtomicU32::from_ptr(&raw mut (*file).Busy).store(0, Ordering::SeqCst);
        if AtomicU32::from_ptr(&raw mut (*file).Waiters).load(Ordering::SeqCst) != 0 {
            dispatcher::set_event(&raw mut (*file).Lock);
        }
    }
}

/// The last handle was closed: sends `IRP_MJ_CLEANUP`.
///
/// # Safety
/// `file` is alive. PASSIVE_LEVEL.
pub(super) unsafe fn last_handle_closed(file: *mut FILE_OBJECT) {
    // SAFETY: contract.
    unsafe {
        let extension = extension(file);
        if !extension.opened.load(Ordering::Acquire)
            || extension.cleaned_up.swap(true, Ordering::AcqRel)
        {
            return;
        }
        while_locked(file, || send(file, IRP_MJ_CLEANUP as u8));
    }
}

/// A process has closed its last handle, and others have some: gives its locks back, if there were ever any.
///
/// # Safety
/// `file` is alive. PASSIVE_LEVEL.
unsafe fn process_left(file: *mut FILE_OBJECT) {
    // SAFETY: contract.
    unsafe {
        if !(*file).LockOperation || !is_opened(file) {
            return;
        }
        while_locked(file, || unlock_all(file));
    }
}

/// Does `work` under the lock of a synchronous file.
///
/// # Safety
/// `file` is alive. PASSIVE_LEVEL.
unsafe fn while_locked(file: *mut FILE_OBJECT, work: impl FnOnce()) {
    // SAFETY: contract.
    unsafe {
        let synchronous = (*file).Flags & FO_SYNCHRONOUS_IO != 0;
        if synchronous {
            acquire_lock(file);
        }
        work();
        if synchronous {
            release_lock(file);
        }
    }
}

/// `IoCancelFileOpen`: sends cleanup and close to `device`, as if there had been a handle.
///
/// # Safety
/// `file` was opened by those below `device`, which is alive, and has no handle. PASSIVE_LEVEL.
pub unsafe fn cancel_open(device: *mut DEVICE_OBJECT, file: *mut FILE_OBJECT) {
    // SAFETY: contract.
    unsafe {
        (*file).Flags |= FO_FILE_OPEN_CANCELLED;
        send_to(device, file, IRP_MJ_CLEANUP as u8);
        send_to(device, file, IRP_MJ_CLOSE as u8);
    }
}

/// Puts the file on the volume of its storage device, mounted if it was not.
/// Nothing for a device that has no volume.
///
/// # Errors
/// Those of [`mount::open_volume`].
///
/// # Safety
/// `file` is alive and not opened yet. PASSIVE_LEVEL.
pub unsafe fn join_volume(file: *mut FILE_OBJECT) -> Result<(), NTSTATUS> {
    // SAFETY: contract; the file object gives the reference back when it is deleted.
    unsafe {
        (*file).Vpb = mount::open_volume((*file).DeviceObject, false)?;
    }
    Ok(())
}

/// `IoCreateStreamFileObject(Lite)`: a file object that the file system opens for
/// itself. `cleanup` sends `IRP_MJ_CLEANUP` at once, as its handle is closed.
///
/// # Safety
/// `file` or `device` (one may be null) is alive.
pub unsafe fn create_stream(
    file: *mut FILE_OBJECT,
    device: *mut DEVICE_OBJECT,
    cleanup: bool,
) -> *mut FILE_OBJECT {
    // SAFETY: contract.
    unsafe {
        let device = if file.is_null() {
            device
        } else {
            (*file).DeviceObject
        };
        let stream = create(device, &[], FO_STREAM_FILE);
        // The file system has the volume mounted: it is the one that asks.
        let vpb = if file.is_null() {
            (*device).Vpb
        } else {
            (*file).Vpb
        };
        if !vpb.is_null() && u32::from((*vpb).Flags) & VPB_MOUNTED != 0 {
            mount::reference_vpb(vpb);
            (*stream).Vpb = vpb;
        }
        opened(stream);
        if cleanup {
            (*stream).Flags |= FO_HANDLE_CREATED;
            last_handle_closed(stream);
        } else {
            extension(stream).cleaned_up.store(true, Ordering::Release);
        }
        stream
    }
}

/// What the object manager calls for a file object.
static PROCEDURES: Procedures = Procedures {
    closed: Some(|file| {
        // SAFETY: the body of a file object whose last handle was closed.
        unsafe { last_handle_closed(file.cast()) }
    }),
    left: Some(|file| {
        // SAFETY: the body of a file object, which the handle that is being closed keeps.
        unsafe { process_left(file.cast()) }
    }),
    delete: |file| {
        // SAFETY: the body of a file object whose last reference is gone.
        unsafe { delete_body(file.cast()) }
    },
};

/// Deletion procedure of a file object: the last reference is gone.
///
/// # Safety
/// Called by the object manager only. PASSIVE_LEVEL.
unsafe fn delete_body(file: *mut FILE_OBJECT) {
    // SAFETY: contract.
    unsafe {
        if is_opened(file) {
            // A file that never had a handle (a stream file object) is cleaned up here.
            last_handle_closed(file);
            send(file, IRP_MJ_CLOSE as u8);
        }
        references::forget(file.cast());
        file_checks::forget(file);
        file_contexts::forget(file.addr());
        completion_port::file_goes(file);
        extension(file).kept.release(file);
        let vpb = (*file).Vpb;
        let device = (*file).DeviceObject;
        pool::free_for_box((*file).FileObjectExtension);
        if !vpb.is_null() {
            mount::dereference_vpb(vpb);
        }
        device::close(device);
    }
}

/// True if the volume of the file is mounted.
///
/// # Safety
/// `file` is alive.
pub unsafe fn is_mounted(file: *mut FILE_OBJECT) -> bool {
    // SAFETY: contract.
    unsafe { !(*file).Vpb.is_null() && u32::from((*(*file).Vpb).Flags) & VPB_MOUNTED != 0 }
}
