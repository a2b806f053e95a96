//! Requests that the driver makes itself, and what it may not do with those that it is given; and how it is right.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch, enter, leave, lower, pass_through};
use crate::kernel::{
    KeLowerIrql, KfRaiseIrql, current_location, initialize_event, next_location,
    set_completion_routine, wait_for,
};
use core::ffi::c_void;
use core::ptr::null_mut;
use wdk_sys::{
    _DEVICE_POWER_STATE, APC_LEVEL, IO_STATUS_BLOCK, IRP_MJ_CLOSE, IRP_MJ_CREATE,
    IRP_MJ_FLUSH_BUFFERS, IRP_MJ_QUERY_INFORMATION, IRP_MJ_WRITE, IRP_MN_QUERY_POWER, KEVENT,
    KIRQL, NTSTATUS, PDEVICE_OBJECT, PIRP, POOL_FLAG_NON_PAGED, POWER_STATE, PVOID,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadO");
/// `CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900, METHOD_BUFFERED, FILE_ANY_ACCESS)`: nobody below knows it.
const NOBODYS_CODE: u32 = 0x22_2400;
const BYTES: u32 = 512;

/// Nobody reads it.
// SAFETY: a structure of integers.
static mut RESULT: IO_STATUS_BLOCK = unsafe { core::mem::zeroed() };

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major == IRP_MJ_CLOSE {
        return (mistake == Mistake::CreateForClosedFile)
            .then_some(create_again as DispatchRoutine);
    }
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::ForeignRequestFreed => Some(free_what_is_given),
        Mistake::ForeignRequestReused => Some(reuse_what_is_given),
        Mistake::BuiltWithoutRoutine => Some(send_without_routine),
        Mistake::OwnEventNotSignalled => Some(wait_for_own),
        Mistake::BuiltEventNotSignalled => Some(wait_for_built),
        Mistake::EventOfRequestSet => Some(set_event_of_request),
        Mistake::SentAtApcLevel => Some(send_at_apc_level),
        Mistake::BuiltWithFreedBuffer => Some(build_with_freed_buffer),
        Mistake::ControlWithFreedBuffer => Some(control_with_freed_buffer),
        Mistake::PowerRequestAsked => Some(ask_for_power_request),
        _ => None,
    }
}

unsafe extern "C" fn ask_for_power_request(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let state = POWER_STATE {
        DeviceState: _DEVICE_POWER_STATE::PowerDeviceD0,
    };
    let query = IRP_MN_QUERY_POWER as u8;
    let mut request = null_mut();
    let request = &raw mut request;
    let _ = ntddk::PoRequestPowerIrp(device, query, state, None, null_mut(), request); // MISTAKE: power-request-asked
    dispatch(device, irp)
}

/// What is right: who waits is woken, or does not wait.
pub fn right_routine(major: u32) -> Option<DispatchRoutine> {
    (major == IRP_MJ_QUERY_INFORMATION).then_some(wait_in_every_way as DispatchRoutine)
}

unsafe fn pass_inside(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_through(device, irp);
    leave();
    status
}

unsafe extern "C" fn free_what_is_given(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    ntddk::IoFreeIrp(irp); // MISTAKE: foreign-request-freed
    pass_inside(device, irp)
}

unsafe extern "C" fn reuse_what_is_given(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    ntddk::IoReuseIrp(irp, STATUS_SUCCESS); // MISTAKE: foreign-request-reused
    pass_inside(device, irp)
}

/// A flush of the file of `irp`, by IoAllocateIrp or by IoBuildAsynchronousFsdRequest; freed by its owner.
unsafe fn flush(device: PDEVICE_OBJECT, irp: PIRP, built: bool) -> PIRP {
    let below = lower(device);
    let own = if built {
        let (major, result) = (IRP_MJ_FLUSH_BUFFERS, &raw mut RESULT);
        ntddk::IoBuildAsynchronousFsdRequest(major, below, null_mut(), 0, null_mut(), result)
    } else {
        ntddk::IoAllocateIrp((*below).StackSize, 0)
    };
    if !own.is_null() {
        (*next_location(own)).MajorFunction = IRP_MJ_FLUSH_BUFFERS as u8;
        (*next_location(own)).FileObject = (*current_location(irp)).FileObject;
    }
    own
}

unsafe extern "C" fn send_without_routine(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let own = flush(device, irp, true);
    if !own.is_null() {
        let _ = ntddk::IofCallDriver(lower(device), own); // MISTAKE: built-without-routine
    }
    dispatch(device, irp)
}

/// What a completion routine is given.
struct Waiting {
    event: KEVENT,
    /// It signals also when nobody is told that the request is pending.
    always: bool,
}

