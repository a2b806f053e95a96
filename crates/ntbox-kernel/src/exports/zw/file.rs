//! Open files: the services of [`crate::user`], called by kernel code.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

use super::{passes, service};
use crate::nt::{
    DirectoryNotifyInformation, HANDLE, IO_STATUS_BLOCK, NTSTATUS, UNICODE_STRING, unicode,
};
use crate::user;
use crate::user::control::Control;
use crate::user::directory::{DirectoryQuery, Notification};
use crate::user::ending::Ending;
use crate::user::locks::Range;
use crate::user::transfer::Transfer;
use std::ffi::c_void;

/// An APC routine of the caller, or null.
type ApcRoutine = *const c_void;

/// What a driver gives for it.
fn ending(event: HANDLE, apc: ApcRoutine, context: *const c_void) -> Ending {
    Ending {
        event,
        routine: apc.expose_provenance(),
        context: context.cast_mut(),
    }
}

/// # Safety
/// The pointers are the driver's, valid until the request has completed.
unsafe fn transfer(
    ending: Ending,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *mut c_void,
    length: u32,
    offset: *const i64,
    key: *const u32,
) -> Transfer {
    // SAFETY: contract of the function.
    let offset = unsafe { offset.as_ref() }.copied();
    // SAFETY: contract of the function.
    let key = unsafe { key.as_ref() }.copied().unwrap_or(0);
    Transfer {
        ending,
        iosb,
        buffer,
        length,
        offset,
        key,
    }
}

/// Services that take a transfer.
macro_rules! transfers {
    ($($export:ident = $name:literal, $service:path;)*) => { $(
        pub(super) unsafe extern "win64" fn $export(
            handle: HANDLE,
            event: HANDLE,
            apc: ApcRoutine,
            apc_context: *const c_void,
            iosb: *mut IO_STATUS_BLOCK,
            buffer: *mut c_void,
            length: u32,
            offset: *const i64,
            key: *const u32,
            caller: usize,
        ) -> NTSTATUS {
            passes($name, &[iosb.addr(), buffer.addr()], caller);
            service($name, caller, || {
                let ending = ending(event, apc, apc_context);
                // SAFETY: the driver's pointers.
                let transfer = unsafe { transfer(ending, iosb, buffer, length, offset, key) };
                // SAFETY: as above.
                Ok(unsafe { $service(handle, &transfer) })
            })
        }
    )* };
}

transfers! {
    read = "ZwReadFile", user::nt_read_file;
    write = "ZwWriteFile", user::nt_write_file;
}

pub(super) unsafe extern "win64" fn flush(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    caller: usize,
) -> NTSTATUS {
    service("ZwFlushBuffersFile", caller, || {
        // SAFETY: the driver's pointer.
        Ok(unsafe { user::nt_flush_buffers_file(handle, iosb) })
    })
}

/// Services that take a buffer of a class.
macro_rules! classes {
    ($($export:ident = $name:literal, $service:path;)*) => { $(
        pub(super) unsafe extern "win64" fn $export(
            handle: HANDLE,
            iosb: *mut IO_STATUS_BLOCK,
            buffer: *mut c_void,
            length: u32,
            class: i32,
            caller: usize,
        ) -> NTSTATUS {
            passes($name, &[iosb.addr(), buffer.addr()], caller);
            service($name, caller, || {
                // SAFETY: the driver's pointers.
                Ok(unsafe { $service(handle, iosb, buffer, length, class) })
            })
        }
    )* };
}

classes! {
    query_information = "ZwQueryInformationFile", user::nt_query_information_file;
    set_information = "ZwSetInformationFile", user::nt_set_information_file;
    query_volume_information = "ZwQueryVolumeInformationFile", user::nt_query_volume_information_file;
    set_volume_information = "ZwSetVolumeInformationFile", user::nt_set_volume_information_file;
}

