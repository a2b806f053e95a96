//! Where the data of a request lies: in its MDL, its system buffer, or the caller's.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "buffers are given by pointer"
)]

use ntbox_kernel::io_manager::mdl;
use ntbox_kernel::nt::stack_location::Control;
use ntbox_kernel::nt::{
    IRP, IRP_ASSOCIATED_IRP, IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_READ, IRP_MJ_WRITE,
    IRP_MN_QUERY_DIRECTORY, IrpExt, NTSTATUS, STATUS_INVALID_USER_BUFFER,
};
use std::ffi::c_void;

/// The buffer of a request for data: the MDL's if there is one, else the system buffer,
/// else the caller's.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`: there is none, or its MDL describes less than `length`.
///
/// # Safety
/// `irp` is the caller's.
unsafe fn address(irp: *mut IRP, length: usize) -> Result<*mut c_void, NTSTATUS> {
    // SAFETY: contract.
    let header = unsafe { &*irp };
    if !header.MdlAddress.is_null() {
        // SAFETY: a request's MDL is alive.
        let described = unsafe { (*header.MdlAddress).ByteCount } as usize;
        // SAFETY: as above. Pages are not mapped elsewhere in the box.
        let address = unsafe { mdl::virtual_address(header.MdlAddress) };
        return if described < length {
            Err(STATUS_INVALID_USER_BUFFER)
        } else {
            Ok(address)
        };
    }
    // SAFETY: contract.
    let address = unsafe { system_buffer(irp) };
    let address = if address.is_null() {
        header.UserBuffer
    } else {
        address
    };
    if address.is_null() {
        Err(STATUS_INVALID_USER_BUFFER)
    } else {
        Ok(address)
    }
}

/// `AssociatedIrp.SystemBuffer`, or null.
///
/// # Safety
/// `irp` is the caller's.
pub unsafe fn system_buffer(irp: *mut IRP) -> *mut c_void {
    // SAFETY: contract.
    let header = unsafe { &*irp };
    if header.Flags & IRP_ASSOCIATED_IRP != 0 {
        return std::ptr::null_mut();
    }
    // SAFETY: without that flag the union holds the buffer.
    unsafe { header.AssociatedIrp.SystemBuffer }
}

/// The buffer to write `length` bytes into.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`.
///
/// # Safety
/// `irp` is the caller's; the slice ends before the request is completed.
pub unsafe fn output<'a>(irp: *mut IRP, length: u32) -> Result<&'a mut [u8], NTSTATUS> {
    if length == 0 {
        return Ok(&mut []);
    }
    // SAFETY: contract.
    let address = unsafe { address(irp, length as usize) }?;
    // SAFETY: the originator gives a buffer of the length it says.
    Ok(unsafe { std::slice::from_raw_parts_mut(address.cast(), length as usize) })
}

/// The buffer to read `length` bytes from.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`.
///
/// # Safety
/// As [`output`].
pub unsafe fn input<'a>(irp: *mut IRP, length: u32) -> Result<&'a [u8], NTSTATUS> {
    // SAFETY: contract.
    unsafe { output(irp, length) }.map(|buffer| &*buffer)
}

/// The system buffer of a request that always has one, as `length` bytes.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`.
///
/// # Safety
/// As [`output`].
pub unsafe fn buffered<'a>(irp: *mut IRP, length: u32) -> Result<&'a mut [u8], NTSTATUS> {
    if length == 0 {
        return Ok(&mut []);
    }
    // SAFETY: contract.
    let address = unsafe { system_buffer(irp) };
    if address.is_null() {
        return Err(STATUS_INVALID_USER_BUFFER);
    }
    // SAFETY: the originator gives a buffer of the length it says.
    Ok(unsafe { std::slice::from_raw_parts_mut(address.cast(), length as usize) })
}

/// The input of a control whose method is neither: what the originator gives, as it is.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`.
///
/// # Safety
/// The parameters of a control that is not completed; the slice ends before it is.
pub unsafe fn type3_input<'a>(parameters: &Control) -> Result<&'a [u8], NTSTATUS> {
    let (address, length) = (parameters.Type3InputBuffer, parameters.InputBufferLength);
    match (length, address.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(STATUS_INVALID_USER_BUFFER),
        // SAFETY: the originator gives a buffer of the length it says.
        _ => Ok(unsafe { std::slice::from_raw_parts(address.cast(), length as usize) }),
    }
}

/// Describes and locks the caller's buffer of a data transfer that another thread will do, as
/// file systems on devices without buffered or direct I/O must: the MDL belongs to the request
/// from then on, and drivers above see it at completion.
///
/// # Safety
/// `irp` is the dispatch routine's.
pub unsafe fn lock_user_buffer(irp: *mut IRP) {
    // SAFETY: contract.
    let location = unsafe { &*irp.current_location() };
    // SAFETY: contract.
    let header = unsafe { &*irp };
    let major = u32::from(location.MajorFunction);
    let length = match major {
        // SAFETY: the parameters of this major function.
        IRP_MJ_READ => unsafe { location.Parameters.Read.Length },
        // SAFETY: the parameters of this major function.
        IRP_MJ_WRITE => unsafe { location.Parameters.Write.Length },
        IRP_MJ_DIRECTORY_CONTROL if u32::from(location.MinorFunction) == IRP_MN_QUERY_DIRECTORY => {
            // SAFETY: the parameters of this minor function.
            unsafe { location.Parameters.QueryDirectory.Length }
        }
        _ => 0,
    };
    // SAFETY: contract.
    let buffered = !unsafe { system_buffer(irp) }.is_null();
    if length == 0 || buffered || !header.MdlAddress.is_null() || header.UserBuffer.is_null() {
        return;
    }
    // SAFETY: contract; the request takes the MDL over, and completion frees it.
    let list = unsafe { mdl::allocate(header.UserBuffer, length, false, irp) };
    if !list.is_null() {
        // SAFETY: a new MDL.
        unsafe { mdl::lock_pages(list) };
    }
}

/// Copies the result of a directory notification into the request's buffer; its length.
///
/// # Safety
/// As [`output`]; `data` is no longer than the request said.
pub unsafe fn copy_out(irp: *mut IRP, data: &[u8]) -> usize {
    if data.is_empty() {
        return 0;
    }
    // SAFETY: contract.
    let length = unsafe { (*irp.current_location()).Parameters.NotifyDirectory.Length };
    // SAFETY: contract.
    let buffer = unsafe { output(irp, length) };
    match buffer.ok().and_then(|buffer| buffer.get_mut(..data.len())) {
        Some(room) => {
            room.copy_from_slice(data);
            data.len()
        }
        None => 0,
    }
}
