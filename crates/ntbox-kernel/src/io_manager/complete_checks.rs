//! What the checks look at when a request is completed.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the completer owns the request, which is read in place"
)]

use super::{checks, irp};
use crate::nt::{DISPATCH_LEVEL, IRP, IrpExt, Kirql, STATUS_PENDING, Status};
use crate::processor::{held_locks, irql};
use crate::verifier::rules;

pub(super) fn twice(message: String, irp: *mut IRP, site: usize, before: usize) {
    checks::report(
        &rules::COMPLETED_TWICE,
        message,
        irp,
        vec![("completed again by", site), ("completed first by", before)],
    );
}

pub(super) fn check_level(irp: *mut IRP, before: Kirql, routine: usize) {
    let now = irql::current();
    if now != before {
        checks::report(
            &rules::IRQL_CHANGED_BY_COMPLETION,
            format!("a completion routine was entered at IRQL {before} and returned at IRQL {now}"),
            irp,
            vec![("completion routine", routine)],
        );
        irql::restore(before);
    }
}

/// What can be told from the request alone; false if it must not be walked.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn check_request(irp: *mut IRP, site: usize) -> bool {
    // SAFETY: contract.
    let (number, count, kind, status, cancel) = unsafe {
        (
            (*irp).CurrentLocation,
            (*irp).StackCount,
            (*irp).Type,
            (*irp).IoStatus.Anonymous.Status,
            (*irp).CancelRoutine.is_some(),
        )
    };
    let completer = vec![("completed by", site)];
    if kind != irp::IO_TYPE_IRP || i16::from(number) > i16::from(count) + 1 {
        twice(
            format!("a request at location {number} of {count} was completed"),
            std::ptr::null_mut(),
            site,
            0,
        );
        return false;
    }
    // -1 is what a caller leaves in a status that it forgot to set (as NT checks).
    if status == STATUS_PENDING || status == -1 {
        let message = format!("the request was completed with {}", Status(status));
        checks::report(
            &rules::COMPLETED_AS_PENDING,
            message,
            irp,
            completer.clone(),
        );
    }
    if cancel {
        let message = "the request was completed while it still had a cancel routine".into();
        checks::report(&rules::CANCEL_ROUTINE_SET, message, irp, completer.clone());
        // SAFETY: contract; in a test, the mistake is not held against the drivers above.
        unsafe { irp.set_cancel_routine(None) };
    }
    let held = held_locks::count();
    if held > 0 {
        let message = format!("the request was completed while {held} spin lock(s) were held");
        checks::report(
            &rules::COMPLETED_UNDER_SPIN_LOCK,
            message,
            irp,
            completer.clone(),
        );
    }
    let level = irql::current();
    if level > DISPATCH_LEVEL {
        let message = format!("the request was completed at IRQL {level}");
        checks::report(&rules::COMPLETED_ABOVE_DISPATCH, message, irp, completer);
    }
    true
}
