//! Counters and rings that requests write into without ever waiting.
//!
//! What observation needs but the kernel does not provide, so that it is tested on any host: the
//! driver brings memory, processors and time. There is no `unsafe` and no allocation. The feature
//! `model` builds the same code on the atomics of `loom`, which tries every interleaving.
//!
//! | module | is |
//! |---|---|
//! | [`counters`] | what is counted of one operation |
//! | [`budget`] | how much memory is kept, and may be |
//! | [`ring`] | records of one processor, from many writers to one reader |
//! | [`doorbell`] | how a reader sleeps without missing a record |
//! | [`stamp`] | when a request began, and which it is, in one word |
//! | [`pattern`] | names with `*` and `?` |

#![no_std]

#[cfg(feature = "model")]
extern crate std;

pub mod budget;
pub mod counters;
pub mod doorbell;
pub mod pattern;
pub mod ring;
pub mod stamp;

mod atomic {
    #[cfg(not(feature = "model"))]
    pub use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
    #[cfg(feature = "model")]
    pub use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
}

/// The atomic words that a [`ring::Ring`] is made of.
pub use atomic::AtomicU64;
