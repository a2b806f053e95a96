//! `KDPC` objects of drivers.
//!
//! `DpcData` is not null while the DPC is queued, as in NT. What the routine is
//! called with is read when the DPC runs.
//!
//! Source: "DPC Objects and DPCs" in the kernel architecture guide.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "DPC objects live in driver memory"
)]

use super::driver_code::entering;
use super::work;
use crate::nt::KDPC;
use crate::nt::routines::DeferredRoutine;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::PoisonError;

/// `DpcObject` of the kernel's object types, and `MediumImportance`.
const TYPE: u8 = 19;
const IMPORTANCE: u8 = 1;

/// Guards `DpcData` of every DPC.
static INSERTION: Mutex<()> = Mutex::new(());

/// `KeInitializeDpc`. Any IRQL.
///
/// # Safety
/// `dpc` points to writable, aligned memory of a `KDPC` that is not queued.
pub unsafe fn initialize(dpc: *mut KDPC, routine: DeferredRoutine, context: *mut c_void) {
    // SAFETY: contract of the function; all fields may be zero.
    unsafe { dpc.write_bytes(0, 1) };
    // SAFETY: contract of the function; type and importance are the first two bytes.
    unsafe { dpc.cast::<[u8; 2]>().write([TYPE, IMPORTANCE]) };
    // SAFETY: contract of the function; a pointer-size slot that only `run` reads.
    unsafe {
        (&raw mut (*dpc).DeferredRoutine)
            .cast::<DeferredRoutine>()
            .write(routine)
    };
    // SAFETY: contract of the function.
    unsafe { (*dpc).DeferredContext = context };
}

/// Address of the DPC's routine.
///
/// # Safety
/// `dpc` points to an initialized `KDPC`.
pub(super) unsafe fn site(dpc: *const KDPC) -> usize {
    // SAFETY: contract of the function.
    unsafe { (&raw const (*dpc).DeferredRoutine).cast::<usize>().read() }
}

/// `KeInsertQueueDpc`: false if it is queued already. Any IRQL.
///
/// # Safety
/// `dpc` points to an initialized `KDPC` that stays alive until it has run.
pub unsafe fn insert(dpc: *mut KDPC, argument1: *mut c_void, argument2: *mut c_void) -> bool {
    let _guard = INSERTION.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: contract of the function.
    if !unsafe { (*dpc).DpcData }.is_null() {
        return false;
    }
    // SAFETY: contract of the function; anything but null says that it is queued.
    unsafe { (*dpc).DpcData = dpc.cast() };
    // SAFETY: contract of the function.
    unsafe { (*dpc).SystemArgument1 = argument1 };
    // SAFETY: contract of the function.
    unsafe { (*dpc).SystemArgument2 = argument2 };
    // SAFETY: contract of the function.
    let site = unsafe { site(dpc) };
    let address = dpc.expose_provenance();
    work::queue_dpc_for(site, address, Box::new(move || run(address)));
    true
}

/// Queues the DPC of a timer that has expired; drivers find nothing documented in
/// the system arguments.
///
/// # Safety
/// As [`insert`].
pub(super) unsafe fn insert_for_timer(dpc: *mut KDPC) {
    // SAFETY: contract of the function.
    unsafe { insert(dpc, std::ptr::null_mut(), std::ptr::null_mut()) };
}

/// `KeRemoveQueueDpc`: false if it was not queued. Any IRQL.
///
/// # Safety
/// `dpc` points to an initialized `KDPC`.
pub unsafe fn remove(dpc: *mut KDPC) -> bool {
    let _guard = INSERTION.lock().unwrap_or_else(PoisonError::into_inner);
    let removed = work::remove_dpc(dpc.addr());
    if removed {
        // SAFETY: contract of the function.
        unsafe { (*dpc).DpcData = std::ptr::null_mut() };
    }
    removed
}

/// Runs on the DPC thread. The routine may free or queue the object again.
fn run(address: usize) {
    let dpc: *mut KDPC = std::ptr::with_exposed_provenance_mut(address);
    let (routine, context, argument1, argument2);
    {
        let _guard = INSERTION.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: who queued it keeps it alive until it runs.
        let object = unsafe { dpc.read() };
        // SAFETY: as above.
        unsafe { (*dpc).DpcData = std::ptr::null_mut() };
        // SAFETY: the slot was written by `initialize`; never zero.
        routine = unsafe {
            (&raw const object.DeferredRoutine)
                .cast::<DeferredRoutine>()
                .read()
        };
        context = object.DeferredContext;
        (argument1, argument2) = (object.SystemArgument1, object.SystemArgument2);
    }
    // SAFETY: a DPC routine takes its object, context and arguments.
    unsafe { entering(routine)(dpc, context, argument1, argument2) };
}
