//! The fence around a request that a driver has given away.
//!
//! A request is the driver's again when a completion routine of it has stopped
//! completion; else it is not to be touched after `IoCallDriver` or
//! `IoCompleteRequest`, even while it is still there (with the driver below, or
//! with the originator, who frees it later); nor after it was marked pending and
//! given to a worker, who has sent it or completed it. Its pages cannot be closed,
//! as those who have it use them at the same time on other threads. So the thread
//! that gave it away is followed instruction by instruction from the return of
//! the call until its dispatch routine returns, but for what the kernel and other
//! routines do that this calls, and each access to the request is seen before it is done.
//!
//! Nothing is reported wrongly: at the access the tracker is asked whether the
//! request is the driver's, and it is as soon as its completion routine is
//! called, before that can tell the thread so. A worker may not have begun, or wait
//! for the thread: then nothing is concluded. Not seen: what the driver does in other
//! threads than that of its dispatch routine.

#![expect(
    unsafe_code,
    reason = "the tracker is kept by the dispatch routine that runs on this thread"
)]

use super::running;
use super::tracker::{Moves, Tracker};
use crate::nt::IRP;
use crate::pe_image::{self, Image, crossing};
use crate::processor::instruction;
use crate::processor::step::{self, Access, Next, STACK_POINTER, Step};
use crate::verifier::options::{self, Options};
use crate::verifier::rules;
use std::cell::Cell;
use std::ops::Range;

/// Instructions of the box until its return, and of the driver until it leaves, that are followed
/// at most: a driver may loop until somebody else is done.
const MOST_STEPS: u32 = 10_000;

/// How the request was given away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    /// `IoCallDriver`, by a driver that was the holder of this number, counted from 1.
    Passed(usize),
    /// `IoCompleteRequest`.
    Completed,
    /// A worker was given it, after this.
    Queued(Moves),
}

/// A request that is about to be given away.
pub struct Fence {
    tracker: *const Tracker,
    /// The request with its stack locations.
    request: Range<usize>,
    given: Given,
    /// Who gave it away.
    site: usize,
    image: &'static Image,
    /// Where the return address of the dispatch routine lies.
    return_slot: usize,
}

struct Watch {
    fence: Fence,
    /// The thread has come back to the driver.
    inside: bool,
    steps: u32,
}

thread_local! {
    static WATCH: Cell<Option<Watch>> = const { Cell::new(None) };
}

/// Before the driver at `site` passes on the request for which its dispatch routine runs.
///
/// # Safety
/// `irp` is the caller's.
pub(super) unsafe fn before_call(irp: *mut IRP, site: usize) -> Option<Fence> {
    // SAFETY: contract.
    let mut fence = unsafe { of(irp, site) }?;
    // SAFETY: as for `Watch::is_given_away`.
    let holders = unsafe { &*fence.tracker }.lock().holders().len();
    fence.given = Given::Passed(holders);
    Some(fence)
}

/// Before the driver at `site` completes the request for which its dispatch routine runs.
///
/// # Safety
/// As [`before_call`].
pub(super) unsafe fn before_completion(irp: *mut IRP, site: usize) -> Option<Fence> {
    // SAFETY: contract.
    unsafe { of(irp, site) }
}

/// Before the driver at `site` gives `context` to a worker, which leads to the request for which its dispatch routine
/// runs.
pub fn before_queueing(context: usize, site: usize) -> Option<Fence> {
    let irp = running::marked_and_led_to(context)?;
    // SAFETY: the dispatch routine, which was entered for it, has not given it away.
    let mut fence = unsafe { of(irp, site) }?;
    // SAFETY: as for `Watch::is_given_away`.
    let moves = unsafe { &*fence.tracker }.lock().moves();
    fence.given = Given::Queued(moves);
    Some(fence)
}

/// # Safety
/// As [`before_call`].
unsafe fn of(irp: *mut IRP, site: usize) -> Option<Fence> {
    if !options::on(Options::FENCE) {
        return None;
    }
    let tracker = running::dispatched(irp)?;
    let image = pe_image::image_at(site)?;
    let entered = crossing::entered();
    // A call that its routine ends with returns to no driver.
    if site == entered.routine {
        return None;
    }
    // SAFETY: contract.
    let bytes = usize::from(unsafe { (*irp).Size });
    Some(Fence {
        tracker,
        request: irp.addr()..irp.addr() + bytes,
        given: Given::Completed,
        site,
        image,
        return_slot: entered.return_slot,
    })
}

/// The call returns to the driver next: follows the thread from here.
pub fn put_up(fence: Option<Fence>) {
    let Some(fence) = fence else { return };
    let watch = Watch {
        fence,
        inside: false,
        steps: 0,
    };
    // A worker may take its time.
    if watch.is_given_away() || matches!(watch.fence.given, Given::Queued(_)) {
        // Followed for an earlier request, the thread would be interrupted in the middle of this.
        step::stop_watching();
        WATCH.set(Some(watch));
        step::watch(next);
    }
}

/// The dispatch routine has returned that a fence was put up in, whose request `tracker` is of.
pub(super) fn take_down(tracker: *const Tracker) {
    if !options::on(Options::FENCE) {
        return;
    }
    let watch = WATCH.take();
    if watch
        .as_ref()
        .is_some_and(|watch| std::ptr::eq(watch.fence.tracker, tracker))
    {
        step::stop_watching();
    } else {
        WATCH.set(watch);
    }
}

/// Called before each instruction of the thread.
fn next(step: &Step) -> Next {
    let Some(mut watch) = WATCH.take() else {
        return Next::Stop;
    };
    let next = watch.judge(step);
    if matches!(next, Next::GoOn | Next::Pause) {
        WATCH.set(Some(watch));
    }
    next
}

impl Watch {
    fn judge(&mut self, step: &Step) -> Next {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Next::Stop;
        }
        let slot = self.fence.return_slot;
        let returned = step.registers[STACK_POINTER] == (slot + size_of::<usize>()) as u64;
        let is_here = crossing::entered().return_slot == slot;
        if !is_here || !self.fence.image.contains(step.instruction) {
            return match (self.inside, returned) {
                (false, _) => Next::GoOn,
                (true, true) => Next::Stop,
                // The kernel, or what that calls.
                (true, false) => Next::Pause,
            };
        }
        self.inside = true;
        match instruction::accesses_in(step, &self.fence.request) {
            Some((address, writes)) if self.is_given_away() => Next::Report(Access {
                address,
                writes,
                rule: match self.fence.given {
                    Given::Passed(_) => &rules::TOUCHED_AFTER_CALL,
                    Given::Completed => &rules::TOUCHED_AFTER_COMPLETION,
                    Given::Queued(_) => &rules::TOUCHED_AFTER_QUEUEING,
                },
                offset: address - self.fence.request.start,
                given_by: self.fence.site,
            }),
            _ => Next::GoOn,
        }
    }

    /// True if the request is there and not the driver's. A freed one is a fault of its own.
    fn is_given_away(&self) -> bool {
        // SAFETY: the call of the dispatch routine, which has not returned to the box, keeps it.
        let inner = unsafe { &*self.fence.tracker }.lock();
        !inner.irp.is_null()
            && match self.fence.given {
                Given::Passed(holders) => inner.holders().len() != holders,
                Given::Completed => true,
                Given::Queued(moves) => inner.moves() != moves,
            }
    }
}
