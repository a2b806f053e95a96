//! Requests built for a caller: `IoBuildSynchronousFsdRequest` and its like.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a new request is filled in by pointer"
)]

use super::own_request_checks::Made;
use super::{irp, mdl};
use crate::nt::{
    DEVICE_OBJECT, DO_BUFFERED_IO, DO_DIRECT_IO, IO_STATUS_BLOCK, IRP, IRP_BUFFERED_IO,
    IRP_DEALLOCATE_BUFFER, IRP_INPUT_OPERATION, IRP_MJ_DEVICE_CONTROL,
    IRP_MJ_INTERNAL_DEVICE_CONTROL, IRP_MJ_READ, IRP_MJ_WRITE, IrpExt, KEVENT,
};
use crate::pool;
use crate::processor::thread;
use std::ffi::c_void;

/// `METHOD_*` of a control code.
const METHOD_BUFFERED: u32 = 0;
const METHOD_NEITHER: u32 = 3;

/// A system buffer with a copy of `bytes` bytes at `from` (none if null).
unsafe fn system_buffer(from: *const c_void, bytes: u32, capacity: u32) -> *mut c_void {
    let buffer = pool::allocate_for_box(capacity.max(1) as usize);
    if !from.is_null() {
        // SAFETY: contract of the callers: `from` has `bytes` bytes, the block at least as many.
        unsafe {
            std::ptr::copy_nonoverlapping(from.cast::<u8>(), buffer.cast::<u8>(), bytes as usize)
        };
    }
    buffer
}

/// `IoBuildAsynchronousFsdRequest`; null without a stack location or memory. The
/// caller's completion routine frees the request.
///
/// # Safety
/// `device` is alive; `buffer` has `length` bytes while the request lives; `offset` is null or readable.
pub unsafe fn build_asynchronous_fsd(
    major: u8,
    device: *mut DEVICE_OBJECT,
    buffer: *mut c_void,
    length: u32,
    offset: *const i64,
    iosb: *mut IO_STATUS_BLOCK,
) -> *mut IRP {
    // SAFETY: contract.
    unsafe {
        let request = irp::allocate((*device).StackSize);
        if request.is_null() {
            return request;
        }
        request.set_thread(thread::current().object());
        irp::set_made(request, Made::Built);
        (*request).Anonymous.UserIosb = iosb;
        let location = request.next_location();
        (*location).MajorFunction = major;
        let (read, write) = (
            u32::from(major) == IRP_MJ_READ,
            u32::from(major) == IRP_MJ_WRITE,
        );
        if !read && !write {
            return request;
        }
        if (*device).Flags & DO_BUFFERED_IO != 0 && length != 0 {
            let source = if write {
                buffer.cast_const()
            } else {
                std::ptr::null()
            };
            (*request).AssociatedIrp.SystemBuffer = system_buffer(source, length, length);
            (*request).Flags = IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
            if read {
                (*request).UserBuffer = buffer;
                (*request).Flags |= IRP_INPUT_OPERATION;
            }
        } else if (*device).Flags & DO_DIRECT_IO != 0 && length != 0 {
            mdl::lock_pages(mdl::allocate(buffer, length, false, request));
        } else {
            (*request).UserBuffer = buffer;
        }
        // Read and write have one layout.
        (*location).Parameters.Read.Length = length;
        if !offset.is_null() {
            (*location).Parameters.Read.ByteOffset = offset.read_unaligned();
        }
        request
    }
}

/// `IoBuildSynchronousFsdRequest`: the I/O manager sets `event` and `iosb` and
/// frees the request.
///
/// # Safety
/// As [`build_asynchronous_fsd`]; `event` and `iosb` live until the request is completed.
pub unsafe fn build_synchronous_fsd(
    major: u8,
    device: *mut DEVICE_OBJECT,
    buffer: *mut c_void,
    length: u32,
    offset: *const i64,
    event: *mut KEVENT,
    iosb: *mut IO_STATUS_BLOCK,
) -> *mut IRP {
    // SAFETY: contract.
    unsafe {
        let request = build_asynchronous_fsd(major, device, buffer, length, offset, iosb);
        if !request.is_null() {
            irp::set_made(request, Made::Threaded);
            (*request).UserEvent = event;
        }
        request
    }
}

/// `IoBuildDeviceIoControlRequest`: the I/O manager sets `event` and `iosb` and
/// frees the request.
///
/// # Safety
/// `device` is alive; the buffers have their lengths, and they, `event` and
/// `iosb` live until the request is completed.
#[expect(clippy::too_many_arguments, reason = "the DDI's parameters")]
pub unsafe fn build_device_control(
    code: u32,
    device: *mut DEVICE_OBJECT,
    input: *const c_void,
    input_length: u32,
    output: *mut c_void,
    output_length: u32,
    internal: bool,
    event: *mut KEVENT,
    iosb: *mut IO_STATUS_BLOCK,
) -> *mut IRP {
    // SAFETY: contract.
    unsafe {
        let request = irp::allocate((*device).StackSize);
        if request.is_null() {
            return request;
        }
        let location = request.next_location();
        (*location).MajorFunction = if internal {
            IRP_MJ_INTERNAL_DEVICE_CONTROL
        } else {
            IRP_MJ_DEVICE_CONTROL
        } as u8;
        (*location).Parameters.DeviceIoControl = crate::nt::stack_location::Control {
            OutputBufferLength: output_length,
            InputBufferLength: input_length,
            ControlCode: code,
            ..Default::default()
        };
        match code & 3 {
            METHOD_BUFFERED => {
                if input_length != 0 || output_length != 0 {
                    (*request).AssociatedIrp.SystemBuffer =
                        system_buffer(input, input_length, input_length.max(output_length));
                    (*request).Flags = IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
                    (*request).UserBuffer = output;
                    if !output.is_null() {
                        (*request).Flags |= IRP_INPUT_OPERATION;
                    }
                }
            }
            METHOD_NEITHER => {
                (*request).UserBuffer = output;
                (*location).Parameters.DeviceIoControl.Type3InputBuffer = input.cast_mut();
            }
            _ => {
                if !input.is_null() {
                    (*request).AssociatedIrp.SystemBuffer =
                        system_buffer(input, input_length, input_length);
                    (*request).Flags = IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
                }
                if !output.is_null() {
                    mdl::lock_pages(mdl::allocate(output, output_length, false, request));
                }
            }
        }
        (*request).Anonymous.UserIosb = iosb;
        (*request).UserEvent = event;
        irp::set_made(request, Made::Threaded);
        request.set_thread(thread::current().object());
        request
    }
}
