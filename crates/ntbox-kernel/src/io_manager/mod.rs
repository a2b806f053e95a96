//! The I/O manager: objects, drivers, devices and their stacks, requests in
//! both directions, volumes and their mounting.
//!
//! A request is allocated in [`irp`], goes down through [`call`] and comes back
//! through [`complete`] and [`second_stage`]; what both directions must agree
//! about it is kept by its [`tracker`], and [`checks`] reports what they find.
//! [`mount`] puts a file system's volume device on top of a storage device on
//! the first open, as the NT I/O manager does.

pub mod attachment;
pub mod byte_locks;
pub mod cache_pages;
pub mod call;
mod call_checks;
pub mod cancel;
mod cancel_checks;
pub mod checks;
pub mod complete;
mod complete_checks;
pub mod completion_port;
pub mod completion_states;
pub mod counters;
mod database;
mod description;
pub mod device;
pub mod device_checks;
pub mod driver;
pub mod early_cancel;
pub mod ecp;
pub mod error_log;
mod exchanged;
pub mod fast_io_checks;
pub mod fence;
pub mod file;
mod file_checks;
pub mod file_contexts;
pub mod file_name;
mod file_requests;
pub mod filter_callbacks;
pub mod forward;
pub mod history;
pub mod identity;
pub mod irp;
pub mod legacy_filters;
pub mod load;
pub mod lookup;
pub mod mdl;
pub mod media;
pub mod mount;
mod mount_checks;
mod mount_gate;
pub mod namespace;
mod outstanding;
pub mod own_request_checks;
pub mod own_waits;
pub mod pnp;
mod pnp_checks;
pub mod power;
pub mod program_memory;
pub mod query_name;
pub mod raw;
pub mod recognizer;
pub mod references;
pub mod registration;
pub mod remove_locks;
mod reparse;
pub mod request;
pub mod running;
pub mod second_stage;
pub mod sections;
pub mod settings;
pub mod shutdown;
mod slots;
pub mod stack;
mod stack_memory;
pub mod storage;
mod surprise_checks;
pub mod timer;
pub mod tracker;
pub mod unload;
pub mod unload_safe;
pub mod verification;
mod vpb;
pub mod witness;
pub mod work_item;
mod written;

#[cfg(test)]
mod tests;
