//! Waiting and exclusion. What may block asks for a [`crate::irql::Passive`] token.

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

/// What `door` is made of. Interlocked operations and loads that are sequentially consistent have one order,
/// so that nothing more is needed between them; loom knows no such order, and has a fence in these places.
mod atomic {
    pub use core::sync::atomic::{AtomicU64, Ordering};

    pub const fn after_the_way_in() {}
    pub const fn before_the_look() {}
}
