//! The stack-location DDIs, which are inline functions of `wdm.h`.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "stack locations lie behind the IRP and are reached by pointer"
)]

use crate::nt::irp::control;
use crate::nt::routines::CompletionRoutine;
use crate::nt::{IO_STACK_LOCATION, IRP, IrpExt};
use std::ffi::c_void;
use std::mem::offset_of;

/// `IoSetNextIrpStackLocation`.
///
/// # Safety
/// A live IRP with a location left.
pub unsafe fn advance(irp: *mut IRP) {
    // SAFETY: contract.
    unsafe {
        (*irp).CurrentLocation -= 1;
        irp.set_current_location(irp.next_location());
    }
}

/// `IoSkipCurrentIrpStackLocation`.
///
/// # Safety
/// A live IRP whose current location belongs to the caller.
pub unsafe fn skip(irp: *mut IRP) {
    // SAFETY: contract.
    unsafe {
        (*irp).CurrentLocation += 1;
        irp.set_current_location(irp.current_location().wrapping_add(1));
    }
}

/// `IoCopyCurrentIrpStackLocationToNext`: all but the completion routine, and no control flag.
///
/// # Safety
/// A live IRP whose current location belongs to the caller, with a location left.
pub unsafe fn copy_to_next(irp: *mut IRP) {
    // SAFETY: contract; both locations lie in the IRP and do not overlap.
    unsafe {
        let next = irp.next_location();
        std::ptr::copy_nonoverlapping(
            irp.current_location().cast::<u8>(),
            next.cast::<u8>(),
            offset_of!(IO_STACK_LOCATION, CompletionRoutine),
        );
        (*next).Control = 0;
    }
}

/// `IoMarkIrpPending`.
///
/// # Safety
/// A live IRP whose current location belongs to the caller.
pub unsafe fn mark_pending(irp: *mut IRP) {
    // SAFETY: contract.
    unsafe { (*irp.current_location()).Control |= control::PENDING_RETURNED };
}

/// `IoSetCompletionRoutine`, with the invoke flags of [`control`].
///
/// # Safety
/// A live IRP with a location left.
pub unsafe fn set_completion_routine(
    irp: *mut IRP,
    routine: Option<CompletionRoutine>,
    context: *mut c_void,
    invoke: u8,
) {
    // SAFETY: contract.
    unsafe {
        let next = irp.next_location();
        (*next).CompletionRoutine = routine;
        (*next).Context = context;
        (*next).Control = invoke;
    }
}

/// Every invoke flag.
pub const ALWAYS: u8 =
    control::INVOKE_ON_SUCCESS | control::INVOKE_ON_ERROR | control::INVOKE_ON_CANCEL;

/// Invoke flags from the three conditions of `IoSetCompletionRoutine`.
pub fn invoke_flags(on_success: bool, on_error: bool, on_cancel: bool) -> u8 {
    [
        (on_success, control::INVOKE_ON_SUCCESS),
        (on_error, control::INVOKE_ON_ERROR),
        (on_cancel, control::INVOKE_ON_CANCEL),
    ]
    .into_iter()
    .filter_map(|(wanted, flag)| wanted.then_some(flag))
    .sum()
}