pub(super) unsafe extern "win64" fn query_directory(
    handle: HANDLE,
    event: HANDLE,
    apc: ApcRoutine,
    apc_context: *const c_void,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *mut c_void,
    length: u32,
    class: i32,
    single_entry: u8,
    pattern: *const UNICODE_STRING,
    restart: u8,
    caller: usize,
) -> NTSTATUS {
    passes(
        "ZwQueryDirectoryFile",
        &[iosb.addr(), buffer.addr()],
        caller,
    );
    service("ZwQueryDirectoryFile", caller, || {
        // SAFETY: the driver's string, or null.
        let pattern = (!pattern.is_null()).then(|| unsafe { unicode::units(pattern) });
        let (single_entry, restart) = (single_entry != 0, restart != 0);
        let query = DirectoryQuery {
            ending: ending(event, apc, apc_context),
            iosb,
            buffer,
            length,
            class,
            single_entry,
            pattern,
            restart,
        };
        // SAFETY: the driver's pointers.
        Ok(unsafe { user::nt_query_directory_file(handle, &query) })
    })
}

pub(super) unsafe extern "win64" fn notify_change_directory(
    handle: HANDLE,
    event: HANDLE,
    apc: ApcRoutine,
    apc_context: *const c_void,
    iosb: *mut IO_STATUS_BLOCK,
    buffer: *mut c_void,
    length: u32,
    filter: u32,
    tree: u8,
    caller: usize,
) -> NTSTATUS {
    passes(
        "ZwNotifyChangeDirectoryFile",
        &[iosb.addr(), buffer.addr()],
        caller,
    );
    service("ZwNotifyChangeDirectoryFile", caller, || {
        let notification = Notification {
            ending: ending(event, apc, apc_context),
            iosb,
            buffer,
            length,
            filter,
            tree: tree != 0,
            class: DirectoryNotifyInformation,
        };
        // SAFETY: the driver's pointers.
        Ok(unsafe { user::nt_notify_change_directory_file_ex(handle, &notification) })
    })
}

/// Services that take a control.
macro_rules! controls {
    ($($export:ident = $name:literal, $service:path;)*) => { $(
        pub(super) unsafe extern "win64" fn $export(
            handle: HANDLE,
            event: HANDLE,
            apc: ApcRoutine,
            apc_context: *const c_void,
            iosb: *mut IO_STATUS_BLOCK,
            code: u32,
            input: *const c_void,
            input_length: u32,
            output: *mut c_void,
            output_length: u32,
            caller: usize,
        ) -> NTSTATUS {
            passes($name, &[iosb.addr(), input.addr(), output.addr()], caller);
            service($name, caller, || {
                let control = Control {
                    ending: ending(event, apc, apc_context),
                    iosb,
                    code,
                    input,
                    input_length,
                    output,
                    output_length,
                };
                // SAFETY: the driver's pointers.
                Ok(unsafe { $service(handle, &control) })
            })
        }
    )* };
}

controls! {
    device_control = "ZwDeviceIoControlFile", user::nt_device_io_control_file;
    fs_control = "ZwFsControlFile", user::nt_fs_control_file;
}

/// # Safety
/// The pointers are the driver's and valid.
unsafe fn range(offset: *const i64, length: *const i64, key: u32) -> Range {
    // SAFETY: contract of the function.
    let offset = unsafe { offset.read() };
    // SAFETY: contract of the function.
    let length = unsafe { length.read() };
    Range {
        offset,
        length,
        key,
    }
}

pub(super) unsafe extern "win64" fn lock(
    handle: HANDLE,
    event: HANDLE,
    apc: ApcRoutine,
    apc_context: *const c_void,
    iosb: *mut IO_STATUS_BLOCK,
    offset: *const i64,
    length: *const i64,
    key: u32,
    fail_immediately: u8,
    exclusive: u8,
    caller: usize,
) -> NTSTATUS {
    service("ZwLockFile", caller, || {
        // SAFETY: the driver's pointers.
        let range = unsafe { range(offset, length, key) };
        // SAFETY: as above.
        Ok(unsafe {
            user::nt_lock_file(
                handle,
                &ending(event, apc, apc_context),
                iosb,
                range,
                fail_immediately != 0,
                exclusive != 0,
            )
        })
    })
}

pub(super) unsafe extern "win64" fn unlock(
    handle: HANDLE,
    iosb: *mut IO_STATUS_BLOCK,
    offset: *const i64,
    length: *const i64,
    key: u32,
    caller: usize,
) -> NTSTATUS {
    service("ZwUnlockFile", caller, || {
        // SAFETY: the driver's pointers.
        let range = unsafe { range(offset, length, key) };
        // SAFETY: as above.
        Ok(unsafe { user::nt_unlock_file(handle, iosb, range) })
    })
}
