//! Queues that threads wait on.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::objects::timeout_at;
use crate::nt::{KQUEUE, LIST_ENTRY};
use crate::processor::{dispatcher, irql, points};

/// `KeInitializeQueue`: without a count, as many threads as there are processors.
pub unsafe extern "win64" fn initialize(queue: *mut KQUEUE, count: u32) {
    irql::require("KeInitializeQueue", 0);
    let count = if count == 0 { 64 } else { count };
    // SAFETY: the driver passes the memory of a queue.
    unsafe { dispatcher::initialize_queue(queue, count) }
}

/// `KeReadStateQueue`: how many entries there are.
pub unsafe extern "win64" fn read_state(queue: *mut KQUEUE) -> i32 {
    // SAFETY: the driver passes a queue.
    unsafe { dispatcher::read_state(queue.cast()) }
}

unsafe fn insert_at(
    ddi: &'static str,
    queue: *mut KQUEUE,
    entry: *mut LIST_ENTRY,
    at_head: bool,
    caller: usize,
) -> i32 {
    irql::require(ddi, caller);
    points::point();
    // SAFETY: the driver passes a queue, and an entry that is in no list.
    let before = unsafe { dispatcher::insert_queue(ddi, queue, entry, at_head) };
    points::point();
    before
}

/// `KeInsertQueue`.
pub unsafe extern "win64" fn insert(
    queue: *mut KQUEUE,
    entry: *mut LIST_ENTRY,
    caller: usize,
) -> i32 {
    // SAFETY: the driver's queue and entry.
    unsafe { insert_at("KeInsertQueue", queue, entry, false, caller) }
}

/// `KeInsertHeadQueue`.
pub unsafe extern "win64" fn insert_head(
    queue: *mut KQUEUE,
    entry: *mut LIST_ENTRY,
    caller: usize,
) -> i32 {
    // SAFETY: the driver's queue and entry.
    unsafe { insert_at("KeInsertHeadQueue", queue, entry, true, caller) }
}

/// `KeRemoveQueue`: an entry, or a status in its place.
pub unsafe extern "win64" fn remove(
    queue: *mut KQUEUE,
    _mode: i8,
    timeout: *const i64,
    caller: usize,
) -> *mut LIST_ENTRY {
    irql::require("KeRemoveQueue", caller);
    // SAFETY: the driver passes a `LARGE_INTEGER` or null.
    let timeout = unsafe { timeout_at(timeout) };
    // SAFETY: the driver's queue.
    unsafe { dispatcher::remove_queue(queue, timeout, caller) }
        .unwrap_or_else(|status| std::ptr::without_provenance_mut(status as usize))
}

/// `KeRundownQueue`.
pub unsafe extern "win64" fn rundown(queue: *mut KQUEUE, caller: usize) -> *mut LIST_ENTRY {
    irql::require("KeRundownQueue", caller);
    points::point();
    // SAFETY: the driver's queue.
    let first = unsafe { dispatcher::rundown_queue(queue) };
    points::point();
    first
}
