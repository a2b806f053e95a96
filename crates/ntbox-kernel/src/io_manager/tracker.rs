//! What the two directions of a request must agree about.
//!
//! A dispatch routine returns and a request is completed in either order, on
//! any two threads, and the request may be gone when the dispatch routine
//! returns. Whether the location was marked pending is therefore decided where
//! both meet: [`Tracker::pass`] notes the mark when completion goes past a
//! location, [`Tracker::leave`] compares it with what the dispatch routine
//! returned. Whichever comes second sees both, and nothing is reported before
//! both are known:
//!
//! - STATUS_PENDING was returned ⇔ the location is marked when completion passes it;
//! - another status was returned ⇒ completion has passed the location.
//!
//! A location can be entered several times before it is passed (a driver
//! skipped its location: both share it and its mark) and passed several times
//! (a driver stopped completion and sent the request down again): each entry
//! remembers how often the location had been passed.
//!
//! The drivers that hold the request are known in the order in which they were
//! entered ([`Holder`]): the last one may complete it or pass it on, those above
//! may not until it has come back.
//!
//! A tracker outlives its IRP as long as a dispatch or completion routine of it
//! is on some thread's stack. Its lock is per request and held for a few
//! instructions.

#![expect(
    unsafe_code,
    reason = "a tracker is shared by counted pointers, as its IRP is"
)]

mod asked;
mod buffers;
mod disagreement;
mod reference;

pub use asked::{Asked, Heard};
pub use buffers::{Buffers, Ending, EndingFields, Fields};
pub use disagreement::{Disagreement, Whereabouts};
pub use reference::Reference;

use super::history::History;
use crate::nt::irp::control;
use crate::nt::{DEVICE_OBJECT, IO_STATUS_BLOCK, IRP, IrpExt, NTSTATUS};
use crate::processor::thread;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

/// The agreement about one request.
pub struct Tracker {
    locked: AtomicBool,
    inner: UnsafeCell<Inner>,
    /// What happened to the request.
    pub history: History,
}

// SAFETY: `inner` is only reached through the lock; the history is atomic.
unsafe impl Send for Tracker {}
// SAFETY: as above.
unsafe impl Sync for Tracker {}

/// State under the lock.
pub struct Inner {
    references: u32,
    /// The request, or null once it was freed.
    pub irp: *mut IRP,
    /// Where it lies, or lay: for reports, which do not trust it.
    pub address: *mut IRP,
    /// `IoCompleteRequest` calls so far.
    sequence: u32,
    /// A completion is between its steps, outside of completion routines.
    completing: bool,
    /// The originator has it back.
    finished: bool,
    /// One mistake is reported once, not again at each driver above.
    reported: bool,
    /// Who called `IoCompleteRequest` last.
    pub completed_at: usize,
    /// Where and in which thread that completion began.
    begun: (i8, u32),
    /// The buffers that it was sent with.
    pub buffers: Buffers,
    /// What it was sent to end with, of a request of the box.
    pub ending: Option<Ending>,
    /// The location for which `IoSetCompletionRoutineEx` failed, and who called it.
    refused: Option<(i8, usize)>,
    holders: Vec<Holder>,
    locations: Box<[Location]>,
}

/// Counts what happens to a request: what is equal has stayed where it was in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moves(u32);

/// A driver whose dispatch routine was entered, until completion has passed its location.
#[derive(Clone, Copy)]
pub struct Holder {
    /// Its location.
    pub number: i8,
    /// Its dispatch routine.
    pub dispatch: Dispatch,
    /// Who sent the request to it.
    pub sent_by: usize,
    /// The thread that entered the dispatch routine.
    pub thread: u32,
    /// An address above the routine's variables; 0 once it has returned.
    pub stack: usize,
    /// The event that the dispatch routine waits for without an end, or null, and who waits.
    pub waits: (usize, usize),
    /// The status of the request when it came.
    pub came_with: IO_STATUS_BLOCK,
}

