//! The NT I/O manager in a box: runs a legacy file-system filter `.sys` in a
//! process, over a model of the kernel that checks what Driver Verifier checks.
//!
//! | crate | is | may know |
//! |---|---|---|
//! | [`ntbox_kernel`] | the model of the kernel, and the verifier in it | the host, and nobody above |
//! | [`ntbox_hostfs`] ([`file_system`]) | the file system below the filter: a driver on the model | the kernel |
//! | `ntbox`, this one | what programs do with it all ([`workload`]): draw, record, compare, measure | both |
//! | the command, `src/main.rs` | arguments, files and what is printed | all three |
//!
//! Their parts are here under one name for whoever loads a driver in a test of his own.

pub mod coverage;
pub mod workload;

pub use ntbox_hostfs as file_system;
pub use ntbox_kernel::{
    etw, exports, host, io_manager, nt, pe_image, pool, processor, user, verifier,
};
