//! Cancellation, and the system-wide cancel spin lock that guards it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the request is reached by pointer under the cancel spin lock"
)]

use super::history::{Event, EventKind};
use super::{checks, irp as requests};
use crate::nt::{DISPATCH_LEVEL, IRP, IrpExt, Kirql};
use crate::processor::driver_code::entering_for;
use crate::processor::lock_order::{self, Mode};
use crate::processor::{held_locks, irql, spin_lock};
use crate::verifier::rules;
use std::sync::atomic::AtomicUsize;

static LOCK: AtomicUsize = AtomicUsize::new(0);

/// `IoAcquireCancelSpinLock`: returns the IRQL to release it with. `site` is the driver's return
/// address, 0 for the box itself.
pub fn acquire_cancel_spin_lock(site: usize) -> Kirql {
    let old = irql::current();
    if old < DISPATCH_LEVEL {
        irql::raise(DISPATCH_LEVEL);
    }
    // SAFETY: the lock is a static of pointer size.
    unsafe { spin_lock::acquire_for(LOCK.as_ptr(), old, site) };
    old
}

/// `IoReleaseCancelSpinLock`.
pub fn release_cancel_spin_lock(old: Kirql) {
    // SAFETY: the lock is a static of pointer size.
    unsafe { spin_lock::release(LOCK.as_ptr()) };
    if old < irql::current() {
        irql::lower(old);
    }
}

/// `IoCancelIrp`: marks the request and calls its cancel routine, if it has one.
/// True if a cancel routine was called.
///
/// `site` is the driver's return address, 0 for the box itself.
///
/// # Safety
/// `irp` is alive and cannot be freed before its cancel routine is taken.
pub unsafe fn cancel(irp: *mut IRP, site: usize) -> bool {
    let old = acquire_cancel_spin_lock(site);
    // SAFETY: contract.
    unsafe {
        (*irp).Cancel = true;
        requests::record(
            irp,
            Event::new(
                EventKind::Cancelled,
                std::ptr::null_mut(),
                (*irp).CurrentLocation,
                0,
                0,
            ),
        );
        let Some(routine) = irp.set_cancel_routine(None) else {
            release_cancel_spin_lock(old);
            return false;
        };
        let device = (*irp.current_location()).DeviceObject;
        let address = routine as usize;
        requests::record(
            irp,
            Event::new(
                EventKind::CancelRoutine,
                device,
                (*irp).CurrentLocation,
                0,
                address,
            ),
        );
        // The routine runs under the lock, whoever took it.
        if site == 0 {
            lock_order::acquired(
                LOCK.as_ptr().addr(),
                "cancel spin lock",
                Mode::Exclusive,
                address,
            );
        }
        (*irp).CancelIrql = old;
        let held = held_locks::count();
        entering_for(routine, irp)(device, irp);
        let level = irql::current();
        if held_locks::count() >= held || level != old {
            checks::report(
                &rules::CANCEL_LOCK_KEPT,
                format!(
                    "a cancel routine returned at IRQL {level} with {} spin lock(s) held; IoCancelIrp was \
                     called at IRQL {old}",
                    held_locks::count()
                ),
                std::ptr::null_mut(),
                vec![("cancel routine", address)],
            );
            if held_locks::count() >= held {
                spin_lock::release(LOCK.as_ptr());
            }
            irql::restore(old);
        }
    }
    true
}

/// Completes a request as its cancel routine does: for native drivers.
///
/// # Safety
/// As a cancel routine: `irp` is the caller's and the cancel spin lock is held.
pub unsafe fn release_and_complete(irp: *mut IRP) {
    // SAFETY: contract.
    unsafe {
        release_cancel_spin_lock((*irp).CancelIrql);
        super::complete::finish(irp, crate::nt::STATUS_CANCELLED, 0);
    }
}
