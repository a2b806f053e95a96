//! What a request that the box has sent ends with. Its buffers: a driver may exchange one for another on the way down, and puts the
//! first back before the request goes on upwards.
//!
//! Whoever sent the request ends with what is there then: the I/O manager unlocks and frees the lists of
//! `MdlAddress`, copies from `SystemBuffer` to `UserBuffer`, and frees the former. A field that was null is the file
//! system's to fill in. A list that is behind another one now is ended with that. One whose first buffer is gone is
//! left alone: the driver has freed it in the I/O manager's place.
//!
//! How it ends is the I/O manager's alone: status block, event, APC routine and context are as they were.
//!
//! Source: "Using MDLs" in the kernel architecture guide, DDI of `IRP`.

#![expect(unsafe_code, reason = "the request is read in place by who has it")]

use super::tracker::{Buffers, Ending, EndingFields, Fields};
use super::{checks, irp, mdl};
use crate::host::memory::try_read;
use crate::nt::{IRP, IRP_BUFFERED_IO, IRP_CREATE_OPERATION, IRP_INPUT_OPERATION, IrpExt};
use crate::pe_image::image_at;
use crate::verifier::rules;

/// In the order of [`Fields`].
const FIELDS: [&str; 3] = ["MdlAddress", "AssociatedIrp.SystemBuffer", "UserBuffer"];

/// # Safety
/// `irp` is alive.
unsafe fn now(irp: *mut IRP) -> Fields {
    // SAFETY: contract.
    let request = unsafe { &*irp };
    // SAFETY: an address, whatever the union holds.
    let system = unsafe { request.AssociatedIrp.SystemBuffer };
    [
        request.MdlAddress.addr(),
        system.addr(),
        request.UserBuffer.addr(),
    ]
}

/// What a request ends with, by name.
const ENDING: [&str; 4] = [
    "UserIosb",
    "UserEvent",
    "Overlay.AsynchronousParameters.UserApcRoutine",
    "Overlay.AsynchronousParameters.UserApcContext",
];

/// # Safety
/// `irp` is alive.
unsafe fn ending(irp: *mut IRP) -> EndingFields {
    // SAFETY: contract.
    let request = unsafe { &*irp };
    // SAFETY: an address.
    let block = unsafe { request.Anonymous.UserIosb };
    let (routine, context) = match request.Flags & IRP_CREATE_OPERATION {
        // SAFETY: contract.
        0 => unsafe { irp.user_apc() },
        // There it is the size to allocate.
        _ => (0, std::ptr::null_mut()),
    };
    [
        block.addr(),
        request.UserEvent.addr(),
        routine,
        context.addr(),
    ]
}

/// The box sends a request of its own.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn issued(irp: *mut IRP) {
    // SAFETY: contract.
    let tracker = unsafe { irp::tracker(irp) };
    // SAFETY: contract.
    let mut had = unsafe { now(irp) };
    // SAFETY: contract.
    let flags = unsafe { (*irp).Flags };
    if flags & IRP_BUFFERED_IO == 0 {
        had[1] = 0;
    }
    // Otherwise nobody writes there but the file system.
    if flags & (IRP_BUFFERED_IO | IRP_INPUT_OPERATION) != IRP_BUFFERED_IO | IRP_INPUT_OPERATION {
        had[2] = 0;
    }
    if let Some(tracker) = tracker {
        // SAFETY: a live request keeps its tracker.
        let mut tracker = unsafe { &*tracker }.lock();
        tracker.buffers = Buffers::new(had);
        // SAFETY: contract.
        tracker.ending = Some(Ending::new(unsafe { ending(irp) }));
    }
}

/// Reports what of the ending of a request, which is `now` what it is, was another when it was sent.
fn check_ending(irp: *mut IRP, sent: Ending, now: EndingFields, last: (&'static str, usize)) {
    for (field, had, by) in sent.changed(now) {
        let (name, now) = (ENDING[field], now[field]);
        let by = (by != 0).then_some(("passed on with the other by", by));
        checks::report(
            &rules::ENDING_CHANGED,
            format!(
                "a request comes back to who sent it with {now:#x} in {name}, which was {had:#x}"
            ),
            irp,
            by.into_iter().chain([last]).collect(),
        );
    }
}

/// A driver passes the request on by a call that returns to `site`.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn passed_on(irp: *mut IRP, site: usize) {
    // SAFETY: contract.
    let tracker = unsafe { irp::tracker(irp) };
    // SAFETY: contract.
    let now = unsafe { now(irp) };
    if let Some(tracker) = tracker.filter(|_| image_at(site).is_some()) {
        // SAFETY: a live request keeps its tracker.
        let mut tracker = unsafe { &*tracker }.lock();
        tracker.buffers.passed_on(now, site);
        if let Some(sent) = &mut tracker.ending {
            // SAFETY: contract.
            sent.passed_on(unsafe { ending(irp) }, site);
        }
    }
}

/// The request is about to be given back to who sent it; `last` is who had it last.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn came_back(irp: *mut IRP, last: (&'static str, usize)) {
    // SAFETY: contract.
    let tracker = unsafe { irp::tracker(irp) };
    // SAFETY: contract.
    let now = unsafe { now(irp) };
    let Some(tracker) = tracker else { return };
    // SAFETY: a live request keeps its tracker.
    let mut tracker = unsafe { &*tracker }.lock();
    let sent = std::mem::take(&mut tracker.buffers);
    let ended = tracker.ending.take();
    drop(tracker);
    if let Some(had) = ended {
        // SAFETY: contract.
        check_ending(irp, had, unsafe { ending(irp) }, last);
    }
    // SAFETY: contract.
    let first = unsafe { (*irp).MdlAddress };
    for (field, had, by) in sent.exchanged(now) {
        // SAFETY: the lists of a live request.
        let mut lists = unsafe { mdl::lists(first) };
        let is_kept = field == 0 && lists.any(|list| list == had);
        if !is_kept && try_read(had, &mut [0]) {
            let (name, now) = (FIELDS[field], now[field]);
            checks::report(
                &rules::BUFFER_NOT_RESTORED,
                format!(
                    "a request comes back to who sent it with {now:#x} in {name}, which a driver put there in the place of {had:#x}"
                ),
                irp,
                vec![("passed on with the other by", by), last],
            );
        }
    }
}
