//! File locks: byte-range locks that a driver keeps for a file, over [`byte_locks`].
//!
//! What a `FILE_LOCK` has beyond its routines is in a block of the pool, charged to the driver, from the first lock
//! on until the lock is uninitialized: a driver that forgets that has left the block.
//!
//! A request that waits is completed here when its range becomes free, when it is cancelled, or when the lock is
//! uninitialized; no page says with which status the last ends, here `STATUS_CANCELLED`.
//!
//! Source: `FsRtlInitializeFileLock`, `FsRtlProcessFileLock`, `FsRtlFastLock`, `FsRtlFastUnlockSingle`,
//! `FsRtlCheckLockForReadAccess` and their like, `PCOMPLETE_LOCK_IRP_ROUTINE`, `PUNLOCK_ROUTINE` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::file_lock::{
    CompleteLock, FileLock, TAG, Unlock, ask, asked_of, complete, end, give_back, grant, prepare,
    with,
};
use crate::exports::io::requests::get_requestor_process;
use crate::io_manager::byte_locks::{Asked, Lock, Owner, Range};
use crate::nt::{
    FILE_LOCK_INFO, FILE_OBJECT, IO_STATUS_BLOCK, IRP, IRP_MN_LOCK, IRP_MN_UNLOCK_ALL,
    IRP_MN_UNLOCK_ALL_BY_KEY, IRP_MN_UNLOCK_SINGLE, IrpExt, NTSTATUS, SL_EXCLUSIVE_LOCK,
    SL_FAIL_IMMEDIATELY, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_PENDING, STATUS_SUCCESS,
};
use crate::pool;
use crate::processor::irql;
use std::ffi::c_void;

/// `FsRtlInitializeFileLock`.
pub unsafe extern "win64" fn initialize(
    lock: *mut FileLock,
    complete: Option<CompleteLock>,
    unlock: Option<Unlock>,
    caller: usize,
) {
    irql::require("FsRtlInitializeFileLock", caller);
    // SAFETY: the driver passes the memory of a lock.
    unsafe { lock.write(FileLock::new(complete, unlock)) };
}

/// `FsRtlUninitializeFileLock`.
pub unsafe extern "win64" fn uninitialize(lock: *mut FileLock, caller: usize) {
    irql::require("FsRtlUninitializeFileLock", caller);
    // SAFETY: the driver's lock.
    unsafe { end(lock, caller) };
}

/// `FsRtlAllocateFileLock`: null without memory.
pub unsafe extern "win64" fn allocate(
    complete: Option<CompleteLock>,
    unlock: Option<Unlock>,
    caller: usize,
) -> *mut FileLock {
    irql::require("FsRtlAllocateFileLock", caller);
    let bytes = size_of::<FileLock>();
    let lock: *mut FileLock = pool::allocate(pool::Kind::NonPaged, bytes, TAG, caller).cast();
    if !lock.is_null() {
        // SAFETY: a new block of that size.
        unsafe { initialize(lock, complete, unlock, caller) };
    }
    lock
}

/// `FsRtlFreeFileLock`.
pub unsafe extern "win64" fn free(lock: *mut FileLock, caller: usize) {
    irql::require("FsRtlFreeFileLock", caller);
    // SAFETY: the driver's lock.
    unsafe { uninitialize(lock, caller) };
    // SAFETY: from `allocate`.
    unsafe { pool::free(lock.cast(), None, caller) };
}

