//! The checks of calls and completions, and how they are reported.
//!
//! Nothing here decides what happens to a request: [`super::call`] and
//! [`super::complete`] behave the same with and without checks, up to the
//! report that ends the run.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "devices and requests are read in place for reports"
)]

use super::database;
use super::tracker::{Disagreement, Dispatch, Inner, Whereabouts};
use crate::nt::{DEVICE_OBJECT, IRP, Kirql, NTSTATUS, STATUS_PENDING, Status};
use crate::processor::thread::Regions;
use crate::processor::{irql, top_level};
use crate::verifier::{self, Rule, Violation, rules};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Reports a violation about a request, which may have been freed.
pub fn report(
    rule: &'static Rule,
    message: String,
    irp: *mut IRP,
    sites: Vec<(&'static str, usize)>,
) {
    let irp = (!irp.is_null()).then_some(irp);
    let sites = sites.into_iter().filter(|(_, site)| *site != 0).collect();
    verifier::report(Violation {
        rule,
        message,
        irp,
        sites,
    });
}

/// Reports a routine that was called above the level it documents.
pub fn at_most(level: Kirql, routine: &str, site: usize) {
    let current = irql::current();
    if current > level && verifier::options::on(verifier::Options::DDI) {
        report(
            rules::of_call(routine),
            format!("{routine} was called at IRQL {current}; it may be called up to IRQL {level}"),
            std::ptr::null_mut(),
            vec![("called by", site)],
        );
    }
}

/// Reports the routine `which` of a driver, at `routine`, that has returned in other critical or guarded
/// regions than it was called in, or attached to another process, and goes back to those.
pub fn same_regions(before: Regions, which: &'static str, routine: usize, irp: *mut IRP) {
    let now = before.after(which, routine, irp);
    if now == before {
        return;
    }
    report(
        &rules::REGIONS_CHANGED,
        format!("called inside {before}, the {which} returned inside {now}"),
        irp,
        vec![(which, routine)],
    );
    before.restore();
}

/// Reports the routine `which` of a driver, at `routine`, that has returned with another top-level IRP in its thread
/// than it was called with, and sets that one again.
pub fn same_top_level(before: *mut IRP, which: &'static str, routine: usize, irp: *mut IRP) {
    let now = top_level::current();
    if now == before {
        return;
    }
    report(
        &rules::TOP_LEVEL_LEFT,
        format!(
            "called with the top-level IRP {before:p}, the {which} returned with {now:p} as that of its thread"
        ),
        irp,
        vec![("set by", top_level::set_by()), (which, routine)],
    );
    top_level::set(before, 0);
}

/// # Safety
/// `dispatch.device` is null or alive.
unsafe fn name(dispatch: Dispatch) -> String {
    if dispatch.device.is_null() {
        return "a driver".into();
    }
    // SAFETY: contract.
    unsafe { database::describe(dispatch.device) }
}

/// Reports what a tracker found; called under its lock, so that the request
/// cannot go away while it is described.
///
/// # Safety
/// The device of the disagreement is alive.
pub unsafe fn disagreement(found: Disagreement, status: NTSTATUS, inner: &Inner) {
    let completed = ("completed by", inner.completed_at);
    // SAFETY: contract, for all names below.
    let (rule, message, sites) = unsafe {
        match found {
            Disagreement::PendingNotMarked {
                dispatch,
                routine: 0,
            } => (
                &rules::PENDING_NOT_MARKED,
                format!(
                    "{} returned STATUS_PENDING for a request that it did not mark pending",
                    name(dispatch)
                ),
                vec![("dispatch routine", dispatch.routine), completed],
            ),
            Disagreement::PendingNotMarked { dispatch, routine } => (
                &rules::PENDING_NOT_PROPAGATED,
                format!(
                    "{} returned STATUS_PENDING, and its completion routine continued without marking the \
                     request pending although PendingReturned was set",
                    name(dispatch)
                ),
                vec![
                    ("completion routine", routine),
                    ("dispatch routine", dispatch.routine),
                    completed,
                ],
            ),
            Disagreement::MarkedNotPending(dispatch) => (
                &rules::MARKED_NOT_PENDING,
                format!(
                    "{} marked the request pending and returned {}",
                    name(dispatch),
                    Status(status)
                ),
                vec![("dispatch routine", dispatch.routine), completed],
            ),
            Disagreement::MarkedAndCompleted(dispatch) => (
                &rules::MARKED_AND_COMPLETED,
                format!(
                    "{} marked the request pending, completed it and returned {}",
                    name(dispatch),
                    Status(status)
                ),
                vec![("dispatch routine", dispatch.routine), completed],
            ),
            Disagreement::CompletedAndPending(dispatch) => (
                &rules::COMPLETED_AND_PENDING,
                format!(
                    "{} completed the request and returned STATUS_PENDING for it",
                    name(dispatch)
                ),
                vec![("dispatch routine", dispatch.routine), completed],
            ),
            Disagreement::MarkedAfterQueueing { dispatch, queued } => (
                &rules::MARKED_AFTER_QUEUEING,
                format!(
                    "{} gave the request to a worker and marked it pending afterwards",
                    name(dispatch)
                ),
                vec![
                    ("queued by", queued),
                    ("dispatch routine", dispatch.routine),
                ],
            ),
            Disagreement::StatusDiffers {
                dispatch,
                completed: status_of_request,
                by_itself,
            } => (
                if by_itself {
                    &rules::STATUS_INCONSISTENT
                } else {
                    &rules::LOWER_STATUS_LOST
                },
                format!(
                    "{} returned {} for a request that {} with {}",
                    name(dispatch),
                    Status(status),
                    match (by_itself, status_of_request) {
                        (true, _) => "it completed",
                        (false, STATUS_PENDING) => "the lower driver left",
                        (false, _) => "was completed below",
                    },
                    Status(status_of_request)
                ),
                vec![("dispatch routine", dispatch.routine), completed],
            ),
            Disagreement::ContextGone {
                dispatch,
                routine,
                sent_by,
            } => (
                &rules::CONTEXT_ON_STACK,
                format!(
                    "{} returned {} while the lower driver has the request, whose completion routine gets a \
                     context on the stack that is gone with that",
                    name(dispatch),
                    Status(status)
                ),
                vec![
                    ("passed on by", sent_by),
                    ("completion routine", routine),
                    ("dispatch routine", dispatch.routine),
                ],
            ),
            Disagreement::NotCompleted {
                dispatch,
                whereabouts: Whereabouts::Here,
            } => (
                &rules::NEITHER_COMPLETED_NOR_FORWARDED,
                format!(
                    "{} returned {} and neither completed the request nor passed it on",
                    name(dispatch),
                    Status(status)
                ),
                vec![("dispatch routine", dispatch.routine)],
            ),
            Disagreement::NotCompleted {
                dispatch,
                whereabouts: Whereabouts::BackHere,
            } => (
                &rules::NEITHER_COMPLETED_NOR_FORWARDED,
                format!(
                    "{} returned {} for a request that has come back to it, stopped by its completion routine, and \
                     neither completed it nor passed it on again",
                    name(dispatch),
                    Status(status)
                ),
                vec![("dispatch routine", dispatch.routine), completed],
            ),
            Disagreement::NotCompleted {
                dispatch,
                whereabouts: Whereabouts::HereAndSuccess,
            } => (
                &rules::SUCCESS_WITHOUT_COMPLETION,
                format!(
                    "{} returned STATUS_SUCCESS for a request that nobody has completed",
                    name(dispatch)
                ),
                vec![("dispatch routine", dispatch.routine)],
            ),
            Disagreement::NotCompleted {
                dispatch,
                whereabouts: Whereabouts::Below,
            } => (
                &rules::LOWER_STATUS_LOST,
                format!(
                    "{} returned {} while the request that it passed down is still pending",
                    name(dispatch),
                    Status(status)
                ),
                vec![("dispatch routine", dispatch.routine)],
            ),
        }
    };
    report(rule, message, inner.address, sites);
}

/// Reports an oplock request that `dispatch` keeps; called as [`disagreement`].
///
/// # Safety
/// The device is alive.
pub unsafe fn oplock_pended(dispatch: &Dispatch, inner: &Inner) {
    // SAFETY: contract.
    let message = unsafe { format!("{} pended a request for an oplock", name(*dispatch)) };
    let sites = vec![("dispatch routine", dispatch.routine)];
    report(&rules::OPLOCK_PENDED, message, inner.address, sites);
}

/// Requests that were freed lately: enough to tell a second completion from an
/// arbitrary bad pointer without touching the memory.
struct Freed {
    irp: AtomicUsize,
    site: AtomicUsize,
}

const FREED: usize = 4096;
static LATELY_FREED: [Freed; FREED] = [const {
    Freed {
        irp: AtomicUsize::new(0),
        site: AtomicUsize::new(0),
    }
}; FREED];

fn freed_slot(irp: *const IRP) -> &'static Freed {
    let hash = (irp as usize >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52;
    &LATELY_FREED[hash % FREED]
}

/// Remembers a request that is being freed; `site` completed it.
pub fn remember_freed(irp: *const IRP, site: usize) {
    let slot = freed_slot(irp);
    slot.site.store(site, Ordering::Relaxed);
    slot.irp.store(irp as usize, Ordering::Relaxed);
}

/// The address is in use again.
pub fn forget_freed(irp: *const IRP) {
    let _ =
        freed_slot(irp)
            .irp
            .compare_exchange(irp as usize, 0, Ordering::Relaxed, Ordering::Relaxed);
}

/// Who completed the request at this address before it was freed, if it was freed lately.
pub fn freed_by(irp: *const IRP) -> Option<usize> {
    let slot = freed_slot(irp);
    (slot.irp.load(Ordering::Relaxed) == irp as usize).then(|| slot.site.load(Ordering::Relaxed))
}

/// Device types whose stacks are called below `DISPATCH_LEVEL` only.
///
/// # Safety
/// `device` is alive.
pub unsafe fn is_file_system(device: *const DEVICE_OBJECT) -> bool {
    use crate::nt::{
        FILE_DEVICE_CD_ROM_FILE_SYSTEM, FILE_DEVICE_DISK_FILE_SYSTEM, FILE_DEVICE_FILE_SYSTEM,
        FILE_DEVICE_NETWORK_FILE_SYSTEM, FILE_DEVICE_TAPE_FILE_SYSTEM,
    };
    // SAFETY: contract.
    let device_type = unsafe { (*device).DeviceType };
    matches!(
        device_type,
        FILE_DEVICE_CD_ROM_FILE_SYSTEM
            | FILE_DEVICE_DISK_FILE_SYSTEM
            | FILE_DEVICE_FILE_SYSTEM
            | FILE_DEVICE_NETWORK_FILE_SYSTEM
            | FILE_DEVICE_TAPE_FILE_SYSTEM
    )
}
