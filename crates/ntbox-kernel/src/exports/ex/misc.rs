//! Work items, exceptions, mode and time.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use crate::exports::resident;
use crate::nt::routines::ContextRoutine;
use crate::nt::{NTSTATUS, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT, WORK_QUEUE_ITEM};
use crate::processor::driver_code::entering;
use crate::processor::exception;
use crate::processor::given;
use crate::processor::{irql, thread, work};
use crate::verifier::{rules, violation};
use std::sync::{Mutex, PoisonError};

/// Serializes the look at `List.Flink`, which is not null while an item is queued.
static QUEUED: Mutex<()> = Mutex::new(());

/// `ExQueueWorkItem`. The queues differ in priority, which the host does not have.
pub unsafe extern "win64" fn queue_work_item(
    item: *mut WORK_QUEUE_ITEM,
    _queue: i32,
    caller: usize,
) {
    irql::require("ExQueueWorkItem", caller);
    resident::work_item("ExQueueWorkItem", item.addr(), caller);
    let guard = QUEUED.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the driver passes an item that ExInitializeWorkItem has prepared.
    let flink = unsafe { &raw mut (*item).List.Flink };
    // SAFETY: as above.
    if !unsafe { flink.read() }.is_null() {
        drop(guard);
        violation(
            &rules::WORKER_QUEUED_TWICE,
            format!("work item {item:p} was queued while it is queued"),
            &[("queued at", caller)],
        );
        return;
    }
    // SAFETY: as above.
    unsafe { flink.write((&raw mut (*item).List).cast()) };
    // SAFETY: as above.
    let site = unsafe { (&raw const (*item).WorkerRoutine).cast::<usize>().read() };
    drop(guard);
    given::remember(site, "ExQueueWorkItem", caller);
    let address = item.expose_provenance();
    work::queue_exposed(site, Box::new(move || run(address)));
}

/// Takes the item out of the queue and calls its routine, which may free it.
fn run(address: usize) {
    let item: *mut WORK_QUEUE_ITEM = std::ptr::with_exposed_provenance_mut(address);
    let (routine, parameter) = {
        let _guard = QUEUED.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: a queued item stays alive until its routine is called.
        let routine = unsafe {
            (&raw const (*item).WorkerRoutine)
                .cast::<ContextRoutine>()
                .read()
        };
        // SAFETY: as above.
        let parameter = unsafe { (*item).Parameter };
        // SAFETY: as above.
        unsafe { (*item).List.Flink = std::ptr::null_mut() };
        (routine, parameter)
    };
    // SAFETY: the routine and its parameter as the driver gave them.
    unsafe { entering(routine)(parameter) };
}

/// `ExRaiseStatus`.
pub unsafe extern "win64" fn raise_status(status: NTSTATUS, caller: usize) {
    irql::require("ExRaiseStatus", caller);
    exception::raise("ExRaiseStatus", status);
}

/// `ExRaiseAccessViolation`.
pub unsafe extern "win64" fn raise_access_violation(caller: usize) {
    irql::require("ExRaiseAccessViolation", caller);
    exception::raise("ExRaiseAccessViolation", STATUS_ACCESS_VIOLATION);
}

/// `ExRaiseDatatypeMisalignment`.
pub unsafe extern "win64" fn raise_datatype_misalignment(caller: usize) {
    irql::require("ExRaiseDatatypeMisalignment", caller);
    exception::raise("ExRaiseDatatypeMisalignment", STATUS_DATATYPE_MISALIGNMENT);
}

/// `ExGetPreviousMode`.
pub unsafe extern "win64" fn get_previous_mode() -> i8 {
    irql::require("ExGetPreviousMode", 0);
    thread::previous_mode()
}

/// `ExSystemTimeToLocalTime`, `ExLocalTimeToSystemTime`: the box's time zone is UTC.
pub unsafe extern "win64" fn copy_time(from: *const i64, to: *mut i64) {
    // SAFETY: the driver passes two `LARGE_INTEGER`s.
    let time = unsafe { from.read_unaligned() };
    // SAFETY: as above.
    unsafe { to.write_unaligned(time) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_void;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Context {
        item: WORK_QUEUE_ITEM,
        ran: AtomicU32,
    }

    unsafe extern "win64" fn routine(context: *mut c_void) {
        let context = context.cast::<Context>();
        // SAFETY: leaked by the test.
        let ran = unsafe { &(*context).ran };
        assert!(thread::current().is_system());
        assert_eq!(irql::current(), 0);
        // It may be queued again from its own routine.
        if ran.fetch_add(1, Ordering::AcqRel) == 0 {
            // SAFETY: as above.
            unsafe { queue_work_item(&raw mut (*context).item, 1, 0) };
        }
    }

    #[test]
    fn an_item_runs_on_a_worker_and_may_queue_itself_again() {
        let context = Box::leak(Box::new(Context {
            item: WORK_QUEUE_ITEM::default(),
            ran: AtomicU32::new(0),
        }));
        let at = std::ptr::from_mut(context);
        // SAFETY: leaked; the slot takes a routine.
        unsafe {
            (&raw mut (*at).item.WorkerRoutine)
                .cast::<ContextRoutine>()
                .write(routine);
            (*at).item.Parameter = at.cast();
            queue_work_item(&raw mut (*at).item, 1, 0);
        }
        work::drain();
        // SAFETY: as above.
        assert_eq!(unsafe { (*at).ran.load(Ordering::Acquire) }, 2);
    }
}
