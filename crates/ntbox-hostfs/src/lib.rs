//! `hostfs`: a native NT file-system driver over a host directory, and its adversary.
//!
//! Two layers. [`volume`] is the file system without IRPs: names ([`names`],
//! [`resolve`]), opening and closing ([`create`], [`close`]), data
//! ([`data`], [`cached`], [`mdl_transfers`]), information ([`query`], [`set`], [`rename`], [`links`],
//! [`volume_information`], [`security`], [`extended_attributes`]), reparse points ([`reparse`]), listings
//! ([`directory`]), directories that tell case apart ([`case_sensitive`]), sparse files ([`sparse`]),
//! short names ([`short_names`]), locks, oplocks and change notification
//! ([`locks`], [`oplocks`], [`notify`], [`control`]). [`hostfs`] and [`redirector`] are drivers on
//! top of it: [`dispatch`], [`mounting`], [`opening`], [`routines`] and [`fast_io`] take requests apart,
//! [`removal`] and [`media`] are what becomes of volumes whose device or medium goes,
//! [`context`] is what file objects point at, and [`pending`] completes requests
//! when and where the [`adversary`] says.
//!
//! It is a driver on [`ntbox_kernel`] and uses of it what any file system may: its devices are
//! reached by requests and fast I/O alone. It knows no filter and no workload; what a program wants
//! of the adversary comes with the identity of its request ([`ntbox_kernel::io_manager::identity`]).
//!
//! Nothing ever leaves the host directory, whatever a name or a link on the host
//! says: see [`resolve`].

pub mod adversary;
mod announced;
pub mod asked;
mod attribute_list;
pub mod buffers;
mod cached;
mod case_sensitive;
pub mod close;
pub mod context;
pub mod control;
pub mod create;
mod create_file;
pub mod data;
pub mod directory;
pub mod dispatch;
pub mod extended_attributes;
mod fast_call;
pub mod fast_io;
mod fast_locks;
pub mod host_status;
pub mod hostfs;
pub mod links;
pub mod locks;
mod lookup;
mod mdl_transfers;
mod media;
pub mod mounting;
pub mod names;
pub mod notify;
pub mod opening;
mod opens;
mod oplock_control;
pub mod oplock_levels;
pub mod oplocks;
mod overlay;
mod overlays;
pub mod pending;
pub mod query;
pub mod record;
pub mod redirector;
pub mod removal;
pub mod rename;
pub mod reparse;
pub mod request;
pub mod resolve;
pub mod routines;
pub mod security;
pub mod set;
pub mod setting;
pub mod share;
mod short_names;
mod sparse;
mod streams;
pub mod tally;
pub mod volume;
mod volume_devices;
pub mod volume_information;
pub mod waiting;
pub mod workers;

#[cfg(test)]
mod driver_tests;
#[cfg(test)]
mod volume_tests;

pub use hostfs::{add_network_volume, dismount, start};