impl Holder {
    /// True if `address` lies on the stack of its dispatch routine, which has not returned.
    pub fn has(&self, address: usize) -> bool {
        lies_on(address, self.stack)
    }
}

/// Bytes of a kernel stack that belong to a dispatch routine and what it calls.
const STACK: usize = 64 << 10;

/// True if `address` lies on the stack of a routine that `stack` is the upper end of.
fn lies_on(address: usize, stack: usize) -> bool {
    (stack.saturating_sub(STACK)..stack).contains(&address)
}

#[derive(Clone, Default)]
struct Location {
    /// Completions that went past it.
    passed: u32,
    /// For the last 32 of them, newest lowest, whether it was marked pending.
    marks: u32,
    /// Dispatch routines that were entered with it.
    entered: u32,
    /// What the driver below returned, if one was entered and has returned.
    lower_returned: Option<NTSTATUS>,
    /// Who sent the request to it last.
    sent_by: usize,
    /// What it asked for then.
    asked: Asked,
    /// A dispatch routine returned STATUS_PENDING, and it has not been passed since.
    pending: Option<Dispatch>,
    /// A completion routine of its driver continued without propagating PendingReturned.
    routine: usize,
    /// A completion routine of its driver has stopped completion and signalled nobody.
    unsignalled: usize,
    /// The request's status when completion passed it last.
    status: NTSTATUS,
    /// The thread of that completion if it began here, else 0.
    begun_by: u32,
}

/// A dispatch routine that was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The device it was entered for.
    pub device: *mut DEVICE_OBJECT,
    /// The routine's address.
    pub routine: usize,
}

/// An entered dispatch routine, until it returns.
pub struct Entry {
    /// The location it was entered with.
    pub number: i8,
    passed: u32,
    entered: u32,
    entered_below: u32,
    marked: bool,
    /// The dispatch routine.
    pub dispatch: Dispatch,
}

/// The lock of a tracker.
pub struct Guard<'a>(&'a Tracker);

impl Deref for Guard<'_> {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.0.inner.get() }
    }
}
impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        // SAFETY: the guard holds the lock.
        unsafe { &mut *self.0.inner.get() }
    }
}
impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}

impl Tracker {
    /// Takes the lock; it is held for a few instructions only.
    pub fn lock(&self) -> Guard<'_> {
        let mut spins = 0_u32;
        while self
            .locked
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            spins += 1;
            if spins.is_multiple_of(64) {
                std::thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
        }
        Guard(self)
    }
}

/// # Safety
/// `irp` is alive and has location `number`.
unsafe fn control_of(irp: *mut IRP, number: i8) -> u8 {
    // SAFETY: contract; the address is made from the request's alone.
    let location = unsafe { irp.location(number) };
    // SAFETY: contract.
    unsafe { (*location).Control }
}

impl Inner {
    fn location(&mut self, number: i8) -> Option<&mut Location> {
        self.locations.get_mut(usize::try_from(number).ok()?)
    }

    /// A dispatch routine is about to be entered with location `number`; `sent_by` called
    /// `IoCallDriver`, with nothing of the routine at or above `stack`.
    pub fn enter(
        &mut self,
        number: i8,
        control: u8,
        dispatch: Dispatch,
        (sent_by, stack): (usize, usize),
    ) -> Entry {
        let entered_below = self.location(number - 1).map_or(0, |below| below.entered);
        let mut entry = Entry {
            number,
            passed: 0,
            entered: 0,
            entered_below,
            marked: control & control::PENDING_RETURNED != 0,
            dispatch,
        };
        if let Some(location) = self.location(number) {
            location.entered = location.entered.wrapping_add(1);
            location.routine = 0;
            location.lower_returned = None;
            location.sent_by = sent_by;
            entry.passed = location.passed;
            entry.entered = location.entered;
        }
        if let Some(above) = self.location(number + 1) {
            above.unsignalled = 0;
        }
        self.holders.push(Holder {
            number,
            dispatch,
            sent_by,
            thread: thread::current().id(),
            stack,
            waits: (0, 0),
            // SAFETY: null, or not freed, which cannot happen while the lock is held.
            came_with: unsafe { self.irp.as_ref() }
                .map_or_else(Default::default, |irp| irp.IoStatus),
        });
        entry
    }

