//! What `wdm.h` has as macros and inline functions.

use crate::filter::CompletionRoutine;
use core::ffi::c_void;
use wdk_sys::{
    _EVENT_TYPE, _KWAIT_REASON, _MODE, CCHAR, FAST_MUTEX, HANDLE, IO_NO_INCREMENT, KEVENT, KIRQL,
    LARGE_INTEGER, NTSTATUS, PIO_STACK_LOCATION, PIRP, PVOID, SL_INVOKE_ON_CANCEL,
    SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, SL_PENDING_RETURNED, STATUS_SUCCESS,
    THREAD_ALL_ACCESS, UNICODE_STRING, ntddk,
};

unsafe extern "C" {
    /// What `KeRaiseIrql` is on x64.
    pub fn KfRaiseIrql(irql: KIRQL) -> KIRQL;
    pub fn KeLowerIrql(irql: KIRQL);
}

/// `IoGetCurrentIrpStackLocation`.
pub unsafe fn current_location(irp: PIRP) -> PIO_STACK_LOCATION {
    (*irp)
        .Tail
        .Overlay
        .__bindgen_anon_2
        .__bindgen_anon_1
        .CurrentStackLocation
}

/// `IoGetNextIrpStackLocation`.
pub unsafe fn next_location(irp: PIRP) -> PIO_STACK_LOCATION {
    current_location(irp).sub(1)
}

/// `IoSkipCurrentIrpStackLocation`.
pub unsafe fn skip_location(irp: PIRP) {
    (*irp).CurrentLocation += 1;
    (*irp)
        .Tail
        .Overlay
        .__bindgen_anon_2
        .__bindgen_anon_1
        .CurrentStackLocation = current_location(irp).add(1);
}

/// `IoSetNextIrpStackLocation`.
pub unsafe fn set_next_location(irp: PIRP) {
    (*irp).CurrentLocation -= 1;
    (*irp)
        .Tail
        .Overlay
        .__bindgen_anon_2
        .__bindgen_anon_1
        .CurrentStackLocation = current_location(irp).sub(1);
}

/// `IoCopyCurrentIrpStackLocationToNext`.
pub unsafe fn copy_location_to_next(irp: PIRP) {
    let current = current_location(irp);
    let next = next_location(irp);
    *next = *current;
    (*next).CompletionRoutine = None;
    (*next).Context = core::ptr::null_mut();
    (*next).Control = 0;
}

/// `IoSetCompletionRoutine`, for every outcome.
pub unsafe fn set_completion_routine(irp: PIRP, routine: CompletionRoutine, context: *mut c_void) {
    let next = next_location(irp);
    (*next).CompletionRoutine = Some(routine);
    (*next).Context = context;
    (*next).Control = ALWAYS;
}

/// Every invoke flag.
pub const ALWAYS: u8 = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;

/// `IoMarkIrpPending`.
pub unsafe fn mark_pending(irp: PIRP) {
    (*current_location(irp)).Control |= SL_PENDING_RETURNED as u8;
}

/// Completes with a status and no information.
pub unsafe fn complete(irp: PIRP, status: NTSTATUS) -> NTSTATUS {
    (*irp).IoStatus.__bindgen_anon_1.Status = status;
    (*irp).IoStatus.Information = 0;
    complete_as_is(irp);
    status
}

/// `IoCompleteRequest` with what is in the request.
pub unsafe fn complete_as_is(irp: PIRP) {
    ntddk::IofCompleteRequest(irp, IO_NO_INCREMENT as CCHAR);
}

/// A notification event, not signalled.
pub unsafe fn initialize_event(event: *mut KEVENT) {
    ntddk::KeInitializeEvent(event, _EVENT_TYPE::NotificationEvent, 0);
}

/// `ExInitializeFastMutex`.
pub unsafe fn fast_mutex() -> FAST_MUTEX {
    let mut mutex = FAST_MUTEX {
        Count: 1,
        ..FAST_MUTEX::default()
    };
    let event = &raw mut mutex.Event;
    ntddk::KeInitializeEvent(event, _EVENT_TYPE::SynchronizationEvent, 0);
    mutex
}

/// Waits for an event without an end.
pub unsafe fn wait_for(event: *mut KEVENT) {
    let reason = _KWAIT_REASON::Executive;
    let _ = ntddk::KeWaitForSingleObject(
        event.cast(),
        reason,
        _MODE::KernelMode as _,
        0,
        core::ptr::null_mut(),
    );
}

/// Starts a system thread: a handle of it, which is to be closed, or null.
pub unsafe fn start_thread(routine: unsafe extern "C" fn(PVOID)) -> HANDLE {
    let mut handle: HANDLE = core::ptr::null_mut();
    let status = ntddk::PsCreateSystemThread(
        &raw mut handle,
        THREAD_ALL_ACCESS,
        core::ptr::null_mut(),
        core::ptr::null_mut(),
        core::ptr::null_mut(),
        Some(routine),
        core::ptr::null_mut(),
    );
    if status == STATUS_SUCCESS {
        handle
    } else {
        core::ptr::null_mut()
    }
}

/// An interval from now in the unit of the kernel, 100 ns.
pub const fn milliseconds(count: i64) -> LARGE_INTEGER {
    LARGE_INTEGER {
        QuadPart: -10_000 * count,
    }
}

/// Suspends the thread.
pub unsafe fn sleep(duration_in_milliseconds: i64) {
    let mut interval = milliseconds(duration_in_milliseconds);
    let _ = ntddk::KeDelayExecutionThread(_MODE::KernelMode as _, 0, &raw mut interval);
}

/// The UTF-16 form of an ASCII literal, for `RTL_CONSTANT_STRING`.
pub const fn wide<const N: usize>(text: &str) -> [u16; N] {
    let bytes = text.as_bytes();
    let mut units = [0; N];
    let mut index = 0;
    while index < N {
        units[index] = bytes[index] as u16;
        index += 1;
    }
    units
}

/// The counted string over `units`, which outlive it.
pub const fn unicode(units: &[u16]) -> UNICODE_STRING {
    let bytes = (units.len() * 2) as u16;
    UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: units.as_ptr().cast_mut(),
    }
}

/// A `UNICODE_STRING` of a literal.
macro_rules! unicode_literal {
    ($text:literal) => {{
        static UNITS: [u16; $text.len()] = $crate::kernel::wide($text);
        $crate::kernel::unicode(&UNITS)
    }};
}
pub(crate) use unicode_literal;
