//! Events, semaphores and memory lists that are used in a state that they are not in.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use crate::kernel::initialize_event;
use core::ptr::null_mut;
use wdk_sys::{
    _KWAIT_REASON, _LOCK_OPERATION, _MODE, _WAIT_TYPE, IRP_MJ_QUERY_INFORMATION, KEVENT,
    KSEMAPHORE, LARGE_INTEGER, NTSTATUS, PDEVICE_OBJECT, PIRP, POOL_FLAG_NON_PAGED,
    POOL_FLAG_UNINITIALIZED, PVOID, ntddk,
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
