//! Where the data of a request lies: in its MDL, its system buffer, or the caller's.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "buffers are given by pointer"
)]

use ntbox_kernel::io_manager::mdl;
use ntbox_kernel::nt::stack_location::Control;
use ntbox_kernel::nt::{
    FSCTL_QUERY_ALLOCATED_RANGES, IRP, IRP_ASSOCIATED_IRP, IRP_MJ_DIRECTORY_CONTROL,
    IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_QUERY_EA, IRP_MJ_READ, IRP_MJ_SET_EA, IRP_MJ_WRITE,
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

/// The first bytes, no more than `most`, of the input of a control whose method is neither. They are copied: what the
/// originator gives as input may be its output as well.
///
/// # Errors
/// `STATUS_INVALID_USER_BUFFER`.
///
/// # Safety
/// The parameters of a control that is not completed; nobody has its output as a slice meanwhile.
pub unsafe fn type3_input(parameters: &Control, most: usize) -> Result<Vec<u8>, NTSTATUS> {
    let (address, length) = (parameters.Type3InputBuffer, parameters.InputBufferLength);
    match (length as usize, address.is_null()) {
        (0, _) => Ok(Vec::new()),
        (_, true) => Err(STATUS_INVALID_USER_BUFFER),
        (length, _) => {
            // SAFETY: the originator gives a buffer of the length it says.
            let given = unsafe { std::slice::from_raw_parts(address.cast(), length.min(most)) };
            Ok(given.to_vec())
        }
    }
}

/// Describes and locks the caller's buffer of a request that another thread will work on, as
/// file systems on devices without buffered or direct I/O must, and for controls whose method is neither: the MDL belongs to the request
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
        // SAFETY: the parameters of this major function.
        IRP_MJ_QUERY_EA => unsafe { location.Parameters.QueryEa.Length },
        // SAFETY: the parameters of this major function.
        IRP_MJ_SET_EA => unsafe { location.Parameters.SetEa.Length },
        IRP_MJ_FILE_SYSTEM_CONTROL => {
            // SAFETY: the parameters of this major function.
            match unsafe { location.Parameters.FileSystemControl } {
                control if control.ControlCode == FSCTL_QUERY_ALLOCATED_RANGES => {
                    control.OutputBufferLength
                }
                // The others have a system buffer, or none that is touched.
                _ => 0,
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_kernel::io_manager::irp;
    use ntbox_kernel::nt::{FSCTL_SET_SPARSE, IO_STACK_LOCATION};
    use std::ptr::null_mut;

    #[test]
    fn no_more_of_an_input_is_read_than_is_needed() {
        let mut bytes = [1, 2, 3, 4];
        let read = |address: *mut u8, length, most| {
            let mut given = Control::default();
            given.Type3InputBuffer = address.cast();
            given.InputBufferLength = length;
            // SAFETY: so many of the bytes are there as are read.
            unsafe { type3_input(&given, most) }
        };
        let address = bytes.as_mut_ptr();
        assert_eq!(read(address, u32::MAX, 4), Ok(vec![1, 2, 3, 4]));
        assert_eq!(read(address, 3, 4), Ok(vec![1, 2, 3]));
        assert_eq!(read(std::ptr::null_mut(), 0, 4), Ok(vec![]));
        let none = read(std::ptr::null_mut(), 1, 4);
        assert_eq!(none, Err(STATUS_INVALID_USER_BUFFER));
    }

    #[test]
    fn the_buffer_of_what_is_put_off_is_described() {
        const LENGTH: u32 = 100;
        let mut buffer = [0_u8; LENGTH as usize];
        let control = |code| {
            move |location: &mut IO_STACK_LOCATION| {
                location.MajorFunction = IRP_MJ_FILE_SYSTEM_CONTROL as u8;
                let mut control = Control::default();
                control.ControlCode = code;
                control.OutputBufferLength = LENGTH;
                location.Parameters.FileSystemControl = control;
            }
        };
        let mut described = |set: &dyn Fn(&mut IO_STACK_LOCATION)| {
            let request = irp::allocate(1);
            // SAFETY: a new request has one location, which is the next one.
            let location = unsafe { &mut *request.next_location() };
            set(location);
            // SAFETY: as above.
            unsafe { request.set_current_location(location) };
            // SAFETY: as above.
            unsafe { (*request).UserBuffer = buffer.as_mut_ptr().cast() };
            // SAFETY: the request is this function's.
            unsafe { lock_user_buffer(request) };
            // SAFETY: as above.
            let list = unsafe { std::mem::replace(&mut (*request).MdlAddress, null_mut()) };
            // SAFETY: null, or the new list.
            let count = unsafe { list.as_ref() }.map(|list| list.ByteCount);
            if !list.is_null() {
                // SAFETY: the new list.
                unsafe { mdl::unlock_pages(list) };
                // SAFETY: as above; nobody knows it any more.
                unsafe { mdl::free(list, 0) };
            }
            // SAFETY: nobody knows the request.
            unsafe { irp::free(request, 0) };
            count
        };
        let query_ea = |location: &mut IO_STACK_LOCATION| {
            location.MajorFunction = IRP_MJ_QUERY_EA as u8;
            location.Parameters.QueryEa.Length = LENGTH;
        };
        let set_ea = |location: &mut IO_STACK_LOCATION| {
            location.MajorFunction = IRP_MJ_SET_EA as u8;
            location.Parameters.SetEa.Length = LENGTH;
        };
        assert_eq!(described(&query_ea), Some(LENGTH));
        assert_eq!(described(&set_ea), Some(LENGTH));
        let ranges = control(FSCTL_QUERY_ALLOCATED_RANGES);
        assert_eq!(described(&ranges), Some(LENGTH));
        assert_eq!(described(&control(FSCTL_SET_SPARSE)), None);
    }
}
