//! What programs do to the volumes, and what they see of it.
//!
//! Every thread works in a directory of its own and takes every decision from
//! its own seed, so that what it observes does not depend on how threads
//! interleave. Each request's result is recorded ([`observed`]); the same plan
//! run on a bare stack and under a filter must record the same.
//!
//! - [`plan`]: a real tree of host files, split over threads;
//! - [`tree`]: copies it into a volume, reads it back, compares with the host,
//!   renames and deletes;
//! - [`scenarios`]: locks, watches, cancellation, all information classes;
//! - [`random`]: seeded random operations on a few files;
//! - [`program`]: programs of operations that can be shrunk, for `ntbox diff`;
//! - [`systematic`]: every choice of the file system for every small program;
//! - [`run`]: threads, progress, results;
//! - [`bench`]: what one request costs with and without the drivers above.

pub mod bench;

pub mod layout;
mod mapped;
pub mod media;
pub mod observed;
pub mod plan;
pub mod program;
mod progress;
pub mod random;
pub mod run;
pub mod scenarios;
mod sequences;
pub mod systematic;
pub mod tree;
pub mod worker;

pub use observed::{Difference, Log, compare};
pub use plan::Plan;
pub use progress::Progress;
pub use run::{Run, RunResult, Workload, run};