/// `FsRtlProcessFileLock`: the request is the routine's from here on.
pub unsafe extern "win64" fn process(
    lock: *mut FileLock,
    irp: *mut IRP,
    context: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlProcessFileLock", caller);
    // SAFETY: the driver's request.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let location = unsafe { &*location };
    let (minor, flags) = (u32::from(location.MinorFunction), u32::from(location.Flags));
    // SAFETY: as above.
    unsafe { (*irp).IoStatus.Information = 0 };
    // SAFETY: as above.
    let (owner, range) = unsafe { asked_of(irp) };
    let status = match minor {
        IRP_MN_LOCK => {
            let asked = Lock {
                owner,
                range,
                exclusive: flags & SL_EXCLUSIVE_LOCK != 0,
            };
            let at_once = flags & SL_FAIL_IMMEDIATELY != 0;
            // SAFETY: the driver's lock and request.
            return unsafe { ask(lock, irp, asked, at_once, context, caller) };
        }
        // SAFETY: the driver's lock, here and below.
        IRP_MN_UNLOCK_SINGLE => unsafe { give_back(lock, owner, Some(range), None, context) },
        // SAFETY: as above.
        IRP_MN_UNLOCK_ALL => unsafe { give_back(lock, owner, None, None, context) },
        // SAFETY: as above.
        IRP_MN_UNLOCK_ALL_BY_KEY => unsafe {
            give_back(lock, owner, None, Some(owner.key), context)
        },
        _ => STATUS_INVALID_DEVICE_REQUEST,
    };
    // SAFETY: the driver's request.
    let status = unsafe { complete(lock, irp, status, context, caller) };
    // SAFETY: the driver's lock.
    unsafe { grant(lock, caller) };
    status
}

/// Reads where a driver asks, and for whom.
///
/// # Safety
/// Both numbers are readable.
unsafe fn named(
    offset: *const i64,
    length: *const i64,
    key: u32,
    file: *mut FILE_OBJECT,
    process: *mut c_void,
) -> (Owner, Range) {
    let owner = Owner {
        file: file.expose_provenance() as u64,
        process: process.expose_provenance(),
        key,
    };
    let range = Range {
        // SAFETY: contract.
        offset: unsafe { offset.read() } as u64,
        // SAFETY: contract.
        length: unsafe { length.read() } as u64,
    };
    (owner, range)
}

/// `FsRtlPrivateLock`, which `FsRtlFastLock` stands for: FALSE if the lock is not free, and nobody can wait for it.
pub unsafe extern "win64" fn private_lock(
    lock: *mut FileLock,
    file: *mut FILE_OBJECT,
    offset: *const i64,
    length: *const i64,
    process: *mut c_void,
    key: u32,
    fail_immediately: u8,
    exclusive: u8,
    block: *mut IO_STATUS_BLOCK,
    irp: *mut IRP,
    context: *mut c_void,
    _synchronized: u8,
) -> u8 {
    irql::require("FsRtlPrivateLock", 0);
    // SAFETY: the driver's pointers.
    let (owner, range) = unsafe { named(offset, length, key, file, process) };
    let asked = Lock {
        owner,
        range,
        exclusive: exclusive != 0,
    };
    let status = if !irp.is_null() {
        // SAFETY: the driver's lock and request.
        unsafe { ask(lock, irp, asked, fail_immediately != 0, context, 0) }
    } else if let Err(status) = Range::new(range.offset, range.length) {
        status
    // SAFETY: the driver's lock.
    } else if !unsafe { prepare(lock, 0) } {
        STATUS_INSUFFICIENT_RESOURCES
    } else {
        // SAFETY: as above.
        match unsafe { with(lock, |table| table.lock(asked, None)) } {
            Asked::Granted => STATUS_SUCCESS,
            Asked::Refused(_) if fail_immediately == 0 => return 0,
            Asked::Refused(status) => status,
            Asked::Queued => STATUS_PENDING,
        }
    };
    let mut answer = IO_STATUS_BLOCK::default();
    answer.Anonymous.Status = status;
    // SAFETY: the driver's pointer.
    unsafe { block.write(answer) };
    1
}

/// `FsRtlFastUnlockSingle`.
pub unsafe extern "win64" fn unlock_single(
    lock: *mut FileLock,
    file: *mut FILE_OBJECT,
    offset: *const i64,
    length: *const i64,
    process: *mut c_void,
    key: u32,
    context: *mut c_void,
    _synchronized: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlFastUnlockSingle", caller);
    // SAFETY: the driver's pointers.
    let (owner, range) = unsafe { named(offset, length, key, file, process) };
    // SAFETY: the driver's lock.
    let status = unsafe { give_back(lock, owner, Some(range), None, context) };
    // SAFETY: as above.
    unsafe { grant(lock, caller) };
    status
}

