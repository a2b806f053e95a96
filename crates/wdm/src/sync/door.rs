//! Who is inside, with one interlocked operation on the way in and none on the way out.
//!
//! Who goes in looks for what is there after he is in; who takes something away looks for who is inside
//! after it is away. So at least one of them sees the other, and who takes it away frees it when each door
//! that somebody was inside of has been left. He need not wait for that: a door that has been left once is
//! told from one that has not by its turn.
//!
//! There is no `unsafe` and no kernel here: `crates/observe/tests/model.rs` runs this file through every
//! interleaving of a few threads.

use super::atomic::{AtomicU64, Ordering, after_the_way_in, before_the_look};

/// A way in, for one thread at a time.
pub(crate) struct Door {
    /// Odd while somebody is inside; it grows with each way in and each way out.
    turn: AtomicU64,
}

/// Somebody is inside: from which turn on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn(u64);

impl Door {
    pub(crate) fn new() -> Self {
        Self {
            turn: AtomicU64::new(0),
        }
    }

    /// Goes in, unless somebody else is inside.
    pub(crate) fn enter(&self) -> Option<Turn> {
        let turn = self.turn.load(Ordering::Relaxed);
        let inside = turn.wrapping_add(1);
        let free = turn.is_multiple_of(2);
        let entered = free
            && self
                .turn
                .compare_exchange(turn, inside, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok();
        after_the_way_in();
        entered.then_some(Turn(inside))
    }

    /// Goes out.
    pub(crate) fn leave(&self, Turn(inside): Turn) {
        self.turn.store(inside.wrapping_add(1), Ordering::Release);
    }
}

/// Looks for those who may still use something that was taken away before, door by door.
#[derive(Clone, Copy)]
pub(crate) struct Search {
    /// The door that is looked at.
    at: usize,
    /// Who was inside there.
    inside: Option<Turn>,
}

impl Search {
    /// From the first door on.
    pub(crate) const fn new() -> Self {
        Self {
            at: 0,
            inside: None,
        }
    }

    /// Whether everybody has left who was inside when it began. Where somebody has not, the next call goes on
    /// from him.
    pub(crate) fn is_over<'d>(&mut self, doors: impl Iterator<Item = &'d Door>) -> bool {
        for door in doors.skip(self.at) {
            before_the_look();
            let turn = door.turn.load(Ordering::SeqCst);
            let now = Turn(turn);
            let left = turn.is_multiple_of(2) || self.inside.is_some_and(|before| before != now);
            if !left {
                self.inside = Some(now);
                return false;
            }
            self.inside = None;
            self.at += 1;
        }
        true
    }
}