    /// The drivers that hold it, the highest first.
    pub fn holders(&self) -> &[Holder] {
        &self.holders
    }

    /// The dispatch routine that was entered with location `number` and is still running
    /// in the thread, or any thread for 0.
    pub fn running(&mut self, number: i8, thread: u32) -> Option<&mut Holder> {
        self.holders.iter_mut().rev().find(|holder| {
            holder.number == number && holder.stack != 0 && (thread == 0 || holder.thread == thread)
        })
    }

    /// The completion routine of the driver at location `number` stopped completion and has
    /// not signalled the event of its dispatch routine.
    pub fn set_unsignalled(&mut self, number: i8, routine: usize) {
        if let Some(location) = self.location(number) {
            location.unsignalled = routine;
        }
    }

    /// The completion routine of [`Inner::set_unsignalled`], or 0.
    pub fn unsignalled(&mut self, number: i8) -> usize {
        self.location(number)
            .map_or(0, |location| location.unsignalled)
    }

    /// True if the request is with the driver that was entered with location `number`.
    pub fn is_at(&self, number: i8) -> bool {
        let last = self.holders.last();
        last.is_some_and(|last| last.number == number)
    }

    /// How often the request was sent and completed so far.
    pub fn moves(&self) -> Moves {
        let entered = self.locations.iter().map(|location| location.entered);
        Moves(entered.fold(self.sequence, u32::wrapping_add))
    }

    /// True if the request is with the driver that was entered with location `number`, and unmarked.
    pub fn is_unmarked_at(&self, number: i8) -> bool {
        self.is_at(number) && !self.irp.is_null()
            // SAFETY: not freed and not passed, and neither can happen while the lock is held.
            && unsafe { control_of(self.irp, number) } & control::PENDING_RETURNED == 0
    }

    /// A dispatch routine is about to be entered with location `number`, which asks for this.
    pub fn set_asked(&mut self, number: i8, asked: Asked) {
        if let Some(location) = self.location(number) {
            location.asked = asked;
        }
    }

    /// What location `number` asked for when a dispatch routine was last entered with it.
    pub fn asked(&mut self, number: i8) -> Asked {
        self.location(number)
            .map_or_else(Asked::default, |location| location.asked)
    }

    /// True for the number of who has sent the request, and has no location in it.
    pub fn is_senders(&self, number: i8) -> bool {
        usize::try_from(number).is_ok_and(|number| number >= self.locations.len())
    }

    /// Of the driver whose dispatch routine returns.
    pub fn heard(&mut self, entry: &Entry) -> Heard {
        let number = entry.number;
        let Some(here) = self.location(number) else {
            return Heard::Later;
        };
        let (shared, passed) = (here.entered != entry.entered, here.passed != entry.passed);
        let below = self.location(number - 1).map(|below| below.entered);
        let sent_below = below.is_some_and(|entered| entered != entry.entered_below);
        match (shared, sent_below) {
            (true, _) => Heard::Never,
            (false, true) if self.asked(number - 1).invoke == 0 => Heard::Never,
            (false, true) if passed => Heard::Already,
            _ => Heard::Later,
        }
    }

    /// `IoCompleteRequest` was called by `site` at location `number`: the number of this
    /// completion, or `None` if the request is being completed or was finished already.
    pub fn begin_completion(&mut self, site: usize, number: i8) -> Option<u32> {
        if self.completing || self.finished {
            return None;
        }
        self.sequence += 1;
        self.completing = true;
        self.refused = None;
        self.completed_at = site;
        self.begun = (number, thread::current().id());
        Some(self.sequence)
    }

