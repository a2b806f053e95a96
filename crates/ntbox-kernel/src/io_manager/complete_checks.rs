//! What the checks look at when a request is completed.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the completer owns the request, which is read in place"
)]

use super::{checks, file_checks, file_name, irp, pnp_checks};
use crate::nt::{
    DISPATCH_LEVEL, IO_STACK_LOCATION, IRP, IRP_MJ_DEVICE_CONTROL, IRP_MJ_DIRECTORY_CONTROL,
    IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_QUERY_INFORMATION, IRP_MJ_QUERY_VOLUME_INFORMATION,
    IRP_MJ_READ, IRP_MJ_WRITE, IRP_MN_KERNEL_CALL, IRP_MN_USER_FS_REQUEST, IrpExt, Kirql, NTSTATUS,
    STATUS_PENDING, Status,
};
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
    irql::promise::broken_by("the end of the completion routine", routine);
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

/// Bytes that whoever sent the request to this location has room for; `None` where Information counts
/// no bytes, or nobody has asked for any.
fn room(location: &IO_STACK_LOCATION) -> Option<u32> {
    let parameters = &location.Parameters;
    let (major, minor) = (location.MajorFunction.into(), location.MinorFunction.into());
    // SAFETY: plain numbers, each bit pattern of which is one; the member is that of the function.
    unsafe {
        match major {
            IRP_MJ_READ | IRP_MJ_WRITE => Some(parameters.Read.Length),
            IRP_MJ_QUERY_INFORMATION => Some(parameters.QueryFile.Length),
            IRP_MJ_QUERY_VOLUME_INFORMATION => Some(parameters.QueryVolume.Length),
            // Notifications have theirs in the same place.
            IRP_MJ_DIRECTORY_CONTROL => Some(parameters.QueryDirectory.Length),
            IRP_MJ_FILE_SYSTEM_CONTROL
                if !matches!(minor, IRP_MN_USER_FS_REQUEST | IRP_MN_KERNEL_CALL) =>
            {
                None
            }
            // Without a buffer nothing is copied, and the answer to an oplock has a number there.
            IRP_MJ_DEVICE_CONTROL | IRP_MJ_FILE_SYSTEM_CONTROL => {
                Some(parameters.DeviceIoControl.OutputBufferLength).filter(|length| *length != 0)
            }
            _ => None,
        }
    }
}

/// The I/O manager copies as many bytes as Information says, whatever the buffer holds. `by` has made it
/// what it is. Where the run goes on, no more is copied than there is.
///
/// # Safety
/// The completer owns `irp`, which comes back from `location`.
pub(super) unsafe fn check_information(
    irp: *mut IRP,
    location: *const IO_STACK_LOCATION,
    by: (&'static str, usize),
) {
    // SAFETY: contract.
    let (status, information) = unsafe {
        (
            (*irp).IoStatus.Anonymous.Status,
            (*irp).IoStatus.Information,
        )
    };
    if information == 0 || Status(status).is_error() {
        return;
    }
    // SAFETY: contract.
    let Some(room) = room(unsafe { &*location }) else {
        return;
    };
    if information > room as usize {
        checks::report(
            &rules::INFORMATION_TOO_LARGE,
            format!(
                "IoStatus.Information is {information}, and the buffer that was asked for holds {room} bytes"
            ),
            irp,
            vec![by],
        );
        // SAFETY: contract.
        unsafe { (*irp).IoStatus.Information = room as usize };
    }
}

/// Reports a request that was never sent, and one that must be passed on and is not.
///
/// # Safety
/// `irp` is alive, and stands at location `number`.
unsafe fn check_way(irp: *mut IRP, number: i8, status: NTSTATUS, site: usize) {
    // SAFETY: contract.
    let Some(tracker) = (unsafe { irp::tracker(irp) }) else {
        return;
    };
    // SAFETY: a live request keeps its tracker.
    let tracker = unsafe { &*tracker };
    let (sent, below, came) = {
        let inner = tracker.lock();
        let last = inner.holders().last();
        let came = last.map_or_else(Default::default, |holder| holder.came_with);
        (inner.was_sent(), inner.was_sent_below(number), came)
    };
    if !sent {
        let message = "the request was completed, and never sent to a driver".into();
        let sites = vec![("completed by", site)];
        return checks::report(&rules::COMPLETED_UNSENT, message, irp, sites);
    }
    // SAFETY: contract.
    if number <= unsafe { (*irp).StackCount } && !below {
        // SAFETY: contract: the request has this location.
        unsafe { file_checks::completed_here(irp, status, site) };
        // SAFETY: an integer whatever the union holds.
        let came = unsafe { came.Anonymous.Status };
        // SAFETY: as above.
        unsafe { pnp_checks::completed_here(irp, came, status, site) };
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
    if site != 0 {
        // SAFETY: contract.
        unsafe { check_way(irp, number, status, site) };
        // SAFETY: contract.
        unsafe { file_name::left_by(irp, number, site) };
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
