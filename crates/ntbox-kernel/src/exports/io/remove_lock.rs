//! Remove locks.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the lock lies in driver memory"
)]

use crate::io_manager::{checks, remove_locks};
use crate::nt::{KEVENT, NTSTATUS, STATUS_DELETE_PENDING, STATUS_SUCCESS};
use crate::processor::{dispatcher, irql};
use crate::verifier::rules;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// `IO_REMOVE_LOCK_COMMON_BLOCK`; the checked variant has more behind it.
#[repr(C)]
pub struct RemoveLock {
    removed: AtomicBool,
    reserved: [u8; 3],
    count: AtomicI32,
    event: KEVENT,
}

/// In the reserved bytes of a lock that is initialized. Memory that is freed and used again has something else there.
const INITIALIZED: [u8; 3] = *b"Rml";

/// `IoInitializeRemoveLockEx`.
pub unsafe extern "win64" fn initialize(
    lock: *mut RemoveLock,
    _tag: u32,
    _minutes: u32,
    _high: u32,
    _bytes: u32,
    caller: usize,
) {
    irql::require("IoInitializeRemoveLockEx", caller);
    // SAFETY: the driver's memory.
    let again = unsafe { (*lock).reserved } == INITIALIZED;
    remove_locks::initialized(lock.addr(), again, caller);
    // SAFETY: as above.
    unsafe {
        (*lock).reserved = INITIALIZED;
        (&raw mut (*lock).removed).write(AtomicBool::new(false));
        (&raw mut (*lock).count).write(AtomicI32::new(1));
        dispatcher::initialize_event(&raw mut (*lock).event, false, false);
    }
}

/// `IoAcquireRemoveLockEx`.
pub unsafe extern "win64" fn acquire(
    lock: *mut RemoveLock,
    tag: *mut c_void,
    _file: *const u8,
    _line: u32,
    _bytes: u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoAcquireRemoveLockEx", caller);
    // SAFETY: the driver's lock.
    unsafe {
        (*lock).count.fetch_add(1, Ordering::AcqRel);
        if (*lock).removed.load(Ordering::Acquire) {
            give_up(lock);
            return STATUS_DELETE_PENDING;
        }
    }
    remove_locks::acquired(lock.addr(), tag.addr(), caller);
    STATUS_SUCCESS
}

unsafe fn give_up(lock: *mut RemoveLock) -> i32 {
    // SAFETY: contract of the callers: the driver's lock.
    unsafe {
        let left = (*lock).count.fetch_sub(1, Ordering::AcqRel) - 1;
        if left == 0 {
            dispatcher::set_event(&raw mut (*lock).event);
        }
        left
    }
}

/// `IoReleaseRemoveLockEx`.
pub unsafe extern "win64" fn release(
    lock: *mut RemoveLock,
    tag: *mut c_void,
    _bytes: u32,
    caller: usize,
) {
    irql::require("IoReleaseRemoveLockEx", caller);
    remove_locks::released(lock.addr(), tag.addr(), caller);
    // SAFETY: the driver's lock.
    let left = unsafe { give_up(lock) };
    // SAFETY: as above.
    let removed = unsafe { (*lock).removed.load(Ordering::Acquire) };
    if left < 0 || left == 0 && !removed {
        checks::report(
            &rules::REMOVE_LOCK_PAIRING,
            "a remove lock was released more often than it was acquired".into(),
            std::ptr::null_mut(),
            vec![("released by", caller)],
        );
    }
}

/// `IoReleaseRemoveLockAndWaitEx`: no more acquires, and waits for all releases.
pub unsafe extern "win64" fn release_and_wait(
    lock: *mut RemoveLock,
    tag: *mut c_void,
    _bytes: u32,
    caller: usize,
) {
    irql::require("IoReleaseRemoveLockAndWaitEx", caller);
    remove_locks::released(lock.addr(), tag.addr(), caller);
    // SAFETY: the driver's lock; the count of the lock itself goes besides the caller's.
    let left = unsafe {
        (*lock).removed.store(true, Ordering::Release);
        (*lock).count.fetch_sub(1, Ordering::AcqRel);
        give_up(lock)
    };
    if left < 0 {
        checks::report(
            &rules::REMOVE_LOCK_PAIRING,
            "a remove lock is waited for and nobody has acquired it: the caller must, before"
                .into(),
            std::ptr::null_mut(),
            vec![("waited for by", caller)],
        );
    }
    if left > 0 {
        // SAFETY: the driver's lock.
        unsafe { dispatcher::wait(&[(&raw mut (*lock).event).cast()], false, None, false) };
    }
}
