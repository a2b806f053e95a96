//! The driver object, the driver's own state, and loading.
//!
//! [`Filter`] is what a filter driver implements. [`start`](start()) is called by its
//! DriverEntry; what it sets up is undone in reverse when a later step fails
//! (A11), because each step is a value that undoes itself when dropped.
//!
//! Requests and devices lie below [`Filter`], which names them: they know what it
//! [keeps](Keeps), and the routines that the system enters through call it.

pub(crate) mod filter;
pub(crate) mod keeps;
pub(crate) mod stacks;
mod start;
pub(crate) mod state;

pub use filter::Filter;
pub use keeps::Keeps;
pub use start::{DriverObject, RawStatus, RegistryPath, Start, start};
pub use state::Driver;
