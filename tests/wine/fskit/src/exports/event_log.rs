//! The event log: entries are counted and thrown away. Wine has no log for drivers.

use crate::kernel::{allocate, free};
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::IO_ERROR_LOG_PACKET;

static ENTRIES: AtomicU32 = AtomicU32::new(0);
static LAST_CODE: AtomicU32 = AtomicU32::new(0);

/// How many entries there were, and the code of the last.
pub fn count() -> (u32, u32) {
    (
        ENTRIES.load(Ordering::Acquire),
        LAST_CODE.load(Ordering::Acquire),
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoAllocateErrorLogEntry(_object: *mut c_void, bytes: u8) -> *mut c_void {
    allocate(usize::from(bytes))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoWriteErrorLogEntry(entry: *mut c_void) {
    let code = (*entry.cast::<IO_ERROR_LOG_PACKET>()).ErrorCode;
    LAST_CODE.store(code as u32, Ordering::Release);
    ENTRIES.fetch_add(1, Ordering::AcqRel);
    free(entry);
}
