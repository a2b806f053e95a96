//! How the calls of programs ended.

use ntbox_kernel::nt::{STATUS_CANCELLED, Status};
use ntbox_kernel::user::Outcome;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls.
    pub requests: u64,
    /// The stack returned STATUS_PENDING.
    pub pended: u64,
    /// Fast I/O answered.
    pub fast: u64,
    /// With an error status.
    pub failed: u64,
    /// With STATUS_CANCELLED.
    pub cancelled: u64,
}

/// Counts that grow.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    pended: AtomicU64,
    fast: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

impl Tally {
    /// Counts a call.
    pub fn note(&self, outcome: &Outcome) {
        let count = |counter: &AtomicU64, applies: bool| {
            if applies {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        count(&self.requests, true);
        count(&self.pended, outcome.pended);
        count(&self.fast, outcome.fast);
        count(&self.failed, Status(outcome.status).is_error());
        count(&self.cancelled, outcome.status == STATUS_CANCELLED);
    }

    /// The counts.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: of(&self.requests),
            pended: of(&self.pended),
            fast: of(&self.fast),
            failed: of(&self.failed),
            cancelled: of(&self.cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_kernel::nt::{STATUS_NO_MORE_FILES, STATUS_SUCCESS};

    #[test]
    fn calls_are_counted_by_how_they_end() {
        let tally = Tally::default();
        tally.note(&Outcome::early(STATUS_SUCCESS));
        tally.note(&Outcome::early(STATUS_NO_MORE_FILES));
        tally.note(&Outcome {
            pended: true,
            ..Outcome::early(STATUS_CANCELLED)
        });
        let counts = tally.counts();
        assert_eq!(
            (counts.requests, counts.failed, counts.cancelled),
            (3, 1, 1)
        );
        assert_eq!((counts.pended, counts.fast), (1, 0));
    }
}