/// What both routines that give back all locks do.
unsafe fn unlock_all_of(
    lock: *mut FileLock,
    file: *mut FILE_OBJECT,
    process: *mut c_void,
    key: Option<u32>,
    context: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    let owner = Owner {
        file: file.expose_provenance() as u64,
        process: process.expose_provenance(),
        key: key.unwrap_or_default(),
    };
    // SAFETY: the driver's lock, here and below.
    let status = unsafe { give_back(lock, owner, None, key, context) };
    // SAFETY: as above.
    unsafe { grant(lock, caller) };
    status
}

/// `FsRtlFastUnlockAll`.
pub unsafe extern "win64" fn unlock_all(
    lock: *mut FileLock,
    file: *mut FILE_OBJECT,
    process: *mut c_void,
    context: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlFastUnlockAll", caller);
    // SAFETY: the driver's lock.
    unsafe { unlock_all_of(lock, file, process, None, context, caller) }
}

/// `FsRtlFastUnlockAllByKey`.
pub unsafe extern "win64" fn unlock_all_by_key(
    lock: *mut FileLock,
    file: *mut FILE_OBJECT,
    process: *mut c_void,
    key: u32,
    context: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("FsRtlFastUnlockAllByKey", caller);
    // SAFETY: the driver's lock.
    unsafe { unlock_all_of(lock, file, process, Some(key), context, caller) }
}

/// Whose access a read or write is, and where: both have the same parameters.
///
/// # Safety
/// The driver's request.
unsafe fn access_of(irp: *mut IRP) -> (Owner, Range) {
    // SAFETY: contract.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let location = unsafe { &*location };
    // SAFETY: the parameters of a read or write.
    let parameters = unsafe { location.Parameters.Read };
    let owner = Owner {
        file: location.FileObject.expose_provenance() as u64,
        // SAFETY: contract.
        process: unsafe { get_requestor_process(irp) }.expose_provenance(),
        key: parameters.Key,
    };
    let range = Range {
        offset: parameters.ByteOffset as u64,
        length: parameters.Length.into(),
    };
    (owner, range)
}

macro_rules! checks {
    ($($export:ident = $name:literal, $fast:ident = $fast_name:literal, $allows:ident;)*) => { $(
        #[doc = concat!("`", $name, "`.")]
        pub unsafe extern "win64" fn $export(lock: *mut FileLock, irp: *mut IRP, caller: usize) -> u8 {
            irql::require($name, caller);
            // SAFETY: the driver's request.
            let (owner, range) = unsafe { access_of(irp) };
            // SAFETY: the driver's lock.
            u8::from(unsafe { with(lock, |table| table.$allows(owner, range)) })
        }

        #[doc = concat!("`", $fast_name, "`.")]
        pub unsafe extern "win64" fn $fast(
            lock: *mut FileLock,
            offset: *const i64,
            length: *const i64,
            key: u32,
            file: *mut FILE_OBJECT,
            process: *mut c_void,
            caller: usize,
        ) -> u8 {
            irql::require($fast_name, caller);
            // SAFETY: the driver's pointers.
            let (owner, range) = unsafe { named(offset, length, key, file, process) };
            // SAFETY: the driver's lock.
            u8::from(unsafe { with(lock, |table| table.$allows(owner, range)) })
        }
    )* };
}

checks! {
    check_read = "FsRtlCheckLockForReadAccess", fast_check_read = "FsRtlFastCheckLockForRead", allows_read;
    check_write = "FsRtlCheckLockForWriteAccess", fast_check_write = "FsRtlFastCheckLockForWrite", allows_write;
}

/// `FsRtlGetNextFileLock`: where it is lies in the lock.
pub unsafe extern "win64" fn get_next(
    lock: *mut FileLock,
    restart: u8,
    caller: usize,
) -> *mut FILE_LOCK_INFO {
    irql::require("FsRtlGetNextFileLock", caller);
    // SAFETY: the driver's lock.
    unsafe { FileLock::next(lock, restart != 0) }
}

#[cfg(test)]
#[path = "file_locks_tests.rs"]
mod tests;