    /// Completion goes past location `number`; the request's status is `status`.
    pub fn pass(&mut self, number: i8, control: u8, status: NTSTATUS) -> Option<Disagreement> {
        while self.holders.pop_if(|last| last.number <= number).is_some() {}
        let marked = control & control::PENDING_RETURNED != 0;
        let (begun_at, begun_by) = self.begun;
        let location = self.location(number)?;
        location.marks = location.marks << 1 | u32::from(marked);
        location.passed = location.passed.wrapping_add(1);
        location.status = status;
        location.begun_by = if begun_at == number { begun_by } else { 0 };
        let routine = location.routine;
        let dispatch = location.pending.take()?;
        if marked {
            return None;
        }
        self.once(Disagreement::PendingNotMarked { dispatch, routine })
    }

    /// True if a driver was ever entered with the request.
    pub fn was_sent(&self) -> bool {
        self.locations.iter().any(|location| location.entered != 0)
    }

    /// True if the driver at location `number` has sent the request below since it was entered.
    pub fn was_sent_below(&self, number: i8) -> bool {
        let below = usize::try_from(number - 1).ok();
        let below = below.and_then(|below| self.locations.get(below));
        below.is_some_and(|below| below.entered != 0)
    }

    /// The status that the request came back with to the driver at location `number`, which has sent it below.
    pub fn status_below(&self, number: i8) -> Option<NTSTATUS> {
        let below = usize::try_from(number - 1).ok()?;
        let below = self.locations.get(below)?;
        (below.entered != 0).then_some(below.status)
    }

    /// Who sent the request to location `number` last.
    pub fn sent_by(&mut self, number: i8) -> usize {
        self.location(number).map_or(0, |location| location.sent_by)
    }

    /// `IoSetCompletionRoutineEx` failed for location `number`, or a routine was set there.
    pub fn set_refused(&mut self, number: i8, site: Option<usize>) {
        self.refused = site.map(|site| (number, site));
    }

    /// The request is passed on: the location for which no routine could be set since it was last
    /// passed on or completed, and who was told so.
    pub fn take_refused(&mut self) -> Option<(i8, usize)> {
        self.refused.take()
    }

    /// A completion routine is about to be called: it may complete the request itself.
    pub fn hand_over(&mut self) {
        self.completing = false;
    }

    /// The completion routine of the driver at location `above` continued; `pending`
    /// is the PendingReturned that it saw. False if it, or someone it gave the request
    /// to, has completed it meanwhile.
    pub fn resume(&mut self, sequence: u32, above: i8, pending: bool, routine: usize) -> bool {
        let owned = self.sequence == sequence && !self.completing && !self.finished;
        if !owned || self.irp.is_null() {
            return false;
        }
        self.completing = true;
        if !pending {
            return true;
        }
        let irp = self.irp;
        // The originator, above the top, has no location to mark.
        if let Some(location) = self.location(above) {
            // SAFETY: not freed, and the completion that resumes owns the request.
            let control = unsafe { control_of(irp, above) };
            if control & control::PENDING_RETURNED == 0 {
                location.routine = routine;
            }
        }
        true
    }

    /// Completion went past the top: the second stage begins.
    pub fn finish(&mut self) {
        self.completing = false;
        self.finished = true;
    }

    /// The owner starts again with it (`IoReuseIrp`, `IoInitializeIrp`).
    pub fn restart(&mut self) {
        self.completing = false;
        self.finished = false;
        self.reported = false;
        self.refused = None;
        self.holders.clear();
    }

    /// It was sent to a driver and nobody has completed it past the top or stopped it there.
    pub fn is_being_completed(&self) -> bool {
        self.completing
    }
    /// The originator has it back.
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}

#[cfg(test)]
mod tests;
