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
//! A tracker outlives its IRP as long as a dispatch or completion routine of it
//! is on some thread's stack. Its lock is per request and held for a few
//! instructions.

#![expect(
    unsafe_code,
    reason = "a tracker is shared by counted pointers, as its IRP is"
)]

use crate::nt::irp::control;
use crate::nt::{DEVICE_OBJECT, IRP, IrpExt, NTSTATUS, STATUS_PENDING};
use crate::verifier::history::History;
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
    locations: Box<[Location]>,
}

#[derive(Clone, Default)]
struct Location {
    /// Completions that went past it.
    passed: u32,
    /// For the last 32 of them, newest lowest, whether it was marked pending.
    marks: u32,
    /// Dispatch routines that were entered with it.
    entered: u32,
    /// A dispatch routine returned STATUS_PENDING, and it has not been passed since.
    pending: Option<Dispatch>,
    /// A completion routine of its driver continued without propagating PendingReturned.
    routine: usize,
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
    number: i8,
    passed: u32,
    entered: u32,
    entered_below: u32,
    marked: bool,
    dispatch: Dispatch,
}

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
    /// A final status was returned before the request was completed.
    NotCompleted {
        /// The dispatch routine.
        dispatch: Dispatch,
        /// The request had been passed to a lower driver.
        forwarded: bool,
    },
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

/// A counted pointer to a tracker.
pub struct Reference(*const Tracker);

impl Reference {
    /// The tracker of a new request; the reference is the request's own.
    pub fn new(irp: *mut IRP, stack_count: i8) -> Self {
        let count = usize::from(stack_count.unsigned_abs());
        // SAFETY: all-zero memory is an empty history, as its documentation says.
        let history: History = unsafe { std::mem::zeroed() };
        Self(Box::into_raw(Box::new(Tracker {
            locked: AtomicBool::new(false),
            inner: UnsafeCell::new(Inner {
                references: 1,
                irp,
                address: irp,
                sequence: 0,
                completing: false,
                finished: false,
                reported: false,
                completed_at: 0,
                locations: vec![Location::default(); count + 1].into_boxed_slice(),
            }),
            history,
        })))
    }
    /// One more reference to a tracker that its request keeps, and what `begin`
    /// does with it under the same lock.
    ///
    /// # Safety
    /// `tracker` is the one in the prefix of a live request.
    pub unsafe fn another<R>(
        tracker: *const Tracker,
        begin: impl FnOnce(&mut Inner) -> R,
    ) -> (Self, R) {
        // SAFETY: contract.
        let mut inner = unsafe { &*tracker }.lock();
        inner.references += 1;
        let result = begin(&mut inner);
        (Self(tracker), result)
    }
    /// Gives the reference back after `end`, under the same lock.
    pub fn release(self, end: impl FnOnce(&mut Inner)) {
        let pointer = self.into_raw();
        let left = {
            // SAFETY: the reference that is given back keeps it until then.
            let mut inner = unsafe { &*pointer }.lock();
            end(&mut inner);
            inner.references -= 1;
            inner.references
        };
        if left == 0 {
            // SAFETY: it came from Box::into_raw and that was the last reference.
            drop(unsafe { Box::from_raw(pointer.cast_mut()) });
        }
    }
    /// Leaves the count to the pointer that is returned.
    pub fn into_raw(self) -> *const Tracker {
        let pointer = self.0;
        std::mem::forget(self);
        pointer
    }
    /// Takes the count back.
    ///
    /// # Safety
    /// `tracker` came from [`Reference::into_raw`] and is not used that way again.
    pub unsafe fn from_raw(tracker: *const Tracker) -> Self {
        Self(tracker)
    }
}

impl Deref for Reference {
    type Target = Tracker;
    fn deref(&self) -> &Tracker {
        // SAFETY: the counted reference keeps it.
        unsafe { &*self.0 }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        Self(self.0).release(|_| {});
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

    /// A dispatch routine is about to be entered with location `number`.
    pub fn enter(&mut self, number: i8, control: u8, dispatch: Dispatch) -> Entry {
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
            entry.passed = location.passed;
            entry.entered = location.entered;
        }
        entry
    }

    /// The dispatch routine returned `status`.
    pub fn leave(&mut self, entry: &Entry, status: NTSTATUS) -> Option<Disagreement> {
        let dispatch = entry.dispatch;
        let irp = self.irp;
        let entered_below = self
            .location(entry.number - 1)
            .map_or(0, |below| below.entered);
        let location = self.location(entry.number)?;
        let forwarded = location.entered != entry.entered || entered_below != entry.entered_below;
        let passes = location.passed.wrapping_sub(entry.passed);
        let passed = passes != 0;
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
            (true, true) if !marked => {
                let routine = location.routine;
                self.once(Disagreement::PendingNotMarked { dispatch, routine })
            }
            (true, false) if !marked && !forwarded => self.once(Disagreement::PendingNotMarked {
                dispatch,
                routine: 0,
            }),
            (true, false) => {
                location.pending.get_or_insert(dispatch);
                None
            }
            (false, true) if marked && !entry.marked => {
                self.once(Disagreement::MarkedNotPending(dispatch))
            }
            (false, false) => self.once(Disagreement::NotCompleted {
                dispatch,
                forwarded,
            }),
            _ => None,
        }
    }

    fn once(&mut self, disagreement: Disagreement) -> Option<Disagreement> {
        (!std::mem::replace(&mut self.reported, true)).then_some(disagreement)
    }

    /// `IoCompleteRequest` was called by `site`: the number of this completion, or
    /// `None` if the request is being completed or was finished already.
    pub fn begin_completion(&mut self, site: usize) -> Option<u32> {
        if self.completing || self.finished {
            return None;
        }
        self.sequence += 1;
        self.completing = true;
        self.completed_at = site;
        Some(self.sequence)
    }

    /// Completion goes past location `number`.
    pub fn pass(&mut self, number: i8, control: u8) -> Option<Disagreement> {
        let marked = control & control::PENDING_RETURNED != 0;
        let location = self.location(number)?;
        location.marks = location.marks << 1 | u32::from(marked);
        location.passed = location.passed.wrapping_add(1);
        let routine = location.routine;
        let dispatch = location.pending.take()?;
        if marked {
            return None;
        }
        self.once(Disagreement::PendingNotMarked { dispatch, routine })
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
    }

    /// It was sent to a driver and nobody has completed it past the top or stopped it there.
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}

#[cfg(test)]
mod tests;
