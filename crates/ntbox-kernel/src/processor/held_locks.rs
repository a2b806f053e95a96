//! The spin locks that a thread holds: how many, and the level it had before the first.
//!
//! Counted apart from the locks, because whoever lowers a level or has called a routine asks, and
//! knows no lock.

use crate::nt::Kirql;
use std::cell::Cell;

thread_local! {
    /// Locks held by this thread.
    static HELD: Cell<usize> = const { Cell::new(0) };
    /// IRQL at which the first of them was acquired.
    static BASE: Cell<Kirql> = const { Cell::new(0) };
}

/// Number of spin locks this thread holds.
#[inline]
pub fn count() -> usize {
    HELD.get()
}

/// The level at which the first of them was acquired.
#[inline]
pub fn base() -> Kirql {
    BASE.get()
}

/// Counts one more lock held by this thread, which ran at `base` before it.
#[inline]
pub fn acquired(base: Kirql) {
    let held = HELD.get();
    if held == 0 {
        BASE.set(base);
    }
    HELD.set(held + 1);
}

/// Counts one lock less.
#[inline]
pub fn released() {
    HELD.set(HELD.get().saturating_sub(1));
}