/// Frees the request and wakes who waits.
unsafe extern "C" fn free_and_signal(
    _: PDEVICE_OBJECT,
    own: PIRP,
    context: *mut c_void,
) -> NTSTATUS {
    let waiting: *mut Waiting = context.cast();
    let pended = (*own).PendingReturned != 0;
    ntddk::IoFreeIrp(own);
    if pended || (*waiting).always {
        ntddk::KeSetEvent(&raw mut (*waiting).event, 0, 0);
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe fn send_and_wait(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    built: bool,
    always: bool,
    in_any_case: bool,
) {
    let mut waiting = Waiting {
        event: KEVENT::default(),
        always,
    };
    initialize_event(&raw mut waiting.event);
    let own = flush(device, irp, built);
    if own.is_null() {
        return;
    }
    set_completion_routine(own, free_and_signal, (&raw mut waiting).cast());
    let status = ntddk::IofCallDriver(lower(device), own);
    if status == STATUS_PENDING || in_any_case {
        wait_for(&raw mut waiting.event);
    }
}

/// Waits also where its completion routine signals nothing.
unsafe extern "C" fn wait_for_own(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    send_and_wait(device, irp, false, false, true);
    dispatch(device, irp)
}

unsafe extern "C" fn wait_for_built(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    send_and_wait(device, irp, true, false, true);
    dispatch(device, irp)
}

/// Each at the same place of the stack.
unsafe extern "C" fn wait_in_every_way(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    for (built, always) in [(false, false), (true, false), (false, true), (true, true)] {
        send_and_wait(device, irp, built, always, always);
    }
    control_and_wait(device, irp, None);
    control_and_wait(device, irp, Some(go_on));
    dispatch(device, irp)
}

unsafe extern "C" fn go_on(_: PDEVICE_OBJECT, _: PIRP, _: *mut c_void) -> NTSTATUS {
    STATUS_SUCCESS
}

/// Asks what nobody answers, with a buffer, and waits for the event that the I/O manager signals.
unsafe fn control_and_wait(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    routine: Option<crate::filter::CompletionRoutine>,
) {
    let (mut event, mut result) = (KEVENT::default(), IO_STATUS_BLOCK::default());
    initialize_event(&raw mut event);
    let mut buffer = [0_u8; 16];
    let own = ntddk::IoBuildDeviceIoControlRequest(
        NOBODYS_CODE,
        lower(device),
        buffer.as_mut_ptr().cast(),
        16,
        buffer.as_mut_ptr().cast(),
        16,
        0,
        &raw mut event,
        &raw mut result,
    );
    if own.is_null() {
        return;
    }
    (*next_location(own)).FileObject = (*current_location(irp)).FileObject;
    if let Some(routine) = routine {
        set_completion_routine(own, routine, (&raw mut event).cast());
    }
    if ntddk::IofCallDriver(lower(device), own) == STATUS_PENDING {
        wait_for(&raw mut event);
    }
}

unsafe extern "C" fn set_event_of_request(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    control_and_wait(device, irp, Some(set_and_go_on));
    dispatch(device, irp)
}

/// Wakes who waits for the request, which the I/O manager does.
unsafe extern "C" fn set_and_go_on(_: PDEVICE_OBJECT, _: PIRP, event: *mut c_void) -> NTSTATUS {
    ntddk::KeSetEvent(event.cast(), 0, 0); // MISTAKE: event-of-request-set
    STATUS_SUCCESS
}

unsafe extern "C" fn send_at_apc_level(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut event, mut result) = (KEVENT::default(), IO_STATUS_BLOCK::default());
    initialize_event(&raw mut event);
    let below = lower(device);
    let (major, nothing) = (IRP_MJ_FLUSH_BUFFERS, null_mut());
    let own = ntddk::IoBuildSynchronousFsdRequest(
        major,
        below,
        nothing,
        0,
        null_mut(),
        &raw mut event,
        &raw mut result,
    );
    if !own.is_null() {
        (*next_location(own)).FileObject = (*current_location(irp)).FileObject;
        let irql = KfRaiseIrql(APC_LEVEL as KIRQL);
        let status = ntddk::IofCallDriver(below, own); // MISTAKE: sent-at-apc-level
        KeLowerIrql(irql);
        if status == STATUS_PENDING {
            wait_for(&raw mut event);
        }
    }
    dispatch(device, irp)
}

/// A buffer that is there no more.
unsafe fn freed_buffer() -> PVOID {
    let buffer = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, BYTES.into(), TAG);
    if !buffer.is_null() {
        ntddk::ExFreePoolWithTag(buffer, TAG);
    }
    buffer
}

unsafe extern "C" fn build_with_freed_buffer(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (below, buffer) = (lower(device), freed_buffer());
    let mut offset = wdk_sys::LARGE_INTEGER { QuadPart: 0 };
    let (write, at, result) = (IRP_MJ_WRITE, &raw mut offset, &raw mut RESULT);
    let own = ntddk::IoBuildAsynchronousFsdRequest(write, below, buffer, BYTES, at, result); // MISTAKE: built-with-freed-buffer
    if !own.is_null() {
        ntddk::IoFreeIrp(own);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn control_with_freed_buffer(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (to, from, into) = (lower(device), freed_buffer(), null_mut());
    let (event, at) = (null_mut(), &raw mut RESULT);
    let build = ntddk::IoBuildDeviceIoControlRequest;
    let _ = build(NOBODYS_CODE, to, from, BYTES, into, 0, 0, event, at); // MISTAKE: control-with-freed-buffer
    dispatch(device, irp)
}

/// Opens the file again that is about to go.
unsafe extern "C" fn create_again(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let own = flush(device, irp, false);
    if !own.is_null() {
        (*next_location(own)).MajorFunction = IRP_MJ_CREATE as u8;
        set_completion_routine(own, stop, null_mut());
        let _ = ntddk::IofCallDriver(lower(device), own); // MISTAKE: create-for-closed-file
        ntddk::IoFreeIrp(own);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn stop(_: PDEVICE_OBJECT, _: PIRP, _: *mut c_void) -> NTSTATUS {
    STATUS_MORE_PROCESSING_REQUIRED
}
