//! Whether a dispatch routine that returns and the completion of its request agree.

#![expect(
    unsafe_code,
    reason = "the mark of a request that was not passed is read in place"
)]

use super::{Dispatch, Entry, Inner, control_of, lies_on};
use crate::nt::irp::control;
use crate::nt::{NTSTATUS, STATUS_PENDING, STATUS_SUCCESS};
use crate::processor::thread;

/// What the two directions disagree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// STATUS_PENDING was returned for a location that was passed without a mark;
    /// `routine` is the completion routine that did not propagate, or 0.
    PendingNotMarked {
        /// The dispatch routine.
        dispatch: Dispatch,
        /// The completion routine.
        routine: usize,
    },
    /// The location was marked, another status was returned.
    MarkedNotPending(Dispatch),
    /// The same, and the dispatch routine itself has completed the request.
    MarkedAndCompleted(Dispatch),
    /// STATUS_PENDING was returned by a dispatch routine that has completed the request, unmarked.
    CompletedAndPending(Dispatch),
    /// A worker was given the request before it was marked pending.
    MarkedAfterQueueing {
        /// The dispatch routine.
        dispatch: Dispatch,
        /// Who queued the work.
        queued: usize,
    },
    /// The dispatch routine returned while the lower driver has the request, whose completion routine gets
    /// an address on the stack that it returned from.
    ContextGone {
        /// The dispatch routine.
        dispatch: Dispatch,
        /// The completion routine.
        routine: usize,
        /// Who sent the request below.
        sent_by: usize,
    },
    /// A final status was returned before the request was completed.
    NotCompleted {
        /// The dispatch routine.
        dispatch: Dispatch,
        /// What becomes of it.
        whereabouts: Whereabouts,
    },
    /// Another final status was returned than the request was completed with.
    StatusDiffers {
        /// The dispatch routine.
        dispatch: Dispatch,
        /// The status of the request, or STATUS_PENDING that the lower driver returned for it.
        completed: NTSTATUS,
        /// The dispatch routine has completed it itself.
        by_itself: bool,
    },
}

/// Where a request is that a dispatch routine should have completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// With a lower driver.
    Below,
    /// With the driver, which has sent it nowhere and said that it failed.
    Here,
    /// With the driver, whose completion routine has stopped it on its way back.
    BackHere,
    /// With the driver, which says that it succeeded.
    HereAndSuccess,
}

impl Inner {
    /// True if the dispatch routine returned STATUS_PENDING for a request that it has not sent on.
    pub fn is_pended_above(&mut self, entry: &Entry, status: NTSTATUS) -> bool {
        let below = self
            .location(entry.number - 1)
            .map_or(0, |below| below.entered);
        let here = self
            .location(entry.number)
            .map_or(0, |location| location.entered);
        status == STATUS_PENDING && (here, below) == (entry.entered, entry.entered_below)
    }

    /// The dispatch routine returned `status`; `queued` gave the unmarked request to a worker.
    pub fn leave(
        &mut self,
        entry: &Entry,
        status: NTSTATUS,
        queued: usize,
    ) -> Option<Disagreement> {
        let found = self.judge(entry, status, queued);
        // The driver above has a location of its own, or shares this one.
        for number in [entry.number, entry.number + 1] {
            if let Some(location) = self.location(number) {
                location.lower_returned = Some(status);
            }
        }
        found
    }

    fn judge(&mut self, entry: &Entry, status: NTSTATUS, queued: usize) -> Option<Disagreement> {
        let dispatch = entry.dispatch;
        let irp = self.irp;
        let here = thread::current().id();
        let left = self
            .running(entry.number, here)
            .map_or(0, |holder| std::mem::take(&mut holder.stack));
        if let Some(gone) = self.context_gone(entry, left) {
            return self.once(gone);
        }
        let entered_below = self
            .location(entry.number - 1)
            .map_or(0, |below| below.entered);
        let is_below = self.holders.last().is_some_and(|last| {
            last.number < entry.number || last.number == entry.number && last.dispatch != dispatch
        });
        let location = self.location(entry.number)?;
        let shared = location.entered != entry.entered;
        let forwarded = shared || entered_below != entry.entered_below;
        let passes = location.passed.wrapping_sub(entry.passed);
        let passed = passes != 0;
        let by_itself = passed && !shared && location.begun_by == here;
        let completed = location.status;
        let below = location.lower_returned;
        let marked = if passed {
            passes <= 32 && location.marks >> (passes - 1) & 1 != 0
        } else if irp.is_null() {
            // Freed without being completed: whoever did that answers for it.
            return None;
        } else {
            // SAFETY: not passed and not freed, and neither can happen while the lock is held.
            unsafe { control_of(irp, entry.number) & control::PENDING_RETURNED != 0 }
        };
        match (status == STATUS_PENDING, passed) {
            (true, true) if !marked && by_itself => {
                self.once(Disagreement::CompletedAndPending(dispatch))
            }
            (true, true) if !marked => {
                let routine = location.routine;
                self.once(Disagreement::PendingNotMarked { dispatch, routine })
            }
            (true, false) if !marked && !forwarded => self.once(Disagreement::PendingNotMarked {
                dispatch,
                routine: 0,
            }),
            (true, _) if marked && queued != 0 => {
                self.once(Disagreement::MarkedAfterQueueing { dispatch, queued })
            }
            (true, false) => {
                location.pending.get_or_insert(dispatch);
                None
            }
            (false, true) if marked && !entry.marked && by_itself => {
                self.once(Disagreement::MarkedAndCompleted(dispatch))
            }
            (false, true)
                if marked && !entry.marked && forwarded && below == Some(STATUS_PENDING) =>
            {
                self.once(Disagreement::StatusDiffers {
                    dispatch,
                    completed: STATUS_PENDING,
                    by_itself,
                })
            }
            (false, true) if marked && !entry.marked => {
                self.once(Disagreement::MarkedNotPending(dispatch))
            }
            (false, true) if passes == 1 && status != completed => {
                self.once(Disagreement::StatusDiffers {
                    dispatch,
                    completed,
                    by_itself,
                })
            }
            (false, false) => {
                let whereabouts = match (is_below, status) {
                    (true, _) => Whereabouts::Below,
                    (false, STATUS_SUCCESS) => Whereabouts::HereAndSuccess,
                    (false, _) if forwarded => Whereabouts::BackHere,
                    (false, _) => Whereabouts::Here,
                };
                self.once(Disagreement::NotCompleted {
                    dispatch,
                    whereabouts,
                })
            }
            _ => None,
        }
    }

    /// `stack` is the upper end of what the dispatch routine has left.
    fn context_gone(&mut self, entry: &Entry, stack: usize) -> Option<Disagreement> {
        let is_below = self
            .holders
            .last()
            .is_some_and(|last| last.number < entry.number);
        let below = self.location(entry.number - 1)?;
        let ((routine, context), sent_by) = (below.asked.own, below.sent_by);
        let gone = is_below && lies_on(context, stack);
        gone.then_some(Disagreement::ContextGone {
            dispatch: entry.dispatch,
            routine,
            sent_by,
        })
    }

    pub(super) fn once(&mut self, disagreement: Disagreement) -> Option<Disagreement> {
        (!std::mem::replace(&mut self.reported, true)).then_some(disagreement)
    }
}
