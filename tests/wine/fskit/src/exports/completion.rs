//! IoSetCompletionRoutineEx: a completion routine that keeps its device until it has returned.

use crate::kernel::{allocate, current_location, free};
use core::ffi::c_void;
use wdk_sys::{
    NTSTATUS, PDEVICE_OBJECT, PIO_COMPLETION_ROUTINE, PIRP, SL_INVOKE_ON_CANCEL,
    SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, ntddk,
};

/// What [`call`] is given.
#[repr(C)]
struct Kept {
    device: PDEVICE_OBJECT,
    routine: PIO_COMPLETION_ROUTINE,
    context: *mut c_void,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoSetCompletionRoutineEx(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    routine: PIO_COMPLETION_ROUTINE,
    context: *mut c_void,
    on_success: u8,
    on_error: u8,
    on_cancel: u8,
) -> NTSTATUS {
    let kept: *mut Kept = allocate(size_of::<Kept>());
    if kept.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ntddk::ObfReferenceObject(device.cast());
    kept.write(Kept {
        device,
        routine,
        context,
    });
    let flag = |wanted: u8, bit: u32| if wanted != 0 { bit } else { 0 };
    let next = current_location(irp).sub(1);
    (*next).CompletionRoutine = Some(call);
    (*next).Context = kept.cast();
    (*next).Control = (flag(on_success, SL_INVOKE_ON_SUCCESS)
        | flag(on_error, SL_INVOKE_ON_ERROR)
        | flag(on_cancel, SL_INVOKE_ON_CANCEL)) as u8;
    STATUS_SUCCESS
}

unsafe extern "C" fn call(device: PDEVICE_OBJECT, irp: PIRP, kept: *mut c_void) -> NTSTATUS {
    let Kept {
        device: keeps,
        routine,
        context,
    } = kept.cast::<Kept>().read();
    free(kept);
    let status = routine.map_or(STATUS_SUCCESS, |routine| routine(device, irp, context));
    ntddk::ObfDereferenceObject(keeps.cast());
    status
}
