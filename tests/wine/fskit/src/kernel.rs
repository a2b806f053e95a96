//! What `wdm.h` has as macros and inline functions.

use core::sync::atomic::{AtomicPtr, Ordering};
use wdk_sys::{
    _EVENT_TYPE, _KWAIT_REASON, _MODE, _POOL_TYPE, CCHAR, IO_NO_INCREMENT, KEVENT, LARGE_INTEGER,
    NTSTATUS, PDRIVER_CANCEL, PIO_STACK_LOCATION, PIRP, POOL_TYPE, PVOID, SIZE_T,
    SL_PENDING_RETURNED, UNICODE_STRING, ntddk,
};

/// `IoGetCurrentIrpStackLocation`.
pub unsafe fn current_location(irp: PIRP) -> PIO_STACK_LOCATION {
    (*irp)
        .Tail
        .Overlay
        .__bindgen_anon_2
        .__bindgen_anon_1
        .CurrentStackLocation
}

/// `IoMarkIrpPending`.
pub unsafe fn mark_pending(irp: PIRP) {
    (*current_location(irp)).Control |= SL_PENDING_RETURNED as u8;
}

/// `IoSetCancelRoutine`; says whether there was one.
pub unsafe fn set_cancel_routine(irp: PIRP, routine: PDRIVER_CANCEL) -> bool {
    let place: *mut PDRIVER_CANCEL = &raw mut (*irp).CancelRoutine;
    // An optional routine has the layout of a pointer.
    let place = AtomicPtr::from_ptr(place.cast());
    let routine = core::mem::transmute::<PDRIVER_CANCEL, *mut ()>(routine);
    !place.swap(routine, Ordering::AcqRel).is_null()
}

/// Completes with this result.
pub unsafe fn complete(irp: PIRP, status: NTSTATUS, information: usize) -> NTSTATUS {
    (*irp).IoStatus.__bindgen_anon_1.Status = status;
    (*irp).IoStatus.Information = information as _;
    ntddk::IofCompleteRequest(irp, IO_NO_INCREMENT as CCHAR);
    status
}

/// A notification event, not signalled.
pub unsafe fn initialize_event(event: *mut KEVENT) {
    ntddk::KeInitializeEvent(event, _EVENT_TYPE::NotificationEvent, 0);
}

/// Waits for an event without an end.
pub unsafe fn wait_for(event: *mut KEVENT) {
    let _ = ntddk::KeWaitForSingleObject(
        event.cast(),
        _KWAIT_REASON::Executive,
        _MODE::KernelMode as _,
        0,
        core::ptr::null_mut(),
    );
}

/// Suspends the thread for a millisecond.
pub unsafe fn sleep() {
    let mut interval = LARGE_INTEGER { QuadPart: -10_000 };
    let _ = ntddk::KeDelayExecutionThread(_MODE::KernelMode as _, 0, &raw mut interval);
}

unsafe extern "C" {
    /// Exported by every version of Windows; the bindings leave it out because
    /// ExAllocatePool2 has replaced it, which Wine lacks.
    fn ExAllocatePool(kind: POOL_TYPE, bytes: SIZE_T) -> PVOID;
}

/// Zeroed memory of Wine's own pool; null if there is none.
pub unsafe fn allocate<T>(bytes: usize) -> *mut T {
    let block = ExAllocatePool(_POOL_TYPE::NonPagedPool, bytes as SIZE_T).cast::<u8>();
    if !block.is_null() {
        block.write_bytes(0, bytes);
    }
    block.cast()
}

/// Of a block of [`allocate`].
pub unsafe fn free<T>(block: *mut T) {
    ntddk::ExFreePool(block.cast());
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
