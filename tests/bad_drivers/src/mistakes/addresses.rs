//! Memory of programs that is given to the kernel as if it were the driver's own.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch, enter, leave, lower, signal};
use crate::kernel::{
    complete_as_is, current_location, initialize_event, next_location, set_completion_routine,
    unicode_literal, wait_for,
};
use core::ptr::null_mut;
use wdk_sys::{
    _EVENT_TYPE, _KEY_VALUE_INFORMATION_CLASS, _MODE, HANDLE, IRP_MJ_QUERY_INFORMATION, KEVENT,
    KEY_READ, KPROCESSOR_MODE, NTSTATUS, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE,
    OBJECT_ATTRIBUTES, PDEVICE_OBJECT, PIRP, POOL_FLAG_NON_PAGED, PVOID, STATUS_SUCCESS, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadA");

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::EventInProgramMemory => Some(make_event),
        Mistake::KernelRequestWithProgramMemory => Some(ask_as_kernel),
        Mistake::ProgramMemoryGivenToZw => Some(query_into_program),
        Mistake::ProbeWithoutHandler => Some(probe_own),
        _ => None,
    }
}

/// The buffer of the program that has sent the request.
unsafe fn buffer_of(irp: PIRP) -> PVOID {
    (*irp).UserBuffer
}

unsafe extern "C" fn make_event(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let event = buffer_of(irp).cast::<KEVENT>();
    if !event.is_null() {
        ntddk::KeInitializeEvent(event, _EVENT_TYPE::NotificationEvent, 0); // MISTAKE: event-in-program-memory
    }
    dispatch(device, irp)
}

/// What is right beside it: `Probes` in `tests/c_filters/exceptions.c`, since Rust has no `__try`.
unsafe extern "C" fn probe_own(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let block = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, TAG);
    if !block.is_null() {
        ntddk::ProbeForRead(block, 64, 1); // MISTAKE: probe-without-handler
        ntddk::ExFreePoolWithTag(block, TAG);
    }
    dispatch(device, irp)
}

/// A request of its own like `irp`, or null.
#[inline(always)]
unsafe fn own_like(irp: PIRP, below: PDEVICE_OBJECT, mode: KPROCESSOR_MODE) -> PIRP {
    let own = ntddk::IoAllocateIrp((*below).StackSize, 0);
    if !own.is_null() {
        (*own).Flags = (*irp).Flags;
        (*own).RequestorMode = mode;
        (*own).UserBuffer = buffer_of(irp);
        (*own).AssociatedIrp.SystemBuffer = (*irp).AssociatedIrp.SystemBuffer;
        (*own).Tail.Overlay.Thread = (*irp).Tail.Overlay.Thread;
        (*own).Tail.Overlay.OriginalFileObject = (*irp).Tail.Overlay.OriginalFileObject;
        *next_location(own) = *current_location(irp);
    }
    own
}

unsafe fn finish(irp: PIRP, own: PIRP) -> NTSTATUS {
    (*irp).IoStatus = (*own).IoStatus;
    let status = (*own).IoStatus.__bindgen_anon_1.Status;
    ntddk::IoFreeIrp(own);
    complete_as_is(irp);
    leave();
    status
}

unsafe extern "C" fn ask_as_kernel(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let below = lower(device);
    let own = own_like(irp, below, _MODE::KernelMode as _);
    if own.is_null() {
        leave();
        return dispatch(device, irp);
    }
    let mut came_back = KEVENT::default();
    initialize_event(&raw mut came_back);
    set_completion_routine(own, signal, (&raw mut came_back).cast());
    let _ = ntddk::IofCallDriver(below, own); // MISTAKE: kernel-request-with-program-memory
    wait_for(&raw mut came_back);
    finish(irp, own)
}

/// The key of the driver's service.
unsafe fn open_key() -> Option<HANDLE> {
    let mut name =
        unicode_literal!("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\bad_drivers");
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: null_mut(),
        ObjectName: &raw mut name,
        Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
        SecurityDescriptor: null_mut(),
        SecurityQualityOfService: null_mut(),
    };
    let mut key = null_mut();
    let status = ntddk::ZwOpenKey(&raw mut key, KEY_READ, &raw mut attributes);
    (status == STATUS_SUCCESS).then_some(key)
}

unsafe extern "C" fn query_into_program(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let buffer = buffer_of(irp);
    if let Some(key) = open_key() {
        let (mut name, mut length) = (unicode_literal!("Start"), 0);
        let class = _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation;
        let _ = ntddk::ZwQueryValueKey(key, &raw mut name, class, buffer, 0, &raw mut length); // MISTAKE: program-memory-given-to-zw
        let _ = ntddk::ZwClose(key);
    }
    dispatch(device, irp)
}

/// A request of its own in the mode of the one that the buffer came with.
pub unsafe extern "C" fn right(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let below = lower(device);
    let own = own_like(irp, below, (*irp).RequestorMode);
    if own.is_null() {
        leave();
        return dispatch(device, irp);
    }
    let mut came_back = KEVENT::default();
    initialize_event(&raw mut came_back);
    set_completion_routine(own, signal, (&raw mut came_back).cast());
    let _ = ntddk::IofCallDriver(below, own);
    wait_for(&raw mut came_back);
    finish(irp, own)
}
