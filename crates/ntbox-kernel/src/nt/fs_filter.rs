//! `FS_FILTER_CALLBACKS` with its routines in the Windows calling convention.
//!
//! A driver passes the size of the structure it was built with: 104 bytes
//! before `PreQueryOpen`/`PostQueryOpen` existed, 120 with them.

#![allow(
    non_snake_case,
    non_camel_case_types,
    clippy::allow_attributes,
    reason = "the names are the DDI's"
)]
#![allow(missing_docs, reason = "each entry is documented in the DDI reference")]

use super::metadata::{FS_FILTER_CALLBACK_DATA, NTSTATUS};
use std::ffi::c_void;

/// `PFS_FILTER_CALLBACK`.
pub type PreCallback =
    unsafe extern "win64" fn(*mut FS_FILTER_CALLBACK_DATA, *mut *mut c_void) -> NTSTATUS;
/// `PFS_FILTER_COMPLETION_CALLBACK`.
pub type PostCallback =
    unsafe extern "win64" fn(*mut FS_FILTER_CALLBACK_DATA, NTSTATUS, *mut c_void);

/// A pre and a post callback of one operation.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Pair {
    pub Pre: Option<PreCallback>,
    pub Post: Option<PostCallback>,
}

/// The FsFilter callbacks of a driver.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FS_FILTER_CALLBACKS {
    pub SizeOfFsFilterCallbacks: u32,
    pub Reserved: u32,
    pub AcquireForSectionSynchronization: Pair,
    pub ReleaseForSectionSynchronization: Pair,
    pub AcquireForCcFlush: Pair,
    pub ReleaseForCcFlush: Pair,
    pub AcquireForModifiedPageWriter: Pair,
    pub ReleaseForModifiedPageWriter: Pair,
    pub QueryOpen: Pair,
}

/// Size of the structure before `QueryOpen` was added.
pub const SIZE_WITHOUT_QUERY_OPEN: u32 = 104;

const _: () = assert!(
    size_of::<FS_FILTER_CALLBACKS>()
        == size_of::<windows_sys::Wdk::Storage::FileSystem::FS_FILTER_CALLBACKS>()
);
