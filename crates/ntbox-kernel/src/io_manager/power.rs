//! Requests that ask a device to change its power state.
//!
//! Source: `PoRequestPowerIrp`, `REQUEST_POWER_COMPLETE` in the DDI reference.

#![expect(unsafe_code, reason = "requests are shared with drivers by pointer")]

use super::{call, device, irp, stack};
use crate::nt::stack_location::Power;
use crate::nt::{
    DEVICE_OBJECT, DevicePowerState, IO_STATUS_BLOCK, IRP, IRP_MJ_POWER, IRP_MN_QUERY_POWER,
    IRP_MN_SET_POWER, IRP_MN_WAIT_WAKE, IrpExt, NTSTATUS, STATUS_INVALID_PARAMETER_2,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_NOT_SUPPORTED, STATUS_PENDING,
};
use crate::processor::driver_code::entering;
use crate::processor::lifetime;
use std::ffi::c_void;

/// `REQUEST_POWER_COMPLETE`.
pub type Completed =
    unsafe extern "win64" fn(*mut DEVICE_OBJECT, u8, i32, *mut c_void, *mut IO_STATUS_BLOCK);

/// What is left to do when the request comes back.
struct Asked {
    device: *mut DEVICE_OBJECT,
    top: *mut DEVICE_OBJECT,
    minor: u8,
    state: i32,
    completed: Option<Completed>,
    context: *mut c_void,
}

/// `PoRequestPowerIrp`: sends the request to the top of the stack, and calls `completed` when it has come back.
///
/// # Errors (as NTSTATUS)
/// `STATUS_INVALID_PARAMETER_2` for another request than `IRP_MN_QUERY_POWER`, `IRP_MN_SET_POWER` and
/// `IRP_MN_WAIT_WAKE`.
///
/// # Safety
/// `device` is alive until the request has come back; `request` is null or writable. At most `DISPATCH_LEVEL`.
pub unsafe fn request(
    device: *mut DEVICE_OBJECT,
    minor: u8,
    state: i32,
    completed: Option<Completed>,
    context: *mut c_void,
    request: *mut *mut IRP,
    site: usize,
) -> NTSTATUS {
    let parameters = match u32::from(minor) {
        IRP_MN_QUERY_POWER | IRP_MN_SET_POWER => Power {
            Type: DevicePowerState,
            State: state,
            ..Power::default()
        },
        // Of this one the state comes first.
        IRP_MN_WAIT_WAKE => Power {
            SystemContext: state as u32,
            ..Power::default()
        },
        _ => return STATUS_INVALID_PARAMETER_2,
    };
    // SAFETY: contract.
    let top = unsafe { device::reference_top_of_stack(device) };
    // SAFETY: referenced.
    let irp = irp::allocate_at(unsafe { (*top).StackSize }, site);
    // SAFETY: a new request.
    let header = unsafe { &mut *irp };
    header.IoStatus.Anonymous.Status = STATUS_NOT_SUPPORTED;
    // SAFETY: a new request has a location for each device.
    let location = unsafe { irp.next_location() };
    // SAFETY: as above.
    let location = unsafe { &mut *location };
    location.MajorFunction = IRP_MJ_POWER as u8;
    location.MinorFunction = minor;
    location.Parameters.Power = parameters;
    let asked = Box::into_raw(Box::new(Asked {
        device,
        top,
        minor,
        state,
        completed,
        context,
    }));
    // SAFETY: a new request.
    unsafe { stack::set_completion_routine(irp, Some(came_back), asked.cast(), stack::ALWAYS) };
    if u32::from(minor) == IRP_MN_WAIT_WAKE && !request.is_null() {
        // SAFETY: contract.
        unsafe { request.write(irp) };
    }
    // SAFETY: a complete request for this stack; the box is who sends it.
    unsafe { call::call_driver(top, irp, 0) };
    STATUS_PENDING
}

unsafe extern "win64" fn came_back(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: made by `request` for this one call.
    let asked = unsafe { Box::from_raw(context.cast::<Asked>()) };
    if let Some(completed) = asked.completed {
        // SAFETY: a live request.
        let block = unsafe { &raw mut (*irp).IoStatus };
        // SAFETY: the routine of who has asked, which is told once.
        unsafe {
            entering(completed)(asked.device, asked.minor, asked.state, asked.context, block)
        };
    }
    // SAFETY: the box's own request, which nobody else has.
    unsafe { irp::free(irp, 0) };
    // SAFETY: the reference of `request`.
    unsafe { lifetime::dereference(asked.top.cast()) };
    STATUS_MORE_PROCESSING_REQUIRED
}
