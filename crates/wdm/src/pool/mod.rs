//! Nonpaged memory, the only kind this crate can name (C4, P1).

mod arc;
mod block;
mod boxed;
mod once;
mod slice;

pub use arc::NonPagedArc;
pub use block::TAG;
pub(crate) use block::{allocate, free};
pub use boxed::NonPagedBox;
pub use once::SetOnce;
pub use slice::NonPagedSlice;
