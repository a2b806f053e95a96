//! File objects: what a filter takes of them and gives back, and who is to know that they are closed.

use super::{Mistake, is};
use crate::filter::{DispatchRoutine, completed, dispatch, enter, leave, pass_with};
use crate::kernel::current_location;
use core::ffi::c_void;
use core::ptr::null_mut;
use wdk_sys::{
    _MODE, GUID, HANDLE, IRP_MJ_CLEANUP, IRP_MJ_CREATE, NTSTATUS, OBJ_KERNEL_HANDLE,
    PDEVICE_OBJECT, PFILE_OBJECT, PIRP, STATUS_ACCESS_DENIED, STATUS_REPARSE, STATUS_SUCCESS,
    ntddk,
};

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::CloseNotPassedOn, IRP_MJ_CLEANUP) => Some(answer_cleanup),
        (Mistake::CloseFailedAfterwards, IRP_MJ_CLEANUP) => Some(pass_and_fail),
        (Mistake::FileDereferencedTwice, IRP_MJ_CLEANUP) => Some(give_back_too_many),
        (Mistake::VolumeReparsed, IRP_MJ_CREATE) => Some(reparse_volumes),
        (Mistake::ParameterFreedInList, IRP_MJ_CREATE) => Some(free_parameter),
        _ => None,
    }
}

/// Sends the open of a volume elsewhere: a name of its own, for what has none.
unsafe extern "C" fn reparse_volumes(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let file = (*current_location(irp)).FileObject;
    if (*file).FileName.Length != 0 || !(*file).RelatedFileObject.is_null() {
        return dispatch(device, irp);
    }
    (*irp).IoStatus.Information = 0;
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_REPARSE;
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: volume-reparsed
    STATUS_REPARSE
}

const TAG: u32 = u32::from_le_bytes(*b"BadF");
static PARAMETER: GUID = GUID {
    Data1: 0x8f3a_52c1,
    Data2: 0x6d0e,
    Data3: 0x4b19,
    Data4: [0x9a, 0x77, 0x2c, 0x5d, 0x11, 0x08, 0xe4, 0x36],
};

/// Makes a parameter and a list, which nobody gets.
unsafe extern "C" fn free_parameter(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut list, mut parameter) = (null_mut(), null_mut());
    let (kind, bytes, into) = (&raw const PARAMETER, 16, &raw mut parameter);
    let made = ntddk::FsRtlAllocateExtraCreateParameter(kind, bytes, 0, None, TAG, into);
    if made == STATUS_SUCCESS {
        if ntddk::FsRtlAllocateExtraCreateParameterList(0, &raw mut list) == STATUS_SUCCESS {
            let _ = ntddk::FsRtlInsertExtraCreateParameter(list, parameter);
        }
        ntddk::FsRtlFreeExtraCreateParameter(parameter); // MISTAKE: parameter-freed-in-list
    }
    dispatch(device, irp)
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
