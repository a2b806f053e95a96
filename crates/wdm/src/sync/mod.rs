//! Waiting and exclusion. What may block asks for a [`crate::irql::Passive`] token.

mod event;
mod mutex;
mod rundown;

pub(crate) use event::Event;
pub use event::delay;
pub use mutex::Mutex;
pub(crate) use rundown::Rundown;
