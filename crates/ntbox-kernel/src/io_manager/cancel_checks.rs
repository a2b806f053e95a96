//! What the checks look at when a dispatch routine has returned: the cancel routine that its driver has set.
//!
//! A request that was cancelled before its cancel routine was set is cancelled by nobody any more: who has set one and
//! keeps the request looks at `Irp->Cancel` then. And only the driver that has the request may set one: the driver
//! below has its own there.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the request is read in place while its tracker is locked"
)]

use super::tracker::{Dispatch, Entry, Inner, Tracker};
use super::{cancel, checks};
use crate::nt::{IRP, NTSTATUS, STATUS_PENDING};
use crate::pe_image::{Image, image_at};
use crate::processor;
use crate::verifier::rules;

/// What is wrong, and the cancel routine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The request is with its driver, and was cancelled before.
    Cancelled(usize),
    /// A driver below has the request.
    Below(usize),
}

fn is_in(image: &Image, routine: usize) -> bool {
    image_at(routine).is_some_and(|other| other.base() == image.base())
}

/// Looks at the request of the dispatch routine that has returned.
fn look(inner: &Inner, entry: &Entry, image: &Image) -> Option<Found> {
    let last = inner.holders().last()?;
    if inner.irp.is_null() {
        return None;
    }
    // SAFETY: not freed, and cannot be while the tracker is locked.
    let (cancelled, routine) = unsafe { ((*inner.irp).Cancel, (*inner.irp).CancelRoutine) };
    let routine = routine.map(|routine| routine as usize)?;
    if !is_in(image, routine) {
        return None;
    }
    if last.dispatch == entry.dispatch && last.number == entry.number {
        return cancelled.then_some(Found::Cancelled(routine));
    }
    let is_above = inner
        .holders()
        .iter()
        .any(|holder| holder.dispatch == entry.dispatch);
    (is_above && !is_in(image, last.dispatch.routine)).then_some(Found::Below(routine))
}

/// The dispatch routine of `entry` has returned `status` for the request at this address.
pub(super) fn dispatch_left(tracker: &Tracker, entry: &Entry, irp: *mut IRP, status: NTSTATUS) {
    let Dispatch { routine, .. } = entry.dispatch;
    if status != STATUS_PENDING {
        return;
    }
    let Some(image) = image_at(routine) else {
        return;
    };
    let Some(first) = look(&tracker.lock(), entry, image) else {
        return;
    };
    // Whoever cancels the request right now is done then; a thread of the driver's that has just set the routine is not.
    let old = cancel::acquire_cancel_spin_lock(0);
    let found = look(&tracker.lock(), entry, image);
    cancel::release_cancel_spin_lock(old);
    let code = image.base()..image.base() + image.size();
    if found != Some(first) || !processor::outstanding(&code).is_empty() {
        return;
    }
    let (rule, message, set) = match first {
        Found::Cancelled(set) => (
            &rules::CANCEL_NOT_LOOKED_AT,
            "the request was cancelled before its cancel routine was set, and is kept all the same",
            set,
        ),
        Found::Below(set) => (
            &rules::CANCEL_ROUTINE_SET_BELOW,
            "a cancel routine was set for the request while a lower driver has it",
            set,
        ),
    };
    checks::report(
        rule,
        message.to_owned(),
        irp,
        vec![("cancel routine", set), ("dispatch routine", routine)],
    );
}
