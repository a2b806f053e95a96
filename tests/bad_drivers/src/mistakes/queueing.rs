//! Requests that wait in a queue of the driver's own, where they can be cancelled.

use super::{Mistake, is};
use crate::filter::{DispatchRoutine, completed, enter, leave, pass_with};
use crate::kernel::{complete, current_location, mark_pending, sleep};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};
use wdk_sys::{
    _WORK_QUEUE_TYPE, DRIVER_CANCEL, IRP_MJ_QUERY_INFORMATION, KSPIN_LOCK, LIST_ENTRY, NTSTATUS,
    PDEVICE_OBJECT, PIRP, PVOID, STATUS_CANCELLED, STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING,
    ntddk,
};

/// Guards [`FIRST`] and the links behind it.
static mut LOCK: KSPIN_LOCK = 0;
/// The requests that wait, each linked to the next one by the first pointer of its `ListEntry`.
static mut FIRST: PIRP = null_mut();

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    let queues = mistake == Mistake::CancelledRequestQueued;
    right_routine(major).filter(|_| queues)
}

/// The same without the mistake.
pub fn right_routine(major: u32) -> Option<DispatchRoutine> {
    (major == IRP_MJ_QUERY_INFORMATION).then_some(queue as DispatchRoutine)
}

/// `IoSetCancelRoutine`: what was set before.
unsafe fn set_cancel_routine(irp: PIRP, routine: DRIVER_CANCEL) -> bool {
    let place = &raw mut (*irp).CancelRoutine;
    let routine = routine.map_or(null_mut(), |routine| routine as *mut core::ffi::c_void);
    !AtomicPtr::from_ptr(place.cast())
        .swap(routine, Ordering::AcqRel)
        .is_null()
}

unsafe fn link(irp: PIRP) -> *mut PIRP {
    let overlay = &raw mut (*irp).Tail.Overlay.__bindgen_anon_2;
    overlay.cast::<LIST_ENTRY>().cast()
}

/// Takes the first request out of the queue that is wanted.
unsafe fn take(is_wanted: impl Fn(PIRP) -> bool) -> PIRP {
    let mut place = &raw mut FIRST;
    while !(*place).is_null() {
        let irp = *place;
        if is_wanted(irp) {
            *place = *link(irp);
            return irp;
        }
        place = link(irp);
    }
    null_mut()
}

/// A worker passes the request on later.
unsafe extern "C" fn queue(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let item = ntddk::IoAllocateWorkItem(device);
    if item.is_null() {
        return complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    }
    enter();
    mark_pending(irp);
    let level = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    *link(irp) = FIRST;
    FIRST = irp;
    set_cancel_routine(irp, Some(cancelled));
    let looks = !is(Mistake::CancelledRequestQueued);
    let is_cancelled =
        looks && (&raw const (*irp).Cancel).read_volatile() != 0 && set_cancel_routine(irp, None);
    if is_cancelled {
        take(|other| other == irp);
    }
    ntddk::KeReleaseSpinLock(&raw mut LOCK, level);
    if is_cancelled {
        complete(irp, STATUS_CANCELLED);
        ntddk::IoFreeWorkItem(item);
        leave();
        return STATUS_PENDING;
    }
    let queue = _WORK_QUEUE_TYPE::DelayedWorkQueue;
    ntddk::IoQueueWorkItem(item, Some(work), queue, item.cast());
    STATUS_PENDING
}

unsafe fn is_first_cancelled() -> bool {
    let level = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let is_cancelled = FIRST.as_ref().is_some_and(|irp| irp.Cancel != 0);
    ntddk::KeReleaseSpinLock(&raw mut LOCK, level);
    is_cancelled
}

/// IO_WORKITEM_ROUTINE: passes on a request that nobody is about to cancel.
unsafe extern "C" fn work(_device: PDEVICE_OBJECT, item: PVOID) {
    if is(Mistake::CancelledRequestQueued) && is_first_cancelled() {
        // It waits for as long as it takes the dispatch routine to return.
        sleep(200);
    }
    let level = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    let irp = take(|irp| set_cancel_routine(irp, None));
    ntddk::KeReleaseSpinLock(&raw mut LOCK, level);
    if !irp.is_null() {
        let device = (*current_location(irp)).DeviceObject;
        let _ = pass_with(device, irp, completed, null_mut());
    }
    ntddk::IoFreeWorkItem(item.cast());
    leave();
}

/// DRIVER_CANCEL.
unsafe extern "C" fn cancelled(_device: PDEVICE_OBJECT, irp: PIRP) {
    enter();
    ntddk::IoReleaseCancelSpinLock((*irp).CancelIrql);
    let level = ntddk::KeAcquireSpinLockRaiseToDpc(&raw mut LOCK);
    take(|other| other == irp);
    ntddk::KeReleaseSpinLock(&raw mut LOCK, level);
    complete(irp, STATUS_CANCELLED);
    leave();
}
