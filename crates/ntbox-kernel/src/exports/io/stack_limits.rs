//! How much of the kernel stack there is, and how much of it is left.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::pe_image::crossing;
use crate::processor::irql;
use std::ffi::c_void;
use std::ops::Range;

/// The stack that the driver runs on, from its lowest address to the one above it.
fn limits() -> Range<usize> {
    if crossing::HAS_KERNEL_STACKS {
        crossing::limits()
    } else {
        crate::host::stack()
    }
}

/// `IoGetStackLimits`. Any IRQL.
pub unsafe extern "win64" fn get_stack_limits(low: *mut usize, high: *mut usize) {
    let limits = limits();
    // SAFETY: the driver's pointer.
    unsafe { low.write(limits.start) };
    // SAFETY: the driver's pointer.
    unsafe { high.write(limits.end) };
}

/// `IoGetRemainingStackSize`: below where the driver has called. Any IRQL.
pub unsafe extern "win64" fn get_remaining_stack_size() -> usize {
    let here = if crossing::HAS_KERNEL_STACKS {
        crossing::stack().end
    } else {
        let local = 0_u8;
        &raw const local as usize
    };
    here - limits().start
}

/// `IoGetInitialStack`: the end that the stack begins with.
pub unsafe extern "win64" fn get_initial_stack() -> *mut c_void {
    irql::require("IoGetInitialStack", 0);
    std::ptr::with_exposed_provenance_mut(limits().end)
}
