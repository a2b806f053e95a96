//! A safe layer over `wdk-sys` for WDM file-system filter drivers.
//!
//! Kernel rules that C code keeps by discipline are kept here by types:
//!
//! | what goes wrong in C | what happens here |
//! |---|---|
//! | a request completed twice, touched after it was passed on, or forgotten | [`irp::Irp`] is consumed by each way to part with it, and only those make the [`irp::Disposition`] a dispatch routine returns; one that waits in an [`irp::Parking`] is taken out only to be completed |
//! | PendingReturned not propagated, or propagated where an event is signalled | [`completion`] has three trampolines; nobody writes a raw routine |
//! | waiting in a completion routine | what waits asks for an [`irql::Passive`] token that a completion routine does not have |
//! | paged context | [`pool::NonPagedBox`] is the only memory there is |
//! | half-done attach, leaked device | each step undoes itself when dropped |
//!
//! # Architecture
//! The system enters through private `extern "C"` shims: [`driver::start`]
//! (DriverEntry), `unload`, `dispatch`, the trampolines in [`completion`], `fast_io`,
//! `fs_filter`, `file_systems`, `sessions`. Each sheds its raw pointers and calls one
//! safe function of the driver's [`driver::Filter`].
//!
//! The shims lie above the filter, which names requests and devices; these lie below it,
//! and know of it what it [keeps](driver::Keeps): no files know each other in a circle.
//!
//! # Model
//! A driver has one control device, in whose extension its state lives, and any
//! number of filter devices, each attached above one device. Filter devices are
//! taken down by FastIoDetachDevice or by DriverUnload.
//!
//! # Errors
//! [`status::Status`] everywhere; it becomes an NTSTATUS at the shims. Nothing
//! here panics, and nothing allocates on the pass-through path unless the driver
//! may be unloaded.

//!
//! # Documentation
//! docs.rs has no WDK: under `cfg(docsrs)`, `docs_rs` stands in the place of `wdk-sys`.

#![no_std]

#[cfg(docsrs)]
extern crate self as wdk_sys;

mod client;
mod dispatch;
#[cfg(docsrs)]
mod docs_rs;
mod file_systems;
mod fs_filter;
mod mounts;
mod scale;
mod sessions;
mod slot;
mod unload;
mod work_item;

pub mod completion;
pub mod debugger;
pub mod device;
pub mod driver;
pub mod etw;
pub mod event_log;
pub mod fast_io;
pub mod irp;
pub mod irql;
pub mod list;
pub mod named_device;
pub mod pool;
pub mod process;
pub mod processors;
pub mod registry;
pub mod status;
pub mod sync;
pub mod time;
pub mod unicode;

#[cfg(docsrs)]
pub use docs_rs::GUID;
#[cfg(docsrs)]
#[expect(
    unused_imports,
    reason = "the crate stands for wdk_sys, whose names most bodies use"
)]
pub(crate) use docs_rs::*;
#[cfg(not(docsrs))]
pub use wdk_sys::GUID;

/// A GUID of its four parts.
#[must_use]
pub const fn guid(first: u32, second: u16, third: u16, last: [u8; 8]) -> GUID {
    GUID {
        Data1: first,
        Data2: second,
        Data3: third,
        Data4: last,
    }
}
