//! Versions of the layouts.

/// The version of the layouts in this crate.
pub const VERSION: u32 = 2;

/// The oldest version of an answer to [`crate::code::TRACE_READ`] that [`crate::Trace::parse`] reads.
pub const OLDEST_TRACE: u32 = 1;
