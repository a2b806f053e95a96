//! In which states completion routines of drivers have seen requests: what a run has covered.
//!
//! Off unless a command asks for it ([`begin`]).

#![expect(unsafe_code, reason = "the request is read by pointer")]

use crate::nt::{
    DISPATCH_LEVEL, IRP, IrpExt, NTSTATUS, STATUS_CANCELLED, STATUS_MORE_PROCESSING_REQUIRED,
    Status,
};
use crate::processor::{irql, thread};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Success or information.
    Success,
    /// A warning.
    Warning,
    /// An error.
    Error,
    /// `STATUS_CANCELLED`.
    Cancelled,
}

const ENDED: [Ended; 4] = [
    Ended::Success,
    Ended::Warning,
    Ended::Error,
    Ended::Cancelled,
];

/// A request as a completion routine finds and leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// `PendingReturned`.
    pub pending_returned: bool,
    /// The routine runs at `DISPATCH_LEVEL`.
    pub at_dispatch: bool,
    /// It runs in the thread of the originator.
    pub in_originator: bool,
    /// Status of the request.
    pub ended: Ended,
    /// The routine returns `STATUS_MORE_PROCESSING_REQUIRED`.
    pub more_processing: bool,
}

/// All states there are.
pub const STATES: usize = 2 * 2 * 2 * 4 * 2;

static ON: AtomicBool = AtomicBool::new(false);
static SEEN: [AtomicU64; STATES] = [const { AtomicU64::new(0) }; STATES];

impl State {
    fn number(self) -> usize {
        let flags = [
            self.pending_returned,
            self.at_dispatch,
            self.in_originator,
            self.more_processing,
        ];
        flags.into_iter().fold(self.ended as usize, |number, flag| {
            number << 1 | usize::from(flag)
        })
    }
    fn of(number: usize) -> Self {
        let flag = |place: u32| number >> place & 1 != 0;
        Self {
            pending_returned: flag(3),
            at_dispatch: flag(2),
            in_originator: flag(1),
            more_processing: flag(0),
            ended: ENDED[number >> 4 & 3],
        }
    }
}

/// Counts from zero from now on.
pub fn begin() {
    for count in &SEEN {
        count.store(0, Relaxed);
    }
    ON.store(true, Relaxed);
}

/// The states seen since [`begin`], with how often.
pub fn seen() -> Vec<(State, u64)> {
    let counts = SEEN.iter().enumerate();
    counts
        .map(|(number, count)| (State::of(number), count.load(Relaxed)))
        .filter(|(_, count)| *count != 0)
        .collect()
}

/// The state of a request whose completion routine is about to be called, if that is counted.
///
/// # Safety
/// `irp` is the caller's, who completes it.
pub(super) unsafe fn entered(irp: *mut IRP) -> Option<State> {
    if !ON.load(Relaxed) {
        return None;
    }
    // SAFETY: contract.
    let header = unsafe { &*irp };
    // SAFETY: an integer whatever the union holds.
    let status = unsafe { header.IoStatus.Anonymous.Status };
    let ended = match status {
        STATUS_CANCELLED => Ended::Cancelled,
        status if Status(status).is_error() => Ended::Error,
        status if status < 0 => Ended::Warning,
        _ => Ended::Success,
    };
    // SAFETY: contract.
    let originator = unsafe { irp.thread() };
    Some(State {
        pending_returned: header.PendingReturned,
        at_dispatch: irql::current() >= DISPATCH_LEVEL,
        in_originator: originator == thread::current().object(),
        ended,
        more_processing: false,
    })
}

/// Counts the state of a request whose completion routine has returned `status`.
pub(super) fn returned(entered: Option<State>, status: NTSTATUS) {
    if let Some(state) = entered {
        let more_processing = status == STATUS_MORE_PROCESSING_REQUIRED;
        let state = State {
            more_processing,
            ..state
        };
        SEEN[state.number()].fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_number_of_its_own() {
        for number in 0..STATES {
            assert_eq!(State::of(number).number(), number);
        }
    }
}
