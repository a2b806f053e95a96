//! What a driver says.

#![no_std]

/// The first word of a greeting.
pub const GREETING: &str = if cfg!(feature = "polite") {
    "Good day"
} else {
    "Hello"
};
