//! IRQL, spin locks, critical and guarded regions.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{DISPATCH_LEVEL, KLOCK_QUEUE_HANDLE, Kirql};
use crate::processor::lock_manner::{self, Manner};
use crate::processor::{irql, spin_lock, suspension, thread};
use crate::verifier::{rules, violation};

/// `KeGetCurrentIrql`.
pub unsafe extern "win64" fn get_current_irql() -> Kirql {
    irql::current()
}

/// `KfRaiseIrql`: what `KeRaiseIrql` is on x64.
pub unsafe extern "win64" fn raise_irql(level: Kirql, caller: usize) -> Kirql {
    irql::raise_for(level, caller)
}

/// `KeLowerIrql`.
pub unsafe extern "win64" fn lower_irql(level: Kirql, caller: usize) {
    irql::lower_for(level, caller);
}

/// `KeRaiseIrqlToDpcLevel`.
pub unsafe extern "win64" fn raise_irql_to_dpc_level(caller: usize) -> Kirql {
    irql::raise_for(DISPATCH_LEVEL, caller)
}

/// `KeInitializeSpinLock`.
pub unsafe extern "win64" fn initialize(lock: *mut usize, caller: usize) {
    // SAFETY: the driver passes the memory of a spin lock.
    unsafe { spin_lock::initialize(lock, caller) }
}

/// `KeAcquireSpinLockRaiseToDpc`: what `KeAcquireSpinLock` is on x64.
pub unsafe extern "win64" fn acquire_raise_to_dpc(lock: *mut usize, caller: usize) -> Kirql {
    let ddi = "KeAcquireSpinLockRaiseToDpc";
    lock_manner::acquires(ddi, lock.addr(), Manner::Plain, caller);
    // SAFETY: the driver passes a spin lock.
    unsafe { spin_lock::acquire_raising(lock, caller) }
}

/// `KeReleaseSpinLock`.
pub unsafe extern "win64" fn release(lock: *mut usize, level: Kirql, caller: usize) {
    lock_manner::releases("KeReleaseSpinLock", lock.addr(), Manner::Plain, caller);
    // SAFETY: the driver passes a spin lock.
    unsafe { spin_lock::release_lowering(lock, level, caller) }
}

fn require_dispatch(ddi: &str, caller: usize) {
    let level = irql::current();
    if level < DISPATCH_LEVEL {
        violation(
            &rules::SPIN_LOCK_BELOW_DISPATCH,
            format!("{ddi} was called at {} ({level})", irql::name(level)),
            &[("called at", caller)],
        );
    }
}

/// `KeAcquireSpinLockAtDpcLevel`.
pub unsafe extern "win64" fn acquire_at_dpc_level(lock: *mut usize, caller: usize) {
    require_dispatch("KeAcquireSpinLockAtDpcLevel", caller);
    let ddi = "KeAcquireSpinLockAtDpcLevel";
    lock_manner::acquires(ddi, lock.addr(), Manner::Plain, caller);
    // SAFETY: the driver passes a spin lock.
    unsafe { spin_lock::acquire_for(lock, irql::current(), caller) }
}

/// `KeReleaseSpinLockFromDpcLevel`.
pub unsafe extern "win64" fn release_from_dpc_level(lock: *mut usize, caller: usize) {
    require_dispatch("KeReleaseSpinLockFromDpcLevel", caller);
    let ddi = "KeReleaseSpinLockFromDpcLevel";
    lock_manner::releases(ddi, lock.addr(), Manner::Plain, caller);
    // SAFETY: the driver passes a spin lock.
    unsafe { spin_lock::release_for(lock, caller) };
}

/// `KeTryToAcquireSpinLockAtDpcLevel`.
pub unsafe extern "win64" fn try_to_acquire_at_dpc_level(lock: *mut usize, caller: usize) -> u8 {
    require_dispatch("KeTryToAcquireSpinLockAtDpcLevel", caller);
    let ddi = "KeTryToAcquireSpinLockAtDpcLevel";
    lock_manner::acquires(ddi, lock.addr(), Manner::Plain, caller);
    // SAFETY: the driver passes a spin lock.
    u8::from(unsafe { spin_lock::try_acquire(lock, caller) })
}

/// `KeTestSpinLock`: true if the lock looks free.
pub unsafe extern "win64" fn test(lock: *mut usize) -> u8 {
    // SAFETY: the driver passes a spin lock.
    u8::from(unsafe { spin_lock::is_free(lock) })
}

