//! The once-a-second timer of a device.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::timer::{self, TimerRoutine};
use crate::nt::{DEVICE_OBJECT, NTSTATUS};
use crate::processor::given;
use crate::processor::irql;
use std::ffi::c_void;

/// `IoInitializeTimer`.
pub unsafe extern "win64" fn initialize_timer(
    device: *mut DEVICE_OBJECT,
    routine: TimerRoutine,
    context: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoInitializeTimer", caller);
    given::remember(routine as usize, "IoInitializeTimer", caller);
    // SAFETY: the driver's device and routine.
    unsafe { timer::initialize(device, routine, context, caller) }
}

/// `IoStartTimer`.
pub unsafe extern "win64" fn start_timer(device: *mut DEVICE_OBJECT, caller: usize) {
    irql::require("IoStartTimer", caller);
    // SAFETY: the driver's device.
    unsafe { timer::start(device) }
}

/// `IoStopTimer`.
pub unsafe extern "win64" fn stop_timer(device: *mut DEVICE_OBJECT, caller: usize) {
    irql::require("IoStopTimer", caller);
    // SAFETY: the driver's device.
    unsafe { timer::stop(device) }
}
