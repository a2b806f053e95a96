//! Unwinding, as drivers ask for it themselves.
//!
//! Left out: a history table is not written, and no pointers to saved registers are given.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::pe_image::frame;
use crate::processor::exception::{self, Context, Record};
use std::ffi::c_void;

/// `RtlRaiseException`.
pub unsafe extern "win64" fn raise(record: *const Record, _caller: usize) {
    // SAFETY: the driver passes a record.
    exception::raise_record(unsafe { &*record });
}

/// `RtlUnwind`.
pub unsafe extern "win64" fn unwind(
    frame: u64,
    target: u64,
    record: *mut Record,
    value: u64,
    caller: usize,
) {
    // SAFETY: the driver passes a record or null.
    let record = unsafe { record.as_mut() };
    exception::unwind(frame, target, record, value, caller)
}

/// `RtlUnwindEx`. The context is room that the box does not need.
pub unsafe extern "win64" fn unwind_ex(
    frame: u64,
    target: u64,
    record: *mut Record,
    value: u64,
    _context: *mut c_void,
    _history: *mut c_void,
    caller: usize,
) {
    // SAFETY: the driver passes a record or null.
    let record = unsafe { record.as_mut() };
    exception::unwind(frame, target, record, value, caller)
}

/// `RtlLookupFunctionEntry`: null of a function that has none, and of the box's.
pub unsafe extern "win64" fn lookup_function_entry(
    control: usize,
    base: *mut usize,
    _history: *mut c_void,
) -> *const c_void {
    let Some(found) = frame::function_entry(control) else {
        return std::ptr::null();
    };
    // SAFETY: the driver passes room for an address.
    unsafe { base.write(found.0) };
    std::ptr::with_exposed_provenance(found.1)
}

/// `RtlVirtualUnwind`: the handler of the frame, if it is one of the kind asked for (1 for exceptions, 2
/// for unwinding, 0 for none).
pub unsafe extern "win64" fn virtual_unwind(
    kind: u32,
    _base: usize,
    control: usize,
    _function: *const c_void,
    context: *mut Context,
    data: *mut usize,
    establisher: *mut u64,
    _pointers: *mut c_void,
) -> *const c_void {
    // SAFETY: the driver passes a context.
    let context = unsafe { &mut *context };
    let Some((frame, caller)) = frame::unwind_frame(control, context) else {
        return std::ptr::null();
    };
    context.instruction = caller;
    // SAFETY: the driver passes room for an address.
    unsafe { establisher.write(frame.establisher) };
    let wanted = |handler: &frame::Handler| {
        kind & 1 != 0 && handler.on_exception || kind & 2 != 0 && handler.on_unwind
    };
    let Some(handler) = frame.handler.filter(wanted) else {
        return std::ptr::null();
    };
    // SAFETY: as above.
    unsafe { data.write(handler.data) };
    std::ptr::with_exposed_provenance(handler.routine)
}
