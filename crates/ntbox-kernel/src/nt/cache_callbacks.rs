//! `CACHE_MANAGER_CALLBACKS` with its routines in the Windows calling convention, and what is passed beside it.

#![allow(
    non_snake_case,
    non_camel_case_types,
    clippy::allow_attributes,
    reason = "the names are the DDI's"
)]
#![allow(missing_docs, reason = "each entry is documented in the DDI reference")]

use super::metadata::KEVENT;
use std::ffi::c_void;

/// `PACQUIRE_FOR_LAZY_WRITE`, `PACQUIRE_FOR_READ_AHEAD`.
pub type Acquire = unsafe extern "win64" fn(*mut c_void, u8) -> u8;
/// `PRELEASE_FROM_LAZY_WRITE`, `PRELEASE_FROM_READ_AHEAD`.
pub type Release = unsafe extern "win64" fn(*mut c_void);

/// What the lazy writer and the reader ahead call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CACHE_MANAGER_CALLBACKS {
    pub AcquireForLazyWrite: Option<Acquire>,
    pub ReleaseFromLazyWrite: Option<Release>,
    pub AcquireForReadAhead: Option<Acquire>,
    pub ReleaseFromReadAhead: Option<Release>,
}

/// The sizes of a cached file, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CC_FILE_SIZES {
    pub AllocationSize: i64,
    pub FileSize: i64,
    pub ValidDataLength: i64,
}

/// What is signaled when a cache has ended.
#[repr(C)]
pub struct CACHE_UNINITIALIZE_EVENT {
    pub Next: *mut CACHE_UNINITIALIZE_EVENT,
    pub Event: KEVENT,
}
