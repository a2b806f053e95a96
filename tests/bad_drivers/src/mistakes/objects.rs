//! Events, semaphores and memory lists that are used in a state that they are not in.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use crate::kernel::{current_location, initialize_event};
use core::ptr::null_mut;
use wdk_sys::{
    _KWAIT_REASON, _LOCK_OPERATION, _MODE, _WAIT_TYPE, IRP_MJ_QUERY_INFORMATION, KEVENT,
    KSEMAPHORE, LARGE_INTEGER, NTSTATUS, PDEVICE_OBJECT, PIRP, POOL_FLAG_NON_PAGED,
    POOL_FLAG_UNINITIALIZED, PVOID, STATUS_SUCCESS, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadO");
/// A wait without wait blocks of its own has room for three.
const OBJECTS: usize = 4;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::EventNotInitialized => Some(wait_for_nothing),
        Mistake::TooManyWaitObjects => Some(wait_for_many),
        Mistake::SemaphoreOverLimit => Some(release_over_limit),
        Mistake::MdlUnlockedTwice => Some(unlock_twice),
        Mistake::LockedMdlFreed => Some(free_locked),
        Mistake::NullHandle => Some(refer_to_nothing),
        Mistake::UserHandleInKernelMode => Some(refer_as_kernel),
        Mistake::UserModeWaitOnStack => Some(wait_as_a_program),
        _ => None,
    }
}

unsafe extern "C" fn wait_for_nothing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let flags = POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED;
    let event = ntddk::ExAllocatePool2(flags, size_of::<KEVENT>() as u64, TAG);
    if !event.is_null() {
        let mut now = LARGE_INTEGER::default();
        let (reason, mode) = (_KWAIT_REASON::Executive, _MODE::KernelMode as _);
        let _ = ntddk::KeWaitForSingleObject(event, reason, mode, 0, &raw mut now); // MISTAKE: event-not-initialized
        ntddk::ExFreePoolWithTag(event, TAG);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn wait_for_many(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut events = [KEVENT::default(); OBJECTS];
    let mut objects: [PVOID; OBJECTS] = [null_mut(); OBJECTS];
    for (event, object) in events.iter_mut().zip(&mut objects) {
        initialize_event(event);
        *object = (&raw mut *event).cast();
    }
    let mut now = LARGE_INTEGER::default();
    let (any, reason) = (_WAIT_TYPE::WaitAny, _KWAIT_REASON::Executive);
    let (mode, time, first) = (_MODE::KernelMode as _, &raw mut now, objects.as_mut_ptr());
    let count = OBJECTS as u32;
    let _ = ntddk::KeWaitForMultipleObjects(count, first, any, reason, mode, 0, time, null_mut()); // MISTAKE: too-many-wait-objects
    dispatch(device, irp)
}

unsafe extern "C" fn release_over_limit(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut semaphore = KSEMAPHORE::default();
    ntddk::KeInitializeSemaphore(&raw mut semaphore, 1, 1);
    let _ = ntddk::KeReleaseSemaphore(&raw mut semaphore, 0, 1, 0); // MISTAKE: semaphore-over-limit
    dispatch(device, irp)
}

unsafe extern "C" fn unlock_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut buffer = [0_u8; 64];
    let start: PVOID = buffer.as_mut_ptr().cast();
    let list = ntddk::IoAllocateMdl(start, buffer.len() as u32, 0, 0, null_mut());
    if !list.is_null() {
        let (mode, write) = (_MODE::KernelMode as _, _LOCK_OPERATION::IoWriteAccess);
        ntddk::MmProbeAndLockPages(list, mode, write);
        ntddk::MmUnlockPages(list);
        ntddk::MmUnlockPages(list); // MISTAKE: mdl-unlocked-twice
        ntddk::IoFreeMdl(list);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn free_locked(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut buffer = [0_u8; 64];
    let start: PVOID = buffer.as_mut_ptr().cast();
    let list = ntddk::IoAllocateMdl(start, buffer.len() as u32, 0, 0, null_mut());
    if !list.is_null() {
        let (mode, write) = (_MODE::KernelMode as _, _LOCK_OPERATION::IoWriteAccess);
        ntddk::MmProbeAndLockPages(list, mode, write);
        ntddk::IoFreeMdl(list); // MISTAKE: locked-mdl-freed
    }
    dispatch(device, irp)
}

unsafe extern "C" fn refer_to_nothing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (kernel, mut object) = (_MODE::KernelMode as _, null_mut());
    let (out, no_type, no_information) = (&raw mut object, null_mut(), null_mut());
    let found =
        ntddk::ObReferenceObjectByHandle(null_mut(), 0, no_type, kernel, out, no_information); // MISTAKE: null-handle
    if found == STATUS_SUCCESS {
        ntddk::ObfDereferenceObject(object);
    }
    dispatch(device, irp)
}

/// Opens the file without OBJ_KERNEL_HANDLE, in the thread of the program, and trusts the handle.
unsafe extern "C" fn refer_as_kernel(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let file = (*current_location(irp)).FileObject;
    let kernel = _MODE::KernelMode as _;
    let (mut handle, mut object) = (null_mut(), null_mut());
    let opened = ntddk::ObOpenObjectByPointer(
        file.cast(),
        0,
        null_mut(),
        0,
        null_mut(),
        kernel,
        &raw mut handle,
    );
    if opened == STATUS_SUCCESS {
        let (out, no_type, no_information) = (&raw mut object, null_mut(), null_mut());
        let found =
            ntddk::ObReferenceObjectByHandle(handle, 0, no_type, kernel, out, no_information); // MISTAKE: user-handle-in-kernel-mode
        if found == STATUS_SUCCESS {
            ntddk::ObfDereferenceObject(object);
        }
        let _ = ntddk::ZwClose(handle);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn wait_as_a_program(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    let mut now = LARGE_INTEGER::default();
    let (reason, user) = (_KWAIT_REASON::UserRequest, _MODE::UserMode as _);
    let object: PVOID = (&raw mut event).cast();
    let _ = ntddk::KeWaitForSingleObject(object, reason, user, 0, &raw mut now); // MISTAKE: user-mode-wait-on-stack
    dispatch(device, irp)
}
