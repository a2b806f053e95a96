//! The NT I/O manager in a box: runs a legacy file-system filter `.sys` in a
//! process, over a model of the kernel that checks what Driver Verifier checks.
//!
//! The shipped PE image is mapped, its imports are bound to the routines in
//! [`exports`], and its code is called natively. Requests come from [`user`],
//! travel through the device stacks of [`io_manager`], and end in the host
//! directory of [`file_system`]; [`verifier`] reports what a driver gets wrong.

pub mod etw;
pub mod exports;
pub mod file_system;
pub mod host;
pub mod io_manager;
pub mod nt;
pub mod pe_image;
pub mod pool;
pub mod processor;
pub mod user;
pub mod verifier;
pub mod workload;
