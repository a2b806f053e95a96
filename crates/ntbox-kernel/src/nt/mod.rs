//! The structures and constants of the NT kernel, as the box sees them.
//!
//! Layouts come from `windows-sys` (Microsoft's own metadata, [`metadata`]), never from the
//! driver's bindings, so that an error in either side shows. Two things cannot
//! be taken from there and are defined here from the DDI reference:
//! `IO_STACK_LOCATION`, whose metadata ignores `POINTER_ALIGNMENT`
//! ([`stack_location`]), and the tables of function pointers, which need the
//! Windows calling convention on every host ([`routines`], [`fast_io`],
//! [`fs_filter`]).

pub mod cache_callbacks;
pub mod case;
pub mod extended_attributes;
pub mod fast_io;
pub mod file_id;
pub mod fs_filter;
pub mod irp;
mod metadata;
pub mod reparse;
pub mod routines;
pub mod stack_location;
pub mod status;
pub mod unicode;
pub mod version;

pub use cache_callbacks::{CACHE_MANAGER_CALLBACKS, CACHE_UNINITIALIZE_EVENT, CC_FILE_SIZES};
pub use fast_io::FAST_IO_DISPATCH;
pub use fs_filter::FS_FILTER_CALLBACKS;
pub use irp::IrpExt;
pub use metadata::*;
pub use stack_location::IO_STACK_LOCATION;
pub use status::Status;

/// `PASSIVE_LEVEL`, `APC_LEVEL`, `DISPATCH_LEVEL`, … as the kernel counts them.
pub type Kirql = u8;
/// Ordinary thread execution.
pub const PASSIVE_LEVEL: Kirql = 0;
/// Asynchronous procedure calls are held off.
pub const APC_LEVEL: Kirql = 1;
/// The dispatcher is held off: no wait, no page fault.
pub const DISPATCH_LEVEL: Kirql = 2;

/// Number of major function codes (`IRP_MJ_MAXIMUM_FUNCTION + 1`).
pub const MAJOR_FUNCTION_COUNT: usize = 28;
