//! The `Nt*` calls as a program makes them.
//!
//! Two layers. The `nt_*` functions are the system services: handles, raw
//! buffers and status blocks in, NTSTATUS out; they try fast I/O where NT does,
//! otherwise build the IRP with the flags, buffers and events NT gives it, send
//! it to the top of the stack and wait where NT waits. [`program`] is the
//! program on top: it owns its buffers and status blocks, and turns each call
//! into an [`Outcome`].
//!
//! - [`open`]: create, open, query attributes without a handle;
//! - [`transfer`], [`information`], [`volume`], [`directory`], [`locks`],
//!   [`control`], [`security`], [`section`], [`mdl_transfer`]: the services, by subject;
//! - [`ending`]: what tells the caller of a request that it has ended;
//! - [`paging`], [`cache`], [`page_file`]: the requests of the memory manager and of the cache manager;
//! - [`plug_and_play`]: devices that are taken out, pulled, and put in, and media that are exchanged;
//! - [`request`]: what the services share (`IopSynchronousServiceTail`).

pub mod access;
pub mod buffers;
pub mod cache;
pub mod cancel;
pub mod control;
pub mod directory;
pub mod ending;
pub mod event;
pub mod extended_attributes;
pub mod information;
pub mod locks;
pub mod mdl_transfer;
pub mod open;
pub mod outcome;
pub mod page_file;
pub mod paging;
mod plug_and_play;
mod process;
pub mod program;
pub mod quota;
pub mod request;
pub mod section;
pub mod security;
pub mod transfer;
pub mod volume;

#[cfg(test)]
mod tests;

pub use cancel::{nt_cancel_io_file, nt_cancel_io_file_ex};
pub use control::{nt_device_io_control_file, nt_fs_control_file};
pub use directory::{nt_notify_change_directory_file_ex, nt_query_directory_file};
pub use ending::Ending;
pub use information::{nt_query_information_file, nt_set_information_file};
pub use locks::{nt_lock_file, nt_unlock_file};
pub use open::{OpenRequest, nt_create_file, nt_query_full_attributes_file};
pub use outcome::Outcome;
pub use page_file::PageFile;
pub use paging::{PAGE, Writer};
pub use plug_and_play::{ask_what_nobody_knows, exchange_medium, plug_and_play};
pub use program::{
    CreateParameters, EndBy, File, Opened, Pending, View, create_file, query_attributes,
};
pub use request::nt_close;
pub use section::Mapping;
pub use security::{nt_query_security_object, nt_set_security_object};
pub use transfer::{nt_flush_buffers_file, nt_read_file, nt_write_file};
pub use volume::{nt_query_volume_information_file, nt_set_volume_information_file};
