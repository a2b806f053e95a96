//! Waiting and exclusion. What may block asks for a [`crate::irql::Passive`] token.

mod event;
mod guest;
mod mutex;
mod rundown;
mod spin_lock;

pub(crate) use event::Event;
pub use event::delay;
pub use guest::{Guest, Look};
pub use mutex::Mutex;
pub(crate) use rundown::Rundown;
pub use spin_lock::SpinLock;
