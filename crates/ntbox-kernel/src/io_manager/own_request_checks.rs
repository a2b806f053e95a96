//! What the checks look at when a driver frees, reuses or initializes a request: how it was made,
//! and whether somebody still has it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are read in place for reports"
)]

use super::{checks, irp, stack_memory};
use crate::nt::IRP;
use crate::verifier::{self, Rule, rules};

/// How a request was made, which decides what its owner may do with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Made {
    /// By the box itself, or by `IoAllocateIrp`.
    #[default]
    Allocated,
    /// By `IoAllocateIrp`, with quota charged.
    WithQuota,
    /// By `IoBuildAsynchronousFsdRequest` or `IoMakeAssociatedIrp`.
    Built,
    /// By `IoBuildSynchronousFsdRequest` or `IoBuildDeviceIoControlRequest`: it is in the list of
    /// its thread, and the I/O manager frees it.
    Threaded,
}

fn report(rule: &'static Rule, message: &str, irp: *mut IRP, what: &'static str, site: usize) {
    // SAFETY: the callers' contract: the request is alive.
    let made_at = irp::allocated_by(irp);
    checks::report(
        rule,
        message.to_owned(),
        irp,
        vec![(what, site), ("allocated by", made_at)],
    );
}

/// True if a driver has the request that has not been passed by its completion.
///
/// # Safety
/// `irp` is alive.
unsafe fn is_in_use(irp: *const IRP) -> bool {
    // SAFETY: contract.
    let tracker = unsafe { irp::tracker(irp) };
    // SAFETY: a live request keeps its tracker.
    tracker.is_some_and(|tracker| !unsafe { &*tracker }.lock().holders().is_empty())
}

/// `IoFreeIrp` is called by `site`, 0 for the box itself.
///
/// # Safety
/// `irp` is alive and was allocated by the box.
pub(super) unsafe fn freed(irp: *mut IRP, site: usize) {
    if site == 0 || !verifier::checks() {
        return;
    }
    stack_memory::freed(irp);
    // SAFETY: contract.
    let made = unsafe { irp::made(irp) };
    if made == Some(Made::Threaded) {
        let message = "IoFreeIrp was called for a request that is in the list of its thread";
        report(
            &rules::THREADED_REQUEST_FREED,
            message,
            irp,
            "freed by",
            site,
        );
    // SAFETY: contract.
    } else if unsafe { is_in_use(irp) } {
        let message = "IoFreeIrp was called for a request that a driver still has";
        report(&rules::FREED_IN_USE, message, irp, "freed by", site);
    }
}

/// The I/O manager is about to finish a request for its thread, as it does with its own and those in the list of a
/// thread: it frees the request, and gives back a reference to its file object.
///
/// # Safety
/// `irp` was completed past its top, and is alive.
pub(super) unsafe fn finished(irp: *mut IRP) {
    if !verifier::checks() {
        return;
    }
    let made_at = irp::allocated_by(irp);
    // SAFETY: contract.
    let is_drivers = match unsafe { irp::made(irp) } {
        Some(Made::Allocated | Made::WithQuota) => made_at != 0,
        made => made == Some(Made::Built),
    };
    if !is_drivers {
        return;
    }
    // SAFETY: contract.
    let (tracker, top) = unsafe { (irp::tracker(irp), (*irp).StackCount) };
    // SAFETY: a live request keeps its tracker.
    let sent_by = tracker.map_or(0, |tracker| unsafe { &*tracker }.lock().sent_by(top));
    if sent_by == 0 {
        // Never sent, which is reported where it is completed.
        return;
    }
    checks::report(
        &rules::OWN_REQUEST_OF_THREAD,
        "a driver's own request, with a thread set, was completed past its top location".to_owned(),
        irp,
        vec![("allocated by", made_at), ("sent by", sent_by)],
    );
}

/// `IoReuseIrp` is called by `site`.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn reused(irp: *mut IRP, site: usize) {
    if site == 0 || !verifier::checks() {
        return;
    }
    // SAFETY: contract.
    let (made, in_use) = unsafe { (irp::made(irp), is_in_use(irp)) };
    if in_use {
        let message = "IoReuseIrp was called for a request that a driver still has";
        report(&rules::REUSED_IN_USE, message, irp, "reused by", site);
    } else if matches!(made, Some(Made::Built | Made::Threaded)) {
        let message = "IoReuseIrp was called for a request that was not made by IoAllocateIrp";
        report(&rules::REUSED_BUILT, message, irp, "reused by", site);
    }
}

/// `IoInitializeIrp` is called by `site` for memory that is a live request of the box.
///
/// # Safety
/// `irp` is alive and was allocated by the box.
pub(super) unsafe fn initialized(irp: *mut IRP, site: usize) {
    if site == 0 || !verifier::checks() {
        return;
    }
    // SAFETY: contract.
    let (made, in_use) = unsafe { (irp::made(irp), is_in_use(irp)) };
    let (rule, message) = match made {
        _ if in_use => (
            &rules::REUSED_IN_USE,
            "IoInitializeIrp was called for a request that a driver still has",
        ),
        Some(Made::WithQuota) => (
            &rules::INITIALIZED_WITH_QUOTA,
            "IoInitializeIrp was called for a request of IoAllocateIrp that quota was charged for",
        ),
        _ => (
            &rules::INITIALIZED_ALLOCATED,
            "IoInitializeIrp was called for a request of IoAllocateIrp",
        ),
    };
    report(rule, message, irp, "initialized by", site);
}
