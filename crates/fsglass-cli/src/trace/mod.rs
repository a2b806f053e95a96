//! A trace: live from the driver, or from a file. Both are the driver's answers, one after the other.
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | a request that completed, with all that is known of it |
//! | [`stream`] | answers in, events in the order of their completion out |
//! | [`filter`] | which of them are wanted |
//! | [`file`] | answers in a file |
//! | [`groups`] | events counted together: by process, file, operation |
//! | [`words`] | what was asked and answered, by its published names |
//! | [`print`] | events as text, JSON or CSV |
//! | [`chrome`] | events for Perfetto and `chrome://tracing` |

pub mod chrome;
pub mod event;
pub mod file;
pub mod filter;
pub mod groups;
pub mod print;
pub mod stream;
#[cfg(test)]
pub mod tests;
pub mod words;
