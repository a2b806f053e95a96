//! The NT kernel as a file-system filter driver meets it, with a Driver Verifier inside.
//!
//! Drivers are PE images: [`pe_image`] maps one, binds its imports to [`exports`], and calls its
//! code natively. Nothing here knows a file system, a workload or a command line; a file system is
//! one more driver on this crate, and so is whatever a test puts into a stack.
//!
//! # The way of a request
//!
//! 1. [`user`] is the system services: `NtReadFile` of a program, or `ZwReadFile` of a driver, makes
//!    a request out of its arguments, and gives its result back at the end.
//! 2. [`io_manager`] allocates the IRP, calls the dispatch routine of the topmost device, and does
//!    what `IoCallDriver` and `IoCompleteRequest` do when a driver calls them through [`exports`].
//! 3. [`processor`] is where code runs: interrupt levels, DPCs, waits, APCs, threads. [`pool`] is
//!    what it allocates.
//! 4. [`host`] is the machine below: memory, files, and the faults of a driver's code.
//!
//! # The way of a violation
//!
//! Whoever notices one, a routine of [`exports`], a fault that [`host`] has caught, a location that
//! was left behind, names a rule of [`verifier`] and what it knows; the report is put together there.

// A table of exports takes a step for each.
#![recursion_limit = "256"]

pub mod etw;
pub mod exports;
pub mod host;
pub mod io_manager;
pub mod nt;
pub mod pe_image;
pub mod pool;
pub mod processor;
pub mod user;
pub mod verifier;
