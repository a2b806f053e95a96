//! File objects: what a filter takes of them and gives back, and who is to know that they are closed.

use super::{Mistake, is};
use crate::filter::{DispatchRoutine, completed, dispatch, enter, leave, pass_with};
use crate::kernel::current_location;
use core::ffi::c_void;
use core::ptr::null_mut;
use wdk_sys::{
    _MODE, HANDLE, IRP_MJ_CLEANUP, NTSTATUS, OBJ_KERNEL_HANDLE, PDEVICE_OBJECT, PFILE_OBJECT, PIRP,
    STATUS_ACCESS_DENIED, STATUS_SUCCESS, ntddk,
};

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::CloseNotPassedOn, IRP_MJ_CLEANUP) => Some(answer_cleanup),
        (Mistake::CloseFailedAfterwards, IRP_MJ_CLEANUP) => Some(pass_and_fail),
        (Mistake::FileDereferencedTwice, IRP_MJ_CLEANUP) => Some(give_back_too_many),
        _ => None,
    }
}

/// A correct filter uses files, too: each of these is undone. In a request that has one, at PASSIVE_LEVEL.
pub unsafe fn use_file(irp: PIRP) {
    let file = (*current_location(irp)).FileObject;
    use_reference(file);
    use_handle(file);
    use_top_level_irp(irp);
}

unsafe fn use_reference(file: PFILE_OBJECT) {
    ntddk::ObfReferenceObject(file.cast()); // MISTAKE: file-reference-left
    if !is(Mistake::FileReferenceLeft) {
        ntddk::ObfDereferenceObject(file.cast());
    }
}

unsafe fn use_handle(file: PFILE_OBJECT) {
    let kernel = _MODE::KernelMode as _;
    let (mut handle, attributes): (HANDLE, _) = (null_mut(), OBJ_KERNEL_HANDLE);
    let (no_state, no_type, out) = (null_mut(), null_mut(), &raw mut handle);
    let opened =
        ntddk::ObOpenObjectByPointer(file.cast(), attributes, no_state, 0, no_type, kernel, out); // MISTAKE: handle-left
    if opened == STATUS_SUCCESS && !is(Mistake::HandleLeft) {
        let _ = ntddk::ZwClose(handle);
    }
}

unsafe fn use_top_level_irp(irp: PIRP) {
    let before = ntddk::IoGetTopLevelIrp();
    ntddk::IoSetTopLevelIrp(irp); // MISTAKE: top-level-irp-left
    if !is(Mistake::TopLevelIrpLeft) {
        ntddk::IoSetTopLevelIrp(before);
    }
}

/// Takes the file for its own, as if it had opened it.
unsafe extern "C" fn answer_cleanup(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    (*irp).IoStatus.Information = 0;
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_SUCCESS;
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: close-not-passed-on
    STATUS_SUCCESS
}

unsafe extern "C" fn pass_and_fail(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, fail_afterwards, null_mut());
    leave();
    status
}

/// Lets nobody close what was closed already.
unsafe extern "C" fn fail_afterwards(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    context: *mut c_void,
) -> NTSTATUS {
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_ACCESS_DENIED;
    completed(device, irp, context)
}

/// Gives back the reference of whoever has the file open.
unsafe extern "C" fn give_back_too_many(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let file = (*current_location(irp)).FileObject;
    ntddk::ObfDereferenceObject(file.cast()); // MISTAKE: file-dereferenced-twice
    dispatch(device, irp)
}
