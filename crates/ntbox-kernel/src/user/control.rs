//! `NtDeviceIoControlFile`, `NtFsControlFile` (`IopXxxControlFile`).
//!
//! A device control is offered to fast I/O first; a file-system control never
//! is. The transfer method is in the control code. DDI: "Defining I/O control
//! codes", "Buffer descriptions for I/O control codes".

#![expect(unsafe_code, reason = "the caller's buffers are raw memory")]

use super::access::{FILE_READ_DATA, FILE_WRITE_DATA};
use super::ending::Ending;
use super::request::{FileCall, Request};
use super::{buffers, outcome};
use crate::io_manager::counters::FastIo;
use crate::nt::stack_location;
use crate::nt::{
    HANDLE, IO_STATUS_BLOCK, IRP_INPUT_OPERATION, IRP_MJ_DEVICE_CONTROL,
    IRP_MJ_FILE_SYSTEM_CONTROL, NTSTATUS,
};
use crate::processor::driver_code::entering;
use std::ffi::c_void;

/// A control's arguments.
#[derive(Clone, Copy)]
pub struct Control {
    /// What tells the caller.
    pub ending: Ending,
    /// Where status and count go.
    pub iosb: *mut IO_STATUS_BLOCK,
    /// Control code: device type, access, function, method.
    pub code: u32,
    /// The caller's input.
    pub input: *const c_void,
    /// Bytes of input.
    pub input_length: u32,
    /// The caller's output.
    pub output: *mut c_void,
    /// Bytes of output.
    pub output_length: u32,
}

/// `NtDeviceIoControlFile`.
///
/// # Safety
/// Buffers and status block are valid until the request has completed.
pub unsafe fn nt_device_io_control_file(handle: HANDLE, control: &Control) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { run(handle, control, true) }.unwrap_or_else(|status| status)
}

/// `NtFsControlFile`.
///
/// # Safety
/// Buffers and status block are valid until the request has completed.
pub unsafe fn nt_fs_control_file(handle: HANDLE, control: &Control) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { run(handle, control, false) }.unwrap_or_else(|status| status)
}

unsafe fn run(
    handle: HANDLE,
    control: &Control,
    device_control: bool,
) -> Result<NTSTATUS, NTSTATUS> {
    let access = control.code >> 14 & 3;
    let right = match access {
        1 => FILE_READ_DATA,
        2 => FILE_WRITE_DATA,
        3 => FILE_READ_DATA | FILE_WRITE_DATA,
        _ => 0,
    };
    let mut call = FileCall::on(handle, right)?.takes(&control.ending)?;
    call.lock()?;
    if device_control {
        // SAFETY: contract of the callers.
        if let Some(done) = unsafe { fast(&call, control) } {
            // SAFETY: contract of the callers.
            return unsafe { call.answered_fast(&control.ending, control.iosb, done) };
        }
    }
    let major = if device_control {
        IRP_MJ_DEVICE_CONTROL
    } else {
        IRP_MJ_FILE_SYSTEM_CONTROL
    };
    let mut request = call.new_request_ending(major, control.iosb, &control.ending)?;
    // SAFETY: contract of the callers.
    let type3 = unsafe { attach(&mut request, control) }?;
    request.location().Parameters.DeviceIoControl = stack_location::Control {
        OutputBufferLength: control.output_length,
        InputBufferLength: control.input_length,
        ControlCode: control.code,
        Type3InputBuffer: type3,
        ..Default::default()
    };
    Ok(call.send(request, !device_control))
}

/// The buffers by the method in the code's low bits; returns `Type3InputBuffer`.
unsafe fn attach(request: &mut Request, control: &Control) -> Result<*mut c_void, NTSTATUS> {
    const BUFFERED: u32 = 0;
    const OUT_DIRECT: u32 = 2;
    const NEITHER: u32 = 3;
    match control.code & 3 {
        BUFFERED => {
            let size = control.input_length.max(control.output_length);
            if size != 0 {
                // SAFETY: contract of the callers: the input holds its length.
                unsafe {
                    buffers::attach_copy(request, control.input, control.input_length, size)
                }?;
                if control.output_length != 0 {
                    request.header().UserBuffer = control.output;
                    request.header().Flags |= IRP_INPUT_OPERATION;
                }
            }
            Ok(std::ptr::null_mut())
        }
        NEITHER => {
            request.header().UserBuffer = control.output;
            Ok(control.input.cast_mut())
        }
        method => {
            if control.input_length != 0 {
                // SAFETY: as above.
                unsafe {
                    buffers::attach_copy(
                        request,
                        control.input,
                        control.input_length,
                        control.input_length,
                    )
                }?;
            }
            buffers::attach_mdl(
                request,
                control.output,
                control.output_length,
                method == OUT_DIRECT,
            )?;
            Ok(std::ptr::null_mut())
        }
    }
}

unsafe fn fast(call: &FileCall, control: &Control) -> Option<IO_STATUS_BLOCK> {
    let routine = call.fast_io(|table| table.FastIoDeviceControl)?;
    // SAFETY: the entry of the top driver with its documented arguments.
    outcome::fast(FastIo::DeviceControl, routine as usize, |iosb| unsafe {
        entering(routine)(
            call.file(),
            1,
            control.input.cast_mut(),
            control.input_length,
            control.output,
            control.output_length,
            control.code,
            iosb,
            call.device(),
        )
    })
}