/// `KeAcquireInStackQueuedSpinLock`.
pub unsafe extern "win64" fn acquire_in_stack_queued(
    lock: *mut usize,
    handle: *mut KLOCK_QUEUE_HANDLE,
    caller: usize,
) {
    irql::require("KeAcquireInStackQueuedSpinLock", caller);
    let ddi = "KeAcquireInStackQueuedSpinLock";
    lock_manner::acquires(ddi, lock.addr(), Manner::Queued, caller);
    // SAFETY: the driver passes a spin lock.
    let old = unsafe { spin_lock::acquire_raising(lock, caller) };
    // SAFETY: the driver passes the memory of a handle.
    unsafe { (*handle).LockQueue.Lock = lock };
    // SAFETY: as above.
    unsafe { (*handle).OldIrql = old };
}

/// `KeReleaseInStackQueuedSpinLock`.
pub unsafe extern "win64" fn release_in_stack_queued(
    handle: *mut KLOCK_QUEUE_HANDLE,
    caller: usize,
) {
    // SAFETY: the driver passes the handle it acquired with.
    let lock = unsafe { (*handle).LockQueue.Lock };
    // SAFETY: as above.
    let old = unsafe { (*handle).OldIrql };
    let ddi = "KeReleaseInStackQueuedSpinLock";
    lock_manner::releases(ddi, lock.addr(), Manner::Queued, caller);
    // SAFETY: the lock of the handle.
    unsafe { spin_lock::release_lowering(lock, old, caller) };
}

/// `KeAcquireInStackQueuedSpinLockAtDpcLevel`.
pub unsafe extern "win64" fn acquire_in_stack_queued_at_dpc_level(
    lock: *mut usize,
    handle: *mut KLOCK_QUEUE_HANDLE,
    caller: usize,
) {
    require_dispatch("KeAcquireInStackQueuedSpinLockAtDpcLevel", caller);
    let ddi = "KeAcquireInStackQueuedSpinLockAtDpcLevel";
    lock_manner::acquires(ddi, lock.addr(), Manner::Queued, caller);
    // SAFETY: the driver passes a spin lock.
    unsafe { spin_lock::acquire_for(lock, irql::current(), caller) };
    // SAFETY: the driver passes the memory of a handle.
    unsafe { (*handle).LockQueue.Lock = lock };
}

/// `KeReleaseInStackQueuedSpinLockFromDpcLevel`.
pub unsafe extern "win64" fn release_in_stack_queued_from_dpc_level(
    handle: *mut KLOCK_QUEUE_HANDLE,
    caller: usize,
) {
    require_dispatch("KeReleaseInStackQueuedSpinLockFromDpcLevel", caller);
    // SAFETY: the driver passes the handle it acquired with.
    let lock = unsafe { (*handle).LockQueue.Lock };
    let ddi = "KeReleaseInStackQueuedSpinLockFromDpcLevel";
    lock_manner::releases(ddi, lock.addr(), Manner::Queued, caller);
    // SAFETY: the lock of the handle.
    unsafe { spin_lock::release_for(lock, caller) };
}

/// `KeEnterCriticalRegion`.
pub unsafe extern "win64" fn enter_critical_region(caller: usize) {
    irql::require("KeEnterCriticalRegion", caller);
    suspension::region_is_entered();
    thread::enter_critical_region();
}

/// `KeLeaveCriticalRegion`.
pub unsafe extern "win64" fn leave_critical_region(caller: usize) {
    irql::require("KeLeaveCriticalRegion", caller);
    thread::leave_critical_region_for(caller);
}

/// `KeEnterGuardedRegion`.
pub unsafe extern "win64" fn enter_guarded_region(caller: usize) {
    irql::require("KeEnterGuardedRegion", caller);
    thread::enter_guarded_region();
}

/// `KeLeaveGuardedRegion`.
pub unsafe extern "win64" fn leave_guarded_region(caller: usize) {
    irql::require("KeLeaveGuardedRegion", caller);
    thread::leave_guarded_region_for(caller);
}

/// `KeAreApcsDisabled`.
pub unsafe extern "win64" fn are_apcs_disabled() -> u8 {
    irql::require("KeAreApcsDisabled", 0);
    u8::from(thread::apcs_disabled())
}

/// `KeAreAllApcsDisabled`.
pub unsafe extern "win64" fn are_all_apcs_disabled() -> u8 {
    irql::require("KeAreAllApcsDisabled", 0);
    u8::from(thread::all_apcs_disabled())
}
