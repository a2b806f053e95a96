//! What programs write: changed where it lies, and how it is right. What tells them of the end of a read.

use super::Mistake;
use crate::filter::{
    CompletionRoutine, DispatchRoutine, completed, enter, leave, lower, pass_through,
};
use crate::kernel::{complete, copy_location_to_next, current_location, set_completion_routine};
use core::ffi::c_void;
use core::ptr::null_mut;
use wdk_sys::{
    IRP_MJ_READ, IRP_MJ_WRITE, IRP_MN_COMPLETE, IRP_MN_MDL, NTSTATUS, PDEVICE_OBJECT, PIRP, PMDL,
    POOL_FLAG_NON_PAGED, PVOID, STATUS_INSUFFICIENT_RESOURCES, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadW");

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::WriteBufferChanged, IRP_MJ_WRITE) => Some(write_in_place),
        (Mistake::BufferNotRestored, IRP_MJ_WRITE) => Some(write_and_keep),
        (Mistake::ApcContextChanged, IRP_MJ_READ) => Some(read_noted),
        _ => None,
    }
}

/// What is right: another buffer is written.
pub fn right_routine(major: u32) -> Option<DispatchRoutine> {
    (major == IRP_MJ_WRITE).then_some(write_a_copy as DispatchRoutine)
}

/// Where what is to be written lies, and how many bytes; null if that is not known. A list of pages that the file
/// system lends, or gets back, is not the program's buffer.
unsafe fn what_is_written(irp: PIRP) -> (*mut u8, u32) {
    if u32::from((*current_location(irp)).MinorFunction) & (IRP_MN_MDL | IRP_MN_COMPLETE) != 0 {
        return (null_mut(), 0);
    }
    let mdl = (*irp).MdlAddress;
    let bytes = (*current_location(irp)).Parameters.Write.Length;
    let address: PVOID = if mdl.is_null() {
        (*irp).UserBuffer
    } else {
        (*mdl).StartVa.wrapping_byte_add((*mdl).ByteOffset as usize)
    };
    (address.cast(), bytes)
}

/// Encrypts for the file system, and for the program, too.
unsafe extern "C" fn write_in_place(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (buffer, bytes) = what_is_written(irp);
    enter();
    if !buffer.is_null() && bytes != 0 {
        *buffer ^= 0x55;
    }
    let status = pass_on(device, irp);
    leave();
    status
}

/// The call that is reported.
#[inline(always)]
unsafe fn pass_on(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    copy_location_to_next(irp);
    set_completion_routine(irp, completed, null_mut());
    enter();
    ntddk::IofCallDriver(lower(device), irp) // MISTAKE: write-buffer-changed
}

/// Notes its device in a field that seems to be free.
unsafe extern "C" fn read_noted(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    (*irp).Overlay.AsynchronousParameters.UserApcContext = device.cast();
    copy_location_to_next(irp);
    set_completion_routine(irp, completed, null_mut());
    enter();
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: apc-context-changed
    leave();
    status
}

/// What the request had, and has again when it comes back.
struct Copy {
    mdl: PMDL,
    user_buffer: PVOID,
    own: PMDL,
    bytes: PVOID,
}

unsafe fn copy_of(irp: PIRP, source: *const u8, length: u32) -> *mut Copy {
    let copy: *mut Copy =
        ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, size_of::<Copy>() as u64, TAG).cast();
    if copy.is_null() {
        return null_mut();
    }
    let bytes = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, length.into(), TAG);
    let own = match bytes.is_null() {
        true => null_mut(),
        false => ntddk::IoAllocateMdl(bytes, length, 0, 0, null_mut()),
    };
    if own.is_null() {
        if !bytes.is_null() {
            ntddk::ExFreePoolWithTag(bytes, TAG);
        }
        ntddk::ExFreePoolWithTag(copy.cast(), TAG);
        return null_mut();
    }
    ntddk::MmBuildMdlForNonPagedPool(own);
    bytes
        .cast::<u8>()
        .copy_from_nonoverlapping(source, length as usize);
    copy.write(Copy {
        mdl: (*irp).MdlAddress,
        user_buffer: (*irp).UserBuffer,
        own,
        bytes,
    });
    copy
}

unsafe extern "C" fn write_a_copy(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    write_another(device, irp, copy_written)
}

unsafe extern "C" fn write_and_keep(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    write_another(device, irp, copy_kept)
}

#[inline(always)]
unsafe fn write_another(device: PDEVICE_OBJECT, irp: PIRP, routine: CompletionRoutine) -> NTSTATUS {
    let (buffer, bytes) = what_is_written(irp);
    enter();
    let status = if buffer.is_null() || bytes == 0 {
        pass_through(device, irp)
    } else {
        let copy = copy_of(irp, buffer, bytes);
        if copy.is_null() {
            complete(irp, STATUS_INSUFFICIENT_RESOURCES)
        } else {
            (*irp).MdlAddress = (*copy).own;
            (*irp).UserBuffer = (*copy).bytes;
            copy_location_to_next(irp);
            set_completion_routine(irp, routine, copy.cast());
            enter();
            ntddk::IofCallDriver(lower(device), irp)
        }
    };
    leave();
    status
}

/// The I/O manager frees the other list, and the pages of the program stay locked.
unsafe extern "C" fn copy_kept(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    context: *mut c_void,
) -> NTSTATUS {
    ntddk::ExFreePoolWithTag(context, TAG);
    completed(device, irp, null_mut())
}

unsafe extern "C" fn copy_written(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    context: *mut c_void,
) -> NTSTATUS {
    let copy: *mut Copy = context.cast();
    (*irp).MdlAddress = (*copy).mdl;
    (*irp).UserBuffer = (*copy).user_buffer;
    ntddk::IoFreeMdl((*copy).own);
    ntddk::ExFreePoolWithTag((*copy).bytes, TAG);
    ntddk::ExFreePoolWithTag(context, TAG);
    completed(device, irp, null_mut())
}
