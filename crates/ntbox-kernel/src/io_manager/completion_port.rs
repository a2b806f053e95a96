//! Completion ports: queues that requests of the files on them end at.
//!
//! The port that a file is put on stays its (`FILE_OBJECT.CompletionContext`) until it is closed. A request of the
//! file that was given a context leaves a packet when it ends: the file's key, that context, and the status block.
//! On Windows the request itself is the packet until it is taken; here it is freed before, which nobody can tell.
//!
//! Source: "I/O Completion Ports" in the SDK, `NtRemoveIoCompletion`, DDI of `FILE_COMPLETION_INFORMATION` and
//! `FILE_OBJECT`; ReactOS for `IO_COMPLETION_CONTEXT` and the order of steps.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "ports and file objects are shared by pointer"
)]

use crate::nt::{
    FILE_OBJECT, FO_SKIP_COMPLETION_PORT, IO_COMPLETION_CONTEXT, IO_STATUS_BLOCK, KQUEUE,
    LIST_ENTRY, NTSTATUS, STATUS_INVALID_PARAMETER,
};
use crate::pool;
use crate::processor::object::{self, Kind, Procedures};
use crate::processor::{dispatcher, lifetime};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a request leaves at a port.
#[derive(Clone, Copy)]
pub struct Packet {
    /// That of its file.
    pub key: *mut c_void,
    /// The request's own.
    pub context: *mut c_void,
    /// How it ended.
    pub status: IO_STATUS_BLOCK,
}

/// A packet in its queue.
#[repr(C)]
struct Entry {
    links: LIST_ENTRY,
    packet: Packet,
}

/// A new port, with one reference (`NtCreateIoCompletion`).
pub fn create() -> *mut c_void {
    let port = object::create_with(Kind::IoCompletion, size_of::<KQUEUE>(), Some(&PROCEDURES));
    // How many threads run at a time is not limited.
    // SAFETY: a new object of this size, not yet known to anybody.
    unsafe { dispatcher::initialize_queue(port.cast(), u32::MAX) };
    port
}

static PROCEDURES: Procedures = Procedures {
    closed: None,
    left: None,
    delete: |port| {
        // SAFETY: the body of a port whose last reference is gone: nobody waits for it, and its entries are its own.
        unsafe {
            let first = dispatcher::rundown_queue(port.cast());
            let mut entry = first;
            while !entry.is_null() {
                let next = (*entry).Flink;
                drop(Box::from_raw(entry.cast::<Entry>()));
                entry = if next == first { null_mut() } else { next };
            }
        }
    },
};

/// Queues a packet.
///
/// # Safety
/// `port` is a live port.
unsafe fn insert(port: *mut c_void, packet: Packet) {
    let links = LIST_ENTRY {
        Flink: null_mut(),
        Blink: null_mut(),
    };
    let entry = Box::into_raw(Box::new(Entry { links, packet }));
    // SAFETY: contract; a new entry.
    unsafe { dispatcher::insert_queue("IoSetIoCompletion", port.cast(), entry.cast(), false) };
}

/// Takes the first packet (`NtRemoveIoCompletion`), and waits for one; `timeout` is that of a wait.
///
/// # Errors
/// `STATUS_TIMEOUT`.
///
/// # Safety
/// `port` is a live port.
pub unsafe fn remove(port: *mut c_void, timeout: Option<i64>) -> Result<Packet, NTSTATUS> {
    // SAFETY: contract.
    let entry = unsafe { dispatcher::remove_queue(port.cast(), timeout, 0) }?;
    // SAFETY: an entry of `insert`, which is in no list any more.
    let entry = unsafe { Box::from_raw(entry.cast::<Entry>()) };
    Ok(entry.packet)
}

/// Held where the context of a file is looked at or exchanged.
static CONTEXTS: Mutex<()> = Mutex::new(());

fn lock() -> MutexGuard<'static, ()> {
    CONTEXTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True if the file is on a port.
///
/// # Safety
/// `file` is alive.
pub unsafe fn has_port(file: *mut FILE_OBJECT) -> bool {
    let _held = lock();
    // SAFETY: contract.
    !unsafe { (*file).CompletionContext }.is_null()
}

/// Puts the file on `port`, with the key of its packets, and takes it off the one that it was on if `replaces`. Null
/// takes it off.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` if it is on one already.
///
/// # Safety
/// `file` and `port` are alive.
pub unsafe fn put_on(
    file: *mut FILE_OBJECT,
    port: *mut c_void,
    key: *mut c_void,
    replaces: bool,
) -> Result<(), NTSTATUS> {
    let mut made: *mut IO_COMPLETION_CONTEXT = null_mut();
    if !port.is_null() {
        made = pool::allocate_for_box(size_of::<IO_COMPLETION_CONTEXT>()).cast();
        // SAFETY: contract; a new block of this size.
        unsafe {
            lifetime::reference(port);
            (*made).Port = port;
            (*made).Key = key;
        }
    }
    let held = lock();
    // SAFETY: contract; under the lock.
    let before = unsafe { (*file).CompletionContext };
    let refused = !before.is_null() && !replaces;
    if !refused {
        // SAFETY: as above.
        unsafe { (*file).CompletionContext = made };
    }
    drop(held);
    // SAFETY: the one of the two that nobody knows any more.
    unsafe { free(if refused { made } else { before }) };
    if refused {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(())
}

/// # Safety
/// `context` is null or one of [`put_on`], which no file has.
unsafe fn free(context: *mut IO_COMPLETION_CONTEXT) {
    if !context.is_null() {
        // SAFETY: contract.
        unsafe {
            lifetime::dereference((*context).Port);
            pool::free_for_box(context.cast());
        }
    }
}

/// The file object goes.
///
/// # Safety
/// `file` is being deleted.
pub(super) unsafe fn file_goes(file: *mut FILE_OBJECT) {
    // SAFETY: contract: nobody else has it.
    unsafe {
        free(std::mem::replace(
            &mut (*file).CompletionContext,
            null_mut(),
        ))
    };
}

/// A request of the file has ended: leaves a packet if the file is on a port and the request was given a context, but
/// for one that has succeeded `at_once` where the file was told that it needs none.
///
/// # Safety
/// `file` is null or alive.
pub unsafe fn request_ended(
    file: *mut FILE_OBJECT,
    context: *mut c_void,
    status: IO_STATUS_BLOCK,
    at_once: bool,
) {
    if file.is_null() || context.is_null() {
        return;
    }
    let held = lock();
    // SAFETY: contract; under the lock.
    let (completion, flags) = unsafe { ((*file).CompletionContext, (*file).Flags) };
    if completion.is_null() || at_once && flags & FO_SKIP_COMPLETION_PORT != 0 {
        return;
    }
    // SAFETY: the file's, under the lock.
    let (port, key) = unsafe { ((*completion).Port, (*completion).Key) };
    // SAFETY: the file keeps its port, until the lock is given back.
    unsafe { lifetime::reference(port) };
    drop(held);
    let packet = Packet {
        key,
        context,
        status,
    };
    // SAFETY: referenced.
    unsafe { insert(port, packet) };
    // SAFETY: the reference from above.
    unsafe { lifetime::dereference(port) };
}
