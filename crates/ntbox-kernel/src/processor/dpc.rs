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
use crate::host::memory;
use crate::nt::KDPC;
use crate::nt::routines::DeferredRoutine;
use crate::pool::active;
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::Mutex;
use std::sync::PoisonError;

/// `DpcObject` of the kernel's object types, and `MediumImportance`.
const TYPE: u8 = 19;
const IMPORTANCE: u8 = 1;

/// One that is queued, to which the box goes when its turn comes.
static QUEUED: active::Kind = active::Kind {
    what: "DPC",
    begun: "queued",
    freed: Some(&rules::ACTIVE_DPC_FREED),
    twice: None,
    missing: None,
    forget: |dpc| {
        work::remove_dpc(dpc);
    },
};

/// Guards `DpcData` of every DPC.
static INSERTION: Mutex<()> = Mutex::new(());

/// `KeInitializeDpc` by the call that returns to `caller`. Any IRQL.
///
/// # Safety
/// `dpc` points to writable, aligned memory of a `KDPC`.
pub unsafe fn initialize(
    dpc: *mut KDPC,
    routine: DeferredRoutine,
    context: *mut c_void,
    caller: usize,
) {
    QUEUED.is_begun_anew("KeInitializeDpc", dpc.addr(), caller);
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

/// True if one was initialized at `address`, and is still there.
pub(super) fn is_initialized(address: usize) -> bool {
    // SAFETY: a structure of integers and pointers.
    let dpc = unsafe { memory::try_read_as::<[u64; size_of::<KDPC>() / 8]>(address) };
    dpc.is_some_and(|dpc| dpc[0] as u8 == TYPE && dpc[offset_of!(KDPC, DeferredRoutine) / 8] != 0)
}

/// Reports one that never was.
pub(super) fn expect_initialized(ddi: &str, dpc: *mut KDPC, caller: usize) -> bool {
    let is_one = is_initialized(dpc.addr());
    if !is_one {
        violation(
            &rules::UNINITIALIZED_OBJECT,
            format!("{ddi}: DPC {dpc:p} was never initialized"),
            &[("called at", caller)],
        );
    }
    is_one
}

/// `KeInsertQueueDpc` by the call that returns to `caller`: false if it is queued already. Any IRQL.
///
/// # Safety
/// `dpc` points to a `KDPC` that stays alive until it has run.
pub unsafe fn insert(
    dpc: *mut KDPC,
    argument1: *mut c_void,
    argument2: *mut c_void,
    caller: usize,
) -> bool {
    if !expect_initialized("KeInsertQueueDpc", dpc, caller) {
        return false;
    }
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
    QUEUED.begin(address, caller);
    work::queue_dpc_for(site, address, Box::new(move || run(address, caller)));
    true
}

/// Queues the DPC of a timer that `caller` has set and that has expired; drivers find nothing documented in
/// the system arguments.
///
/// # Safety
/// As [`insert`].
pub(super) unsafe fn insert_for_timer(dpc: *mut KDPC, caller: usize) {
    // SAFETY: contract of the function.
    unsafe { insert(dpc, std::ptr::null_mut(), std::ptr::null_mut(), caller) };
}

/// `KeRemoveQueueDpc`: false if it was not queued. Any IRQL.
///
/// # Safety
/// `dpc` points to an initialized `KDPC`.
pub unsafe fn remove(dpc: *mut KDPC) -> bool {
    let _guard = INSERTION.lock().unwrap_or_else(PoisonError::into_inner);
    let removed = work::remove_dpc(dpc.addr());
    if removed {
        QUEUED.end(dpc.addr());
        // SAFETY: contract of the function.
        unsafe { (*dpc).DpcData = std::ptr::null_mut() };
    }
    removed
}

/// Runs on the DPC thread, what `caller` has queued. The routine may free or queue the object again.
fn run(address: usize, caller: usize) {
    if !QUEUED.end(address) {
        // Its memory has gone between, which was said there.
        return;
    }
    if !is_initialized(address) {
        QUEUED.is_written_over(address, caller);
        return;
    }
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
