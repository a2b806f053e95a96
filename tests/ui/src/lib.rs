//! What is right: the uses of `wdm` beside which the misuses in `examples` stand.
//!
//! Each file in `examples` is a program that differs from something here by one mistake, and the
//! compiler rejects it; its message is in the file of that name ending in `.stderr`. What is here
//! must compile. `tests/tests/ui.rs` sees to both.

#![no_std]

extern crate wdk_panic;

mod filter;
mod uses;

pub use filter::Plain;
pub use uses::{Logged, Renamed, answer, count, pass, pend, refuse, tell, wait};
