//! The current thread and the processors that drivers see.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::routines::ContextRoutine;
use crate::nt::{NTSTATUS, STATUS_NO_MEMORY, STATUS_SUCCESS};
use crate::processor::driver_code::{self, entering};
use crate::processor::thread::PROCESSORS;
use crate::processor::{irql, thread};
use std::ffi::c_void;
use windows_sys::Win32::System::Kernel::PROCESSOR_NUMBER;

/// `ALL_PROCESSOR_GROUPS`.
const ALL_GROUPS: u16 = 0xFFFF;

/// `KeNumberProcessors`.
pub static NUMBER_PROCESSORS: i8 = PROCESSORS as i8;

/// `KeGetCurrentThread`.
pub unsafe extern "win64" fn get_current_thread() -> *mut c_void {
    thread::current().object()
}

/// `KeGetCurrentProcessorNumberEx`. All processors are in group 0.
pub unsafe extern "win64" fn get_current_processor_number_ex(number: *mut PROCESSOR_NUMBER) -> u32 {
    let processor = thread::current().processor();
    if !number.is_null() {
        // SAFETY: the driver passes a `PROCESSOR_NUMBER` or null.
        unsafe {
            number.write(PROCESSOR_NUMBER {
                Group: 0,
                Number: processor as u8,
                Reserved: 0,
            })
        };
    }
    processor
}

/// `KeQueryActiveProcessorCount`: the count, and the mask of group 0.
pub unsafe extern "win64" fn query_active_processor_count(mask: *mut usize) -> u32 {
    if !mask.is_null() {
        // SAFETY: the driver passes a `KAFFINITY` or null.
        unsafe { mask.write(usize::MAX) };
    }
    PROCESSORS
}

/// `KeQueryActiveProcessorCountEx`, `KeQueryMaximumProcessorCountEx`.
pub unsafe extern "win64" fn query_active_processor_count_ex(group: u16) -> u32 {
    if group == 0 || group == ALL_GROUPS {
        PROCESSORS
    } else {
        0
    }
}

/// `KeQueryMaximumProcessorCount`.
pub unsafe extern "win64" fn query_maximum_processor_count() -> u32 {
    PROCESSORS
}

/// `KeQueryActiveProcessors`: the mask of group 0.
pub unsafe extern "win64" fn query_active_processors() -> usize {
    usize::MAX
}

/// `KeQueryActiveGroupCount`, `KeQueryMaximumGroupCount`.
pub unsafe extern "win64" fn query_group_count() -> u16 {
    1
}

/// `KeSetPriorityThread`: kept for `KeQueryPriorityThread`; the host schedules.
pub unsafe extern "win64" fn set_priority_thread(object: *mut c_void, priority: i32) -> i32 {
    irql::require("KeSetPriorityThread", 0);
    thread::from_object(object).map_or(0, |thread| thread.set_priority(priority))
}

/// `KeQueryPriorityThread`.
pub unsafe extern "win64" fn query_priority_thread(object: *mut c_void) -> i32 {
    irql::require("KeQueryPriorityThread", 0);
    thread::from_object(object).map_or(0, thread::Thread::priority)
}

/// `KeExpandKernelStackAndCallout`: calls the routine on a stack as large as the
/// largest that it can ask for.
pub unsafe extern "win64" fn expand_kernel_stack_and_callout(
    callout: ContextRoutine,
    parameter: *mut c_void,
    _size: usize,
    caller: usize,
) -> NTSTATUS {
    irql::require("KeExpandKernelStackAndCallout", caller);
    // SAFETY: the driver passes a routine and its parameter.
    let done = driver_code::on_expanded_stack(|| unsafe { entering(callout)(parameter) });
    if done {
        STATUS_SUCCESS
    } else {
        STATUS_NO_MEMORY
    }
}

const _: () = assert!(PROCESSORS == usize::BITS);
