//! Waiting and exclusion. What may block asks for a [`crate::irql::Passive`] token.

mod atomic;
mod door;
mod event;
mod guest;
mod mutex;
mod region;
mod rundown;
mod spin_lock;

pub(crate) use event::Event;
pub use event::delay;
pub use guest::{Guests, Look};
pub use mutex::Mutex;
pub use region::unsuspended;
pub(crate) use rundown::Rundown;
pub use spin_lock::SpinLock;
