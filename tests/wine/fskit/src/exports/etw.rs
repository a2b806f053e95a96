//! Event tracing: providers are counted. Wine has no sessions for drivers, so that no event is asked for.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::{NTSTATUS, STATUS_SUCCESS};

static PROVIDERS: AtomicU32 = AtomicU32::new(0);

/// How many providers there are.
pub fn count() -> u32 {
    PROVIDERS.load(Ordering::Acquire)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn EtwRegister(
    _provider: *const c_void,
    _callback: *const c_void,
    _context: *mut c_void,
    handle: *mut u64,
) -> NTSTATUS {
    *handle = u64::from(PROVIDERS.fetch_add(1, Ordering::AcqRel)) + 1;
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn EtwUnregister(_handle: u64) -> NTSTATUS {
    PROVIDERS.fetch_sub(1, Ordering::AcqRel);
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn EtwSetInformation(
    _handle: u64,
    _class: i32,
    _information: *const c_void,
    _length: u32,
) -> NTSTATUS {
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn EtwWriteTransfer(
    _handle: u64,
    _event: *const c_void,
    _activity: *const c_void,
    _related: *const c_void,
    _count: u32,
    _data: *const c_void,
) -> NTSTATUS {
    STATUS_SUCCESS
}
