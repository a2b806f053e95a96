//! The inline routines of `wdm.h` that the bindings lack, each as one function.
//!
//! All of them require a live IRP that the caller owns, whose current stack
//! location is the caller's.

#![expect(
    unsafe_code,
    reason = "stack locations are reached by pointer arithmetic"
)]

use crate::status::Status;
use core::ffi::c_void;
use core::mem::{MaybeUninit, offset_of};
use wdk_sys::{
    IO_STACK_LOCATION, NTSTATUS, PDEVICE_OBJECT, PIRP, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR,
    SL_INVOKE_ON_SUCCESS, SL_PENDING_RETURNED,
};

/// What travels in the Context pointer. Where a completion has padding, bytes of it have no value: it is passed
/// along, by the I/O manager as by this driver, and not looked at before it is taken for what it was.
pub(crate) type Context = MaybeUninit<*mut c_void>;

/// IO_COMPLETION_ROUTINE, but for the type of the context, which is passed as a pointer is.
pub(crate) type Routine = unsafe extern "C" fn(PDEVICE_OBJECT, PIRP, Context) -> NTSTATUS;

/// All invoke flags: a context is always reclaimed (C14).
const INVOKE_ALWAYS: u8 = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;

/// Where the IRP keeps the pointer to its current stack location.
///
/// # Safety
/// As the module says.
unsafe fn location_slot(irp: PIRP) -> *mut *mut IO_STACK_LOCATION {
    // SAFETY: contract of the function; only the place is computed.
    unsafe {
        &raw mut (*irp)
            .Tail
            .Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation
    }
}

/// `IoGetCurrentIrpStackLocation`. IRQL: any.
///
/// # Safety
/// As the module says.
pub(crate) unsafe fn current_location(irp: PIRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: contract of the function.
    let slot = unsafe { location_slot(irp) };
    // SAFETY: the union holds the pointer while drivers own the IRP.
    unsafe { slot.read() }
}

/// The major function code. IRQL: any.
///
/// # Safety
/// As the module says.
pub(crate) unsafe fn major(irp: PIRP) -> u8 {
    // SAFETY: contract of the function.
    let location = unsafe { current_location(irp) };
    // SAFETY: as above.
    unsafe { (*location).MajorFunction }
}

/// The status in the IRP. IRQL: any.
///
/// # Safety
/// As the module says.
pub(crate) unsafe fn status(irp: PIRP) -> Status {
    // SAFETY: contract of the function; only the place is computed.
    let status = unsafe { &raw const (*irp).IoStatus.__bindgen_anon_1.Status };
    // SAFETY: the union holds a status in every IRP that a driver owns.
    Status(unsafe { status.read() })
}

/// `IoGetNextIrpStackLocation`. IRQL: any.
///
/// # Safety
/// As the module says, and there is a next location.
pub(crate) unsafe fn next_location(irp: PIRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: contract of the function.
    let current = unsafe { current_location(irp) };
    // SAFETY: contract of the function; locations are an array that is used from its end.
    unsafe { current.sub(1) }
}

/// `IoSkipCurrentIrpStackLocation`. IRQL: ≤ DISPATCH_LEVEL.
///
/// # Safety
/// As the module says; no completion routine is set afterwards (C1).
pub(crate) unsafe fn skip_current_location(irp: PIRP) {
    // SAFETY: contract of the function.
    let count = unsafe { &raw mut (*irp).CurrentLocation };
    // SAFETY: as above; the count stays within the stack because the IRP has this location.
    unsafe { *count += 1 };
    // SAFETY: contract of the function.
    let current = unsafe { current_location(irp) };
    // SAFETY: one past this location is still inside or right behind the array.
    let above = unsafe { current.add(1) };
    // SAFETY: contract of the function.
    let slot = unsafe { location_slot(irp) };
    // SAFETY: as above.
    unsafe { slot.write(above) };
}

/// `IoCopyCurrentIrpStackLocationToNext` and `IoSetCompletionRoutine`, in that order (C1), with all invoke flags
/// (C14). IRQL: ≤ DISPATCH_LEVEL.
///
/// Also where the driver may be unloaded: `IoSetCompletionRoutineEx`, which keeps the image, allocates, and a
/// request for which that fails may only be completed, a close among them (C15, P2).
///
/// # Safety
/// As the module says, and there is a next location; `routine` accepts `context` whenever the request completes,
/// and the image is there until it has returned.
pub(crate) unsafe fn copy_with_completion_routine(irp: PIRP, routine: Routine, context: Context) {
    /// All but the completion routine and its context.
    const COPIED: usize = offset_of!(IO_STACK_LOCATION, CompletionRoutine);
    // SAFETY: contract of the function.
    let from = unsafe { current_location(irp) };
    // SAFETY: contract of the function; locations are an array that is used from its end.
    let to = unsafe { from.sub(1) };
    // SAFETY: two distinct locations of one array.
    unsafe { core::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), COPIED) };
    // SAFETY: contract of the function.
    unsafe { set_routine(to, routine, context) };
}

/// `IoSetCompletionRoutine`, with all invoke flags (C14). IRQL: ≤ DISPATCH_LEVEL.
///
/// # Safety
/// As the module says; the next location was filled in; `routine` as in [`copy_with_completion_routine`].
pub(crate) unsafe fn set_completion_routine(irp: PIRP, routine: Routine, context: Context) {
    // SAFETY: contract of the function.
    let next = unsafe { next_location(irp) };
    // SAFETY: as above.
    unsafe { set_routine(next, routine, context) };
}

/// # Safety
/// `location` is the caller's to fill in; `routine` as in [`copy_with_completion_routine`].
unsafe fn set_routine(location: *mut IO_STACK_LOCATION, routine: Routine, context: Context) {
    // SAFETY: contract of the function; only the place is computed.
    let place = unsafe { &raw mut (*location).CompletionRoutine };
    // SAFETY: as above. A context has the layout of a pointer, and is passed like one.
    unsafe { place.cast::<Option<Routine>>().write(Some(routine)) };
    // SAFETY: as above; only the place is computed.
    let place = unsafe { &raw mut (*location).Context };
    // SAFETY: as above.
    unsafe { place.cast::<Context>().write(context) };
    // SAFETY: as above. No flag of the location above is in it.
    unsafe { (*location).Control = INVOKE_ALWAYS };
}

/// `IoMarkIrpPending`. IRQL: ≤ DISPATCH_LEVEL.
///
/// # Safety
/// As the module says.
pub(crate) unsafe fn mark_pending(irp: PIRP) {
    // SAFETY: contract of the function.
    let location = unsafe { current_location(irp) };
    // SAFETY: as above.
    unsafe { (*location).Control |= SL_PENDING_RETURNED as u8 };
}
