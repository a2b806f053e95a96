//! Points: where one of two threads that take turns may hand over.
//!
//! The places where a thread is about to look at or change what all threads
//! share, such as a device stack, a VPB, an event or a request, are a [`point`]
//! each, and who has to wait says so. Whose turn it is stands here; who takes
//! turns, and in which order, is said by [`super::turns`], for which this is
//! the lower floor: a wait knows it, and a thread waits.
//!
//! Threads that take no part (workers, DPCs) run freely, and at
//! `DISPATCH_LEVEL` and above, where a thread may hold spin locks, nobody
//! changes over. Without two that take turns a point costs one load.

use super::irql;
use crate::nt::DISPATCH_LEVEL;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A change in the middle of a driver's code.
#[derive(Clone, Copy)]
pub(super) struct Within {
    /// Points until the first thread is followed.
    pub(super) point: u32,
    /// Instructions from there until it hands over.
    pub(super) instructions: u32,
    /// Follows the thread for so many instructions, to [`change`] over then.
    pub(super) follow: fn(u32),
    /// Follows it no more.
    pub(super) let_go: fn(),
}

/// The state of a run. `None`: nobody takes turns.
struct Turns {
    plan: Vec<u32>,
    changes: usize,
    /// Points until the next change.
    left: Option<u32>,
    /// Whose turn it is.
    turn: usize,
    /// Their client ids.
    threads: [Option<u32>; 2],
    waits: [bool; 2],
    ended: [bool; 2],
    /// What comes instead of the plan, until the first thread is followed.
    within: Option<Within>,
    /// For how much longer one stands still while the other lets time pass, in units of 100 ns.
    suspended: u64,
}

static TAKING_TURNS: AtomicBool = AtomicBool::new(false);
static TURNS: Mutex<Option<Turns>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

thread_local! {
    static PART: Cell<Option<usize>> = const { Cell::new(None) };
    /// How this thread is let go that is followed.
    static LET_GO: Cell<Option<fn()>> = const { Cell::new(None) };
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

    /// The thread passes a point: what follows it from there.
    fn follows(&mut self, me: usize) -> Option<Within> {
        let within = self.within.as_mut().filter(|_| me == 0)?;
        within.point -= 1;
        self.within.take_if(|within| within.point == 0)
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
    let_go();
    let mut guard = turns();
    let follows = guard.as_mut().and_then(|turns| turns.follows(me));
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
    if let Some(within) = follows {
        LET_GO.set(Some(within.let_go));
        (within.follow)(within.instructions);
    }
}

fn let_go() {
    if let Some(let_go) = LET_GO.take() {
        let_go();
    }
}

/// This thread, which has been followed until here, hands over.
pub(super) fn change() {
    LET_GO.set(None);
    if let Some(me) = part() {
        if let Some(turns) = turns().as_mut() {
            turns.changes += 1;
            turns.hand_over(me);
        }
        wait_for_turn(me);
    }
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

/// The thread with this client id has been woken: from now on it can run, whenever its host thread does. May
/// be called under a lock of the box.
pub(super) fn woken(thread: u32) {
    if !TAKING_TURNS.load(Ordering::Relaxed) {
        return;
    }
    if let Some(turns) = turns().as_mut() {
        let woken = turns.threads.iter().position(|one| *one == Some(thread));
        if let Some(woken) = woken {
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
/// [`super::turns::run_suspended`], where it is done after [`super::turns::SUSPENSION`].
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

/// Two threads take turns from now on, in the order of `plan`; the first one has the first turn. For as long as
/// `suspended`, in units of 100 ns, who lets time pass does not wait for the other one. With `within` the first thread hands
/// over there besides, once.
///
/// # Panics
/// Two take turns already.
pub(super) fn begin(plan: &[u32], suspended: u64, within: Option<Within>) {
    let before = turns().replace(Turns {
        plan: plan.to_vec(),
        changes: 0,
        left: plan.first().copied(),
        turn: 0,
        threads: [None; 2],
        waits: [false; 2],
        ended: [false; 2],
        within,
        suspended,
    });
    assert!(before.is_none(), "two threads take turns already");
    TAKING_TURNS.store(true, Ordering::Relaxed);
}

/// Nobody takes turns any more. How many changes were made, and whether the first thread has been followed.
pub(super) fn end() -> (usize, bool) {
    TAKING_TURNS.store(false, Ordering::Relaxed);
    let turns = turns().take();
    turns.map_or((0, false), |turns| (turns.changes, turns.within.is_none()))
}

/// Ends the part also when the thread panics, so that the other one goes on.
struct Ends(usize);

impl Drop for Ends {
    fn drop(&mut self) {
        let_go();
        PART.set(None);
        if let Some(turns) = turns().as_mut() {
            turns.ended[self.0] = true;
            turns.hand_over(self.0);
        }
        CHANGED.notify_all();
    }
}

/// Does `body` as one of the two, on the thread with the client id `thread`: 0 is the first one, 1 the second.
pub(super) fn take_part<R>(me: usize, thread: u32, body: impl FnOnce() -> R) -> R {
    let _ends = Ends(me);
    if let Some(turns) = turns().as_mut() {
        turns.threads[me] = Some(thread);
    }
    PART.set(Some(me));
    wait_for_turn(me);
    body()
}
