//! Two threads that take turns: every order of a race, one after the other.
//!
//! [`run`] lets one of two threads run at a time. They change over where a
//! [`Plan`] says, counted in [points](points::point): places where a thread is about to look
//! at or change what all threads share, such as a device stack, a VPB, an event
//! or a request. A thread that has to wait hands over of itself. So a race
//! between the two is not hoped for but walked through, by trying every plan
//! with [`every_plan`].

mod within;

pub use within::{Met, run_within};

use super::points::{self, Within};
use super::thread;

/// After how many points the first thread hands over, and then the second one. Without an entry
/// a thread runs until it ends or waits.
pub type Plan = Vec<u32>;

/// How much time may pass in [`run_suspended`] before who stands still goes on: ten seconds, in units of 100 ns. More
/// than any driver lets pass because it takes something for done by then; who looks again and again
/// whether it is sees it at last.
pub const SUSPENSION: u64 = 100_000_000;

/// What became of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran<A, B> {
    /// Result of the first thread.
    pub first: A,
    /// Result of the second thread.
    pub second: B,
    /// Entries of the plan that were used up; the rest came too late.
    pub changes: usize,
}

/// Runs both to the end, in the order of the plan. One run at a time in a process.
///
/// # Panics
/// If one of them panics, or the last run has not ended.
pub fn run<A: Send, B: Send>(
    plan: &[u32],
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> Ran<A, B> {
    run_with(plan, 0, None, first, second).0
}

/// As [`run`], but the one whose turn it is not stands still also while the other one lets time pass, up to
/// [`SUSPENSION`], as if a debugger had suspended it: what is given a shorter time is not done then.
///
/// # Panics
/// As [`run`].
pub fn run_suspended<A: Send, B: Send>(
    plan: &[u32],
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> Ran<A, B> {
    run_with(plan, SUSPENSION, None, first, second).0
}

/// The second result: whether the first thread has been followed, as `within` says.
fn run_with<A: Send, B: Send>(
    plan: &[u32],
    suspended: u64,
    within: Option<Within>,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (Ran<A, B>, bool) {
    points::begin(plan, suspended, within);
    let thread = || thread::current().id();
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| points::take_part(1, thread(), second));
        let first = points::take_part(0, thread(), first);
        let second = second.join();
        (
            first,
            second.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    let (changes, followed) = points::end();
    let ran = Ran {
        first,
        second,
        changes,
    };
    (ran, followed)
}

/// Calls `attempt` with every plan of up to two changes; it runs the plan and returns how many of
/// its changes were made. How many plans there were.
pub fn every_plan(attempt: impl FnMut(&[u32]) -> usize) -> u32 {
    every_nth_plan(1, attempt)
}

/// As [`every_plan`], with one of `nth` second changes for each first one, in turn: where both threads go
/// through so many points that all plans are tens of thousands.
pub fn every_nth_plan(nth: u32, mut attempt: impl FnMut(&[u32]) -> usize) -> u32 {
    let mut plans = 1;
    attempt(&[]);
    for first in 1.. {
        plans += 1;
        if attempt(&[first]) == 0 {
            break;
        }
        for second in (1 + first % nth..).step_by(nth as usize) {
            plans += 1;
            if attempt(&[first, second]) < 2 {
                break;
            }
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::points::point;
    use std::collections::BTreeSet;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// One run at a time.
    fn alone() -> MutexGuard<'static, ()> {
        static ONE: Mutex<()> = Mutex::new(());
        ONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each thread writes its letter three times, at a point each.
    fn order(plan: &[u32]) -> (String, usize) {
        let written = Mutex::new(String::new());
        let write = |letter| {
            for _ in 0..3 {
                point();
                written.lock().expect("no panic").push(letter);
            }
        };
        let ran = run(plan, || write('a'), || write('b'));
        (written.into_inner().expect("no panic"), ran.changes)
    }

    #[test]
    fn a_plan_is_an_order() {
        let _alone = alone();
        for (plan, expected, changes) in [
            (&[][..], "aaabbb", 0),
            (&[1], "bbbaaa", 1),
            (&[3], "aabbba", 1),
            (&[2, 2], "abaabb", 2),
            (&[3, 4], "aabbba", 1),
            (&[4], "aaabbb", 0),
        ] {
            assert_eq!(order(plan), (expected.to_owned(), changes), "{plan:?}");
            assert_eq!(
                order(plan),
                (expected.to_owned(), changes),
                "again {plan:?}"
            );
        }
    }

    /// All orders in which the two change over at most twice are met, and no other.
    #[test]
    fn every_order_is_met() {
        let _alone = alone();
        let mut met = BTreeSet::new();
        every_plan(|plan| {
            let (order, changes) = order(plan);
            met.insert(order);
            changes
        });
        let mut expected = BTreeSet::new();
        for mask in 0_u32..64 {
            let letters: String = (0..6)
                .map(|bit| if mask >> bit & 1 == 0 { 'a' } else { 'b' })
                .collect();
            let runs = letters.chars().collect::<Vec<_>>();
            let runs = runs.chunk_by(|one, next| one == next).count();
            // a…b…a…b: the turn goes over twice at most by plan, and when a thread ends.
            if mask.count_ones() == 3 && runs <= 4 && (letters.starts_with('a') || runs <= 3) {
                expected.insert(letters);
            }
        }
        assert_eq!(met, expected);
    }

    /// A thread that waits hands over, and the plan goes on when it has been woken.
    #[test]
    fn who_waits_hands_over() {
        let _alone = alone();
        use crate::nt::KEVENT;
        use crate::processor::dispatcher;
        every_plan(|plan| {
            let mut event = KEVENT::default();
            let at = &raw mut event as usize;
            #[expect(unsafe_code, reason = "a local event, which outlives both threads")]
            // SAFETY: as above.
            unsafe {
                dispatcher::initialize_event(at as *mut KEVENT, true, false);
            }
            let ran = run(
                plan,
                || {
                    point();
                    #[expect(unsafe_code, reason = "a local event, which outlives both threads")]
                    // SAFETY: as above.
                    unsafe {
                        dispatcher::wait(&[at as *mut std::ffi::c_void], false, None, false)
                    }
                },
                || {
                    point();
                    #[expect(unsafe_code, reason = "a local event, which outlives both threads")]
                    // SAFETY: as above.
                    unsafe {
                        dispatcher::set_event(at as *mut KEVENT)
                    };
                    point();
                },
            );
            assert_eq!(ran.first, 0);
            ran.changes
        });
    }
}
