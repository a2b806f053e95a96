//! What the checks look at in requests about file objects: who has opened a file, and who is to know that it is closed.

#![expect(
    unsafe_code,
    reason = "the completer owns the request, which is read in place"
)]

use super::attachment::lower;
use super::checks;
use super::database::describe;
use crate::nt::{
    DISPATCH_LEVEL, FILE_OBJECT, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IrpExt,
    NTSTATUS, Status,
};
use crate::processor::irql;
use crate::verifier::{major_name, rules};
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Files whose create a driver has completed and not passed on: what becomes of them is its own affair.
fn answered() -> MutexGuard<'static, HashSet<usize>> {
    static ANSWERED: LazyLock<Mutex<HashSet<usize>>> = LazyLock::new(Mutex::default);
    ANSWERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file object is gone.
pub(super) fn forget(file: *mut FILE_OBJECT) {
    answered().remove(&(file as usize));
}

/// True for requests that tell a file system that a file is closed.
fn closes(major: u8) -> bool {
    matches!(u32::from(major), IRP_MJ_CLEANUP | IRP_MJ_CLOSE)
}

/// The driver that has the request, at its current location, completes it by a call that returns to `site`, and
/// has not sent it below.
///
/// # Safety
/// `irp` is alive, and has this location.
pub(super) unsafe fn completed_here(irp: *mut IRP, status: NTSTATUS, site: usize) {
    // SAFETY: contract.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let location = unsafe { &*location };
    let file = location.FileObject as usize;
    if u32::from(location.MajorFunction) == IRP_MJ_CREATE && Status(status).is_success() {
        answered().insert(file);
    }
    // At DISPATCH_LEVEL nobody may send it: the mistake is the sender's.
    if !closes(location.MajorFunction) || irql::current() >= DISPATCH_LEVEL {
        return;
    }
    if Status(status).is_error() {
        return failed(irp, location.MajorFunction, status, ("completed by", site));
    }
    // SAFETY: a device that has a request is alive.
    let is_filter = !unsafe { lower(location.DeviceObject) }.is_null();
    if is_filter && !answered().contains(&file) {
        let message = format!(
            "{} was completed by {}, and the driver below, which has the file open, never hears of it",
            major_name(location.MajorFunction),
            // SAFETY: as above.
            unsafe { describe(location.DeviceObject) }
        );
        let sites = vec![("completed by", site)];
        checks::report(&rules::CLOSE_NOT_PASSED_ON, message, irp, sites);
    }
}

/// A cleanup or close with the function `major` comes back from a driver with `status`, and came to it from below with
/// `lower`; `by` had it last.
pub(super) fn came_back(
    irp: *mut IRP,
    major: u8,
    lower: NTSTATUS,
    status: NTSTATUS,
    by: (&'static str, usize),
) {
    if closes(major) && Status(status).is_error() && !Status(lower).is_error() {
        failed(irp, major, status, by);
    }
}

fn failed(irp: *mut IRP, major: u8, status: NTSTATUS, by: (&'static str, usize)) {
    let message = format!(
        "{} was completed with {}",
        major_name(major),
        Status(status)
    );
    checks::report(&rules::CLOSE_FAILED, message, irp, vec![by]);
}
