//! Notify routines that are registered and not removed, and what goes wrong in them.

use super::{Mistake, is};
use crate::filter::{DispatchRoutine, dispatch};
use core::hint::black_box;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};
use wdk_sys::{
    BOOLEAN, HANDLE, IRP_MJ_CREATE, NTSTATUS, PDEVICE_OBJECT, PEPROCESS, PIMAGE_INFO, PIRP,
    PS_CREATE_NOTIFY_INFO, PUNICODE_STRING, STATUS_SUCCESS, ntddk,
};

/// The process that has begun last: referenced, unless that is the mistake.
static LAST: AtomicPtr<u8> = AtomicPtr::new(null_mut());

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    (mistake == Mistake::ProcessKept && major == IRP_MJ_CREATE)
        .then_some(look_at_process as DispatchRoutine)
}

/// In DriverEntry: with a mistake, or with `right` as they are used without one. Fails where the image is not one that
/// may refuse processes.
pub unsafe fn register(mistake: Mistake, right: bool) -> NTSTATUS {
    if right {
        let status = ntddk::PsSetCreateProcessNotifyRoutineEx(Some(allow_process), 0);
        if status != STATUS_SUCCESS {
            return status;
        }
    }
    let process_is_used = matches!(
        mistake,
        Mistake::ProcessKept | Mistake::ProcessNotifyInCriticalRegion
    );
    let _ = match mistake {
        Mistake::ProcessNotifyLeft => ntddk::PsSetCreateProcessNotifyRoutine(Some(process), 0),
        Mistake::ProcessNotifyWild => register_nowhere(),
        Mistake::ThreadNotifyLeft => ntddk::PsSetCreateThreadNotifyRoutine(Some(thread)),
        Mistake::ImageNotifyLeft => ntddk::PsSetLoadImageNotifyRoutine(Some(image)),
        _ if process_is_used => ntddk::PsSetCreateProcessNotifyRoutine(Some(keep_process), 0),
        _ => 0,
    };
    if right {
        let _ = ntddk::PsSetCreateProcessNotifyRoutine(Some(keep_process), 0);
        let _ = ntddk::PsSetCreateThreadNotifyRoutine(Some(thread));
        let _ = ntddk::PsSetLoadImageNotifyRoutine(Some(image));
    }
    STATUS_SUCCESS
}

#[inline(never)]
unsafe fn register_nowhere() -> NTSTATUS {
    let status = ntddk::PsSetCreateProcessNotifyRoutine(super::wild(), 0); // MISTAKE: process-notify-wild
    black_box(status)
}

/// In DriverUnload: those that are no mistake to be left.
pub unsafe fn unregister(right: bool) {
    let process_is_used = is(Mistake::ProcessKept) || is(Mistake::ProcessNotifyInCriticalRegion);
    if process_is_used || right {
        let _ = ntddk::PsSetCreateProcessNotifyRoutine(Some(keep_process), 1);
    }
    if right {
        let _ = ntddk::PsSetCreateProcessNotifyRoutineEx(Some(allow_process), 1);
        let _ = ntddk::PsRemoveCreateThreadNotifyRoutine(Some(thread));
        let _ = ntddk::PsRemoveLoadImageNotifyRoutine(Some(image));
    }
    let last = LAST.swap(null_mut(), Ordering::AcqRel);
    if !last.is_null() && !is(Mistake::ProcessKept) {
        ntddk::ObfDereferenceObject(last.cast());
    }
}

unsafe extern "C" fn process(_parent: HANDLE, process: HANDLE, _create: BOOLEAN) {
    black_box(process);
}

/// Looks at what is begun, and has nothing against it.
unsafe extern "C" fn allow_process(
    process: PEPROCESS,
    _id: HANDLE,
    info: *mut PS_CREATE_NOTIFY_INFO,
) {
    black_box((process, info));
}

/// Remembers the process that has begun last.
unsafe extern "C" fn keep_process(_parent: HANDLE, id: HANDLE, create: BOOLEAN) {
    let mut process: PEPROCESS = null_mut();
    if create == 0 || ntddk::PsLookupProcessByProcessId(id, &raw mut process) != STATUS_SUCCESS {
        return;
    }
    let before = LAST.swap(process.cast(), Ordering::AcqRel);
    if is(Mistake::ProcessKept) {
        ntddk::ObfDereferenceObject(process.cast());
    } else if !before.is_null() {
        ntddk::ObfDereferenceObject(before.cast());
    }
    if is(Mistake::ProcessNotifyInCriticalRegion) {
        ntddk::KeEnterCriticalRegion();
    }
}

/// Looks at the process that has begun last.
unsafe extern "C" fn look_at_process(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let last = LAST.load(Ordering::Acquire);
    if !last.is_null() {
        last.read_volatile(); // MISTAKE: process-kept
    }
    dispatch(device, irp)
}

unsafe extern "C" fn thread(_process: HANDLE, thread: HANDLE, create: BOOLEAN) {
    black_box((thread, create));
}

unsafe extern "C" fn image(_name: PUNICODE_STRING, process: HANDLE, image: PIMAGE_INFO) {
    black_box((image, process));
}
