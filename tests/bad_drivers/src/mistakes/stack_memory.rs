//! Requests of the driver's own whose event or status block lies on the stack: a routine that returns before they
//! have completed, and one that sees to it that they have.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch, lower, signal};
use crate::kernel::{
    complete, complete_as_is, current_location, initialize_event, milliseconds, next_location,
    set_completion_routine, wait_for,
};
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};
use wdk_sys::{
    _KWAIT_REASON, _MODE, IO_STATUS_BLOCK, IRP_MJ_FLUSH_BUFFERS, IRP_MJ_QUERY_INFORMATION, KEVENT,
    NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_TIMEOUT, ntddk,
};

/// Nobody reads it.
// SAFETY: a structure of integers.
static mut RESULT: IO_STATUS_BLOCK = unsafe { core::mem::zeroed() };
/// The event of the one request that uses it.
static mut EVENT: MaybeUninit<KEVENT> = MaybeUninit::uninit();
static EVENT_IS_USED: AtomicBool = AtomicBool::new(false);

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::StackEventLeft, IRP_MJ_QUERY_INFORMATION) => Some(leave_event),
        (Mistake::StackStatusBlockLeft, IRP_MJ_QUERY_INFORMATION) => Some(leave_status_block),
        _ => None,
    }
}

/// The right way: what is on the stack is not left.
pub fn right_routine(major: u32) -> Option<DispatchRoutine> {
    (major == IRP_MJ_QUERY_INFORMATION).then_some(cancel_and_wait as DispatchRoutine)
}

/// A flush of the file of `irp`, for the device below.
unsafe fn flush(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    event: *mut KEVENT,
    result: *mut IO_STATUS_BLOCK,
) -> PIRP {
    let (major, below) = (IRP_MJ_FLUSH_BUFFERS, lower(device));
    let own =
        ntddk::IoBuildSynchronousFsdRequest(major, below, null_mut(), 0, null_mut(), event, result);
    if !own.is_null() {
        (*next_location(own)).FileObject = (*current_location(irp)).FileObject;
    }
    own
}

/// Waits, but not for long: whether it was long enough.
unsafe fn is_signalled_soon(event: *mut KEVENT) -> bool {
    let mut soon = milliseconds(0);
    let (reason, mode) = (_KWAIT_REASON::Executive, _MODE::KernelMode as _);
    let status = ntddk::KeWaitForSingleObject(event.cast(), reason, mode, 0, &raw mut soon);
    status != STATUS_TIMEOUT
}

unsafe extern "C" fn leave_event(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    let own = flush(device, irp, &raw mut event, &raw mut RESULT);
    if is_pending(device, own) && !is_signalled_soon(&raw mut event) {
        return complete(irp, STATUS_NOT_SUPPORTED);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn leave_status_block(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let event: *mut KEVENT = (&raw mut EVENT).cast();
    if !EVENT_IS_USED.swap(true, Ordering::AcqRel) {
        initialize_event(event);
    } else if ntddk::KeResetEvent(event) == 0 {
        // Another request has it.
        return dispatch(device, irp);
    }
    let mut result = IO_STATUS_BLOCK::default();
    let own = flush(device, irp, event, &raw mut result);
    if !is_pending(device, own) {
        ntddk::KeSetEvent(event, 0, 0);
    } else if !is_signalled_soon(event) {
        return complete(irp, STATUS_NOT_SUPPORTED);
    }
    dispatch(device, irp)
}

/// Sends the flush, if there is one: whether it is on its way.
unsafe fn is_pending(device: PDEVICE_OBJECT, own: PIRP) -> bool {
    !own.is_null() && ntddk::IofCallDriver(lower(device), own) == STATUS_PENDING
}

/// The routine keeps the request, so that it can be cancelled, and it is waited for.
unsafe extern "C" fn cancel_and_wait(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut event, mut came_back) = (KEVENT::default(), KEVENT::default());
    let mut result = IO_STATUS_BLOCK::default();
    initialize_event(&raw mut event);
    initialize_event(&raw mut came_back);
    let own = flush(device, irp, &raw mut event, &raw mut result);
    if !own.is_null() {
        set_completion_routine(own, signal, (&raw mut came_back).cast());
        let _ = ntddk::IofCallDriver(lower(device), own);
        if !is_signalled_soon(&raw mut came_back) {
            let _ = ntddk::IoCancelIrp(own);
            wait_for(&raw mut came_back);
        }
        // The I/O manager writes to the stack now, while it is there.
        complete_as_is(own);
    }
    dispatch(device, irp)
}
