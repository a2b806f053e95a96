//! The three ways in which a request carries the caller's buffers.
//!
//! DDI: "Methods for accessing data buffers". Buffered I/O copies through a
//! system buffer that completion copies back and frees; direct I/O describes
//! the caller's pages with an MDL; with neither the driver gets the pointer.

#![expect(unsafe_code, reason = "buffers are handed to drivers by pointer")]

use super::request::Request;
use crate::io_manager::mdl;
use crate::nt::{
    DO_BUFFERED_IO, DO_DIRECT_IO, IRP, IRP_BUFFERED_IO, IRP_DEALLOCATE_BUFFER, IRP_INPUT_OPERATION,
    NTSTATUS, STATUS_INSUFFICIENT_RESOURCES,
};
use crate::pool;
use std::ffi::c_void;

/// `MDL_WRITE_OPERATION` (`wdm.h`): the device writes into the pages.
const WRITE_OPERATION: i16 = 0x0080;

/// The driver writes into `buffer` (read, directory query, …): by the device's `flags`.
pub(super) fn attach_output(
    request: &mut Request,
    flags: u32,
    buffer: *mut c_void,
    length: u32,
) -> Result<(), NTSTATUS> {
    if flags & DO_BUFFERED_IO != 0 {
        request.header().UserBuffer = buffer;
        request.header().Flags |= IRP_BUFFERED_IO | IRP_INPUT_OPERATION;
        if length != 0 {
            attach_system_buffer(request, length)?;
        }
    } else if flags & DO_DIRECT_IO != 0 {
        attach_mdl(request, buffer, length, true)?;
    } else {
        request.header().UserBuffer = buffer;
    }
    Ok(())
}

/// The driver reads from `buffer` (write): by the device's `flags`.
///
/// # Safety
/// `buffer` holds `length` readable bytes.
pub(super) unsafe fn attach_input(
    request: &mut Request,
    flags: u32,
    buffer: *const c_void,
    length: u32,
) -> Result<(), NTSTATUS> {
    if flags & DO_BUFFERED_IO != 0 {
        request.header().Flags |= IRP_BUFFERED_IO;
        if length != 0 {
            // SAFETY: contract of the function.
            unsafe { attach_copy(request, buffer, length, length) }?;
        }
    } else if flags & DO_DIRECT_IO != 0 {
        attach_mdl(request, buffer.cast_mut(), length, false)?;
    } else {
        request.header().UserBuffer = buffer.cast_mut();
    }
    Ok(())
}

/// A zeroed system buffer that completion frees.
pub(super) fn attach_system_buffer(
    request: &mut Request,
    length: u32,
) -> Result<*mut c_void, NTSTATUS> {
    let system = pool::allocate_for_box(length as usize);
    if system.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    request.header().AssociatedIrp.SystemBuffer = system;
    request.header().Flags |= IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
    Ok(system)
}

/// A system buffer of `size` bytes that begins with a copy of `input`.
///
/// # Safety
/// `input` holds `length` readable bytes.
pub(super) unsafe fn attach_copy(
    request: &mut Request,
    input: *const c_void,
    length: u32,
    size: u32,
) -> Result<(), NTSTATUS> {
    let system = attach_system_buffer(request, size)?;
    // SAFETY: the caller's `length` bytes; the new buffer holds `size`, which is no less.
    unsafe {
        std::ptr::copy_nonoverlapping(
            input.cast::<u8>(),
            system.cast::<u8>(),
            length.min(size) as usize,
        )
    };
    Ok(())
}

/// A copy of `bytes` in the auxiliary buffer, which completion frees.
pub(super) fn attach_auxiliary(
    request: &mut Request,
    bytes: &[u8],
) -> Result<*mut c_void, NTSTATUS> {
    let block = attach_auxiliary_room(request, bytes.len())?;
    // SAFETY: the new block holds that many.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), block.cast(), bytes.len()) };
    Ok(block)
}

/// An auxiliary buffer of `length` zeroes.
pub(super) fn attach_auxiliary_room(
    request: &mut Request,
    length: usize,
) -> Result<*mut c_void, NTSTATUS> {
    let block = pool::allocate_for_box(length);
    if block.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    request.header().Tail.Overlay.AuxiliaryBuffer = block.cast();
    Ok(block)
}

/// An MDL over the caller's buffer, its pages locked for the driver's access.
pub(super) fn attach_mdl(
    request: &mut Request,
    buffer: *mut c_void,
    length: u32,
    driver_writes: bool,
) -> Result<(), NTSTATUS> {
    if length == 0 {
        return Ok(());
    }
    // SAFETY: a request that was not sent yet; it takes the MDL over.
    let mdl = unsafe { mdl::allocate(buffer, length, false, request.pointer()) };
    if mdl.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    if driver_writes {
        // SAFETY: a new MDL.
        unsafe { (*mdl).MdlFlags |= WRITE_OPERATION };
    }
    // SAFETY: as above.
    unsafe { mdl::lock_pages(mdl) };
    Ok(())
}

/// Frees what a request that is never sent carries.
pub(super) fn release(irp: *mut IRP) {
    // SAFETY: the caller owns the request, which was not sent.
    let irp = unsafe { &mut *irp };
    if irp.Flags & IRP_DEALLOCATE_BUFFER != 0 {
        // SAFETY: `attach_system_buffer` set the flag and the pointer together.
        let system = unsafe { irp.AssociatedIrp.SystemBuffer };
        // SAFETY: as above.
        unsafe { pool::free_for_box(system) };
        irp.Flags &= !IRP_DEALLOCATE_BUFFER;
    }
    // SAFETY: the member is a plain pointer whatever was stored.
    let auxiliary = unsafe { irp.Tail.Overlay.AuxiliaryBuffer };
    if !auxiliary.is_null() {
        // SAFETY: the services put blocks of the box there.
        unsafe { pool::free_for_box(auxiliary.cast()) };
        irp.Tail.Overlay.AuxiliaryBuffer = std::ptr::null_mut();
    }
    if !irp.MdlAddress.is_null() {
        // SAFETY: `attach_mdl` allocated it.
        unsafe { mdl::free(irp.MdlAddress, 0) };
        irp.MdlAddress = std::ptr::null_mut();
    }
}
