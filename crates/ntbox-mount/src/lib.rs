//! A volume of the box as a directory of the host (FUSE): any Linux program is a workload of the drivers above it.
//!
//! Each operation of the host's kernel becomes the calls that a Windows program, or a server for other systems'
//! clients, would make: [`server`] has them by subject, [`volume`] makes them. What POSIX knows and NT does not, the
//! Windows Subsystem for Linux has put into extended attributes and reparse points, and so has this
//! ([`metadata`], [`special`]). Names are [`names`]', errors [`errors`]'.
//!
//! [`fuse`] takes questions apart and answers them, while [`work`] counts them. [`nodes`] knows which names the host's kernel has for which file, [`open_files`] what it has open, [`locks`] what
//! it has locked. [`session`] mounts and serves, [`mount_point`] says why that cannot be, and [`last_words`] and
//! [`watcher`] leave no dead mount, however the process ends.

#![cfg(target_os = "linux")]

mod attributes;
mod bytes;
mod errors;
mod fuse;
mod last_words;
mod listing;
mod locks;
mod metadata;
mod mount_point;
mod names;
mod nodes;
mod open_files;
mod server;
mod session;
mod signals;
mod special;
mod tally;
mod times;
mod volume;
mod watcher;
mod work;

pub use mount_point::{Refused, check};
pub use session::{End, Mounted, mount};
pub use tally::Counts;
pub use watcher::watch;
