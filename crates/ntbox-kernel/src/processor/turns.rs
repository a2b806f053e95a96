//! Two threads that take turns: every order of a race, one after the other.
//!
//! [`run`] lets one of two threads run at a time. They change over where a
//! [`Plan`] says, counted in [`point`]s: places where a thread is about to look
//! at or change what all threads share, such as a device stack, a VPB, an event
//! or a request. A thread that has to wait hands over of itself. So a race
//! between the two is not hoped for but walked through, by trying every plan
//! with [`every_plan`].
//!
//! Threads that take no part (workers, DPCs) run freely, and at
//! `DISPATCH_LEVEL` and above, where a thread may hold spin locks, nobody
//! changes over. Outside of [`run`] a point costs one load.

use super::irql;
use super::thread::{self, Thread};
use crate::nt::DISPATCH_LEVEL;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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

/// The state of a run. `None`: nobody takes turns.
struct Turns {
    plan: Plan,
    changes: usize,
    /// Points until the next change.
    left: Option<u32>,
    /// Whose turn it is.
    turn: usize,
    threads: [Option<&'static Thread>; 2],
    waits: [bool; 2],
    ended: [bool; 2],
    /// For how much longer one stands still while the other lets time pass, in units of 100 ns.
    suspended: u64,
}

static TAKING_TURNS: AtomicBool = AtomicBool::new(false);
static TURNS: Mutex<Option<Turns>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

thread_local! {
    static PART: Cell<Option<usize>> = const { Cell::new(None) };
}

fn turns() -> MutexGuard<'static, Option<Turns>> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    /// Gives the turn to the other one if it can run.
    fn hand_over(&mut self, from: usize) {
        let other = 1 - from;
        if self.turn == from && !self.ended[other] {
            // One that waits gets the turn as well: it takes it when it has been woken.
            self.turn = other;
            CHANGED.notify_all();
        }
    }
}

/// Which of the two this thread is, if it takes part in a run.
fn part() -> Option<usize> {
    if TAKING_TURNS.load(Ordering::Relaxed) {
        PART.get()
    } else {
        None
    }
}

/// True if this thread takes part in a run: what it does is measured in points, not in time.
pub fn takes_part() -> bool {
    part().is_some()
}

/// This thread is about to look at or change what is shared. Holds no lock of the box.
#[inline]
pub fn point() {
    if let Some(me) = part() {
        reach_point(me);
    }
}

#[cold]
fn reach_point(me: usize) {
    if irql::current() >= DISPATCH_LEVEL {
        return;
    }
    let mut guard = turns();
    if let Some(turns) = guard.as_mut()
        && turns.turn == me
        && let Some(left) = &mut turns.left
    {
        *left -= 1;
        // A change to one that waits is none: the plan goes on at the next point.
        if *left == 0 {
            if turns.waits[1 - me] || turns.ended[1 - me] {
                *left = 1;
            } else {
                turns.left = turns.plan.get(turns.changes + 1).copied();
                turns.changes += 1;
                turns.hand_over(me);
            }
        }
    }
    drop(guard);
    wait_for_turn(me);
}

/// This thread is about to wait for another one. May be called under a lock of the box.
pub fn waits() {
    if let Some(me) = part()
        && let Some(turns) = turns().as_mut()
    {
        turns.waits[me] = true;
        turns.hand_over(me);
    }
}

/// `thread` has been woken: from now on it can run, whenever its host thread does. May be called
/// under a lock of the box.
pub fn woken(thread: &'static Thread) {
    if !TAKING_TURNS.load(Ordering::Relaxed) {
        return;
    }
    if let Some(turns) = turns().as_mut() {
        let is = |one: &Option<&'static Thread>| one.is_some_and(|one| std::ptr::eq(one, thread));
        if let Some(woken) = turns.threads.iter().position(is) {
            turns.waits[woken] = false;
        }
    }
}

/// This thread has what it waited for. Holds no lock of the box.
pub fn goes_on() {
    if let Some(me) = part() {
        if let Some(turns) = turns().as_mut() {
            turns.waits[me] = false;
            // The other one waits: nobody else would give the turn back.
            if turns.waits[1 - me] || turns.ended[1 - me] {
                turns.turn = me;
            }
            CHANGED.notify_all();
        }
        wait_for_turn(me);
    }
}

/// This thread lets so much time pass, in units of 100 ns: the other one does all that it can do meanwhile. What a
/// driver gives time to, such as a thread that has found a device and is about to call it, is done then; but in
/// [`run_suspended`], where it is done after [`SUSPENSION`].
pub fn long_time(interval: u64) {
    let Some(me) = part() else { return };
    if let Some(turns) = turns().as_mut()
        && turns.suspended > 0
    {
        turns.suspended = turns.suspended.saturating_sub(interval);
        return;
    }
    waits();
    let mut guard = turns();
    while guard
        .as_ref()
        .is_some_and(|turns| !turns.ended[1 - me] && !turns.waits[1 - me])
    {
        guard = CHANGED.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    drop(guard);
    goes_on();
}

fn wait_for_turn(me: usize) {
    let mut guard = turns();
    while guard
        .as_ref()
        .is_some_and(|turns| turns.turn != me && !turns.ended[1 - me] && !turns.waits[1 - me])
    {
        guard = CHANGED.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    if let Some(turns) = guard.as_mut() {
        turns.turn = me;
    }
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
    run_with(plan, 0, first, second)
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
    run_with(plan, SUSPENSION, first, second)
}

fn run_with<A: Send, B: Send>(
    plan: &[u32],
    suspended: u64,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> Ran<A, B> {
    let before = turns().replace(Turns {
        plan: plan.to_vec(),
        changes: 0,
        left: plan.first().copied(),
        turn: 0,
        threads: [None; 2],
        waits: [false; 2],
        ended: [false; 2],
        suspended,
    });
    assert!(before.is_none(), "two threads take turns already");
    TAKING_TURNS.store(true, Ordering::Relaxed);
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| take_part(1, second));
        let first = take_part(0, first);
        let second = second.join();
        (
            first,
            second.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    TAKING_TURNS.store(false, Ordering::Relaxed);
    let changes = turns().take().map_or(0, |turns| turns.changes);
    Ran {
        first,
        second,
        changes,
    }
}

/// Ends the part also when the thread panics, so that the other one goes on.
struct Ends(usize);

impl Drop for Ends {
    fn drop(&mut self) {
        PART.set(None);
        if let Some(turns) = turns().as_mut() {
            turns.ended[self.0] = true;
            turns.hand_over(self.0);
        }
        CHANGED.notify_all();
    }
}

fn take_part<R>(me: usize, body: impl FnOnce() -> R) -> R {
    let _ends = Ends(me);
    if let Some(turns) = turns().as_mut() {
        turns.threads[me] = Some(thread::current());
    }
    PART.set(Some(me));
    wait_for_turn(me);
    body()
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
    use std::collections::BTreeSet;
    use std::sync::{Mutex, MutexGuard};

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
