//! Requests as values that can only be used up.
//!
//! [`Irp`] is a request that a dispatch routine owns. It cannot be copied or
//! sent away, and each way to part with it consumes it: refuse it, forward it
//! with or without a completion, forward it and wait, pend it. Each gives the
//! one [`Disposition`] that the dispatch routine must return, so that a request
//! is passed on or completed exactly once (D5), is not touched afterwards (C12),
//! and returns the status that belongs to what was done (D4):
//!
//! | what | stack location | completion routine | returned |
//! |---|---|---|---|
//! | [`Irp::refuse`] | – | – | the error of completion |
//! | [`Irp::forward`] | skipped | none (C1) | what the lower driver returned |
//! | [`Irp::forward_with`] | copied | propagating (C5) | what the lower driver returned |
//! | [`Irp::forward_and_wait`] | copied | waiting (C6) | the final status, after completion |
//! | [`Irp::pend_and_forward`] | copied, marked | pended (C8 b) | STATUS_PENDING |
//!
//! Each but the waiting one asks for the level at which a dispatch routine runs, without doing anything with it:
//! while a spin lock is held that level is lent to the lock ([`crate::sync::SpinLock::with`]), and drivers below
//! or above must not be called then (D6, D9).
//!
//! What a request lends goes with it: its filter device, its file object and its parameters are borrowed
//! from the `Irp`. A file system may delete its volume device while it handles the last close, and
//! FastIoDetachDevice has then deleted the filter device when the call returns (A9). What stays is the
//! driver's state.
//!
//! [`ControlIrp`] is a request for the control device, which is completed there.
//!
//! `crates/wdm/example` is a driver that uses each, and that the tests run.
//!
//! A request of the driver's own is no `Irp`: [`ask`] allocates it, waits for its answer, and
//! frees it in the completion routine (C8 c).
//!
//! Source: "Handling IRPs", "Using IRP Completion Routines".

/// A module of the example driver, as documentation: it is built and run as a driver by the tests,
/// because nothing here runs as a doctest.
macro_rules! example {
    ($file:literal) => {
        concat!(
            "# Example\n```ignore\n",
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/example/src/", $file)),
            "```"
        )
    };
}

mod came;
pub(crate) mod completed;
mod control;
mod device_control;
mod disposition;
mod file_object;
pub(crate) mod lasting;
mod major;
mod mounted;
mod own;
mod parameters;
mod parked;
mod pended;
pub(crate) mod raw;
mod request;

pub use came::Came;
pub use completed::{CompletedIrp, ReturnedIrp};
pub use control::ControlIrp;
pub use device_control::{DeviceControl, DirectOutput};
pub use disposition::Disposition;
pub(crate) use disposition::complete;
pub use file_object::{FileObject, is_within_file_system};
pub use lasting::Lasting;
pub use major::Major;
pub use mounted::MountedVolume;
pub use own::{Question, ask};
pub use parameters::FileSystemControl;
pub use parked::Parking;
pub use pended::{PendedIrp, PendedWork, Resumed};
pub use request::Irp;
