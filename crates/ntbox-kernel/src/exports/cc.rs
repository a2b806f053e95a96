//! `Cc`: the cache manager's routines.
//!
//! None is bound. The box has no cache manager: its file system serves fast I/O
//! itself, and a filter that drives the cache needs the real one. An import of
//! `Cc…` is reported by name when the driver is loaded.

super::table! {}
