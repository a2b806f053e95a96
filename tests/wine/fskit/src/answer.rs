//! When a request is completed: in the dispatch routine, from another thread, or when it is
//! released or cancelled.

use crate::devices::{Disk, disk_of_volume};
use crate::kernel::{
    allocate, complete, current_location, free, initialize_event, mark_pending, set_cancel_routine,
    wait_for,
};
use crate::spin::Spin;
use crate::{mount, volume};
use core::sync::atomic::{AtomicU32, Ordering};
use fskit_protocol::{Answer, Report};
use wdk_sys::{
    _WORK_QUEUE_TYPE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, KEVENT, NTSTATUS,
    PDEVICE_OBJECT, PIO_WORKITEM, PIRP, PVOID, STATUS_CANCELLED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_PENDING, ntddk,
};

/// The number of the chosen [`Answer`].
static CHOSEN: AtomicU32 = AtomicU32::new(Answer::AtOnce as u32);

static RECEIVED: [AtomicU32; 28] = [const { AtomicU32::new(0) }; 28];
static THROUGH_FILTER: AtomicU32 = AtomicU32::new(0);
static COMPLETED: AtomicU32 = AtomicU32::new(0);
static CANCELLED: AtomicU32 = AtomicU32::new(0);

/// Requests that are held; each has a cancel routine. A null pointer is a free place.
static HELD: Spin<Held> = Spin::new(Held([core::ptr::null_mut(); 64]));

struct Held([PIRP; 64]);

// SAFETY: requests belong to no thread.
unsafe impl Send for Held {}

impl Held {
    /// Puts `new` in the place of `old`.
    fn replace(&mut self, old: PIRP, new: PIRP) -> bool {
        let place = self.0.iter_mut().find(|irp| **irp == old);
        place.map(|irp| *irp = new).is_some()
    }
}

/// What a work item is given.
#[repr(C)]
struct Posted {
    item: PIO_WORKITEM,
    irp: PIRP,
    /// Signalled when the request was completed; null if nobody waits.
    done: *mut KEVENT,
}

/// From now on requests are answered like this.
pub fn choose(answer: Answer) {
    CHOSEN.store(answer as u32, Ordering::Release);
}

fn chosen() -> Answer {
    Answer::from_number(CHOSEN.load(Ordering::Acquire)).unwrap_or(Answer::AtOnce)
}

/// Puts the counters into `report`.
pub fn count(report: &mut Report) {
    for (count, counter) in report.received.iter_mut().zip(&RECEIVED) {
        *count = counter.load(Ordering::Acquire);
    }
    report.through_filter = THROUGH_FILTER.load(Ordering::Acquire);
    report.completed = COMPLETED.load(Ordering::Acquire);
    report.cancelled = CANCELLED.load(Ordering::Acquire);
    report.held = HELD.with(|held| held.0.iter().filter(|irp| !irp.is_null()).count()) as u32;
}

/// A request for a volume.
pub unsafe fn request(device: PDEVICE_OBJECT, disk: &Disk, irp: PIRP) -> NTSTATUS {
    let location = current_location(irp);
    let major = u32::from((*location).MajorFunction);
    if let Some(counter) = RECEIVED.get(major as usize) {
        counter.fetch_add(1, Ordering::AcqRel);
    }
    // The routine in this location belongs to the driver above, or to the kernel if there is none.
    if (*irp).CurrentLocation < (*irp).StackCount && (*location).CompletionRoutine.is_some() {
        THROUGH_FILTER.fetch_add(1, Ordering::AcqRel);
    }
    let opens_or_closes = matches!(major, IRP_MJ_CREATE | IRP_MJ_CLEANUP | IRP_MJ_CLOSE);
    match chosen() {
        // Wine has nobody to wait for those.
        _ if opens_or_closes => finish(disk, irp),
        Answer::AtOnce => finish(disk, irp),
        Answer::Later => post(device, irp, false),
        Answer::BeforeReturn => post(device, irp, true),
        Answer::Held => match hold(irp) {
            true => STATUS_PENDING,
            false => finish(disk, irp),
        },
    }
}

/// A mount request for the file system.
pub unsafe fn request_mount(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    match chosen() {
        Answer::AtOnce => finish_mount(irp),
        Answer::Later => post(device, irp, false),
        Answer::BeforeReturn => post(device, irp, true),
        Answer::Held => match hold(irp) {
            true => STATUS_PENDING,
            false => finish_mount(irp),
        },
    }
}

/// Carries out and completes.
unsafe fn finish(disk: &Disk, irp: PIRP) -> NTSTATUS {
    let (status, information) = volume::carry_out(disk, irp);
    complete(irp, status, information);
    COMPLETED.fetch_add(1, Ordering::AcqRel);
    status
}

unsafe fn finish_mount(irp: PIRP) -> NTSTATUS {
    complete(irp, mount::carry_out(irp), 0)
}

/// Carries out and completes what `device` was asked for.
unsafe fn finish_for(device: PDEVICE_OBJECT, irp: PIRP) {
    match disk_of_volume(device) {
        Some(disk) => finish(disk, irp),
        None => finish_mount(irp),
    };
}

/// Leaves the request to another thread; with `wait`, until that has completed it.
unsafe fn post(device: PDEVICE_OBJECT, irp: PIRP, wait: bool) -> NTSTATUS {
    let posted: *mut Posted = allocate(size_of::<Posted>());
    let item = ntddk::IoAllocateWorkItem(device);
    if posted.is_null() || item.is_null() {
        return complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    let done = if wait {
        &raw mut event
    } else {
        core::ptr::null_mut()
    };
    posted.write(Posted { item, irp, done });
    mark_pending(irp);
    let queue = _WORK_QUEUE_TYPE::DelayedWorkQueue;
    ntddk::IoQueueWorkItem(item, Some(work), queue, posted.cast());
    if wait {
        wait_for(&raw mut event);
    }
    STATUS_PENDING
}

/// IO_WORKITEM_ROUTINE.
unsafe extern "C" fn work(device: PDEVICE_OBJECT, context: PVOID) {
    let Posted { item, irp, done } = context.cast::<Posted>().read();
    free(context);
    finish_for(device, irp);
    ntddk::IoFreeWorkItem(item);
    if !done.is_null() {
        ntddk::KeSetEvent(done, 0, 0);
    }
}

/// Keeps the request, which is pending then, until it is released or cancelled; says whether
/// there is room.
unsafe fn hold(irp: PIRP) -> bool {
    if !HELD.with(|held| held.replace(core::ptr::null_mut(), irp)) {
        return false;
    }
    mark_pending(irp);
    set_cancel_routine(irp, Some(cancel));
    // Cancelled before it had a routine: whoever takes the routine away completes.
    if (*irp).Cancel != 0 && set_cancel_routine(irp, None) {
        cancel_held(irp);
    }
    true
}

/// DRIVER_CANCEL.
unsafe extern "C" fn cancel(_device: PDEVICE_OBJECT, irp: PIRP) {
    ntddk::IoReleaseCancelSpinLock((*irp).CancelIrql);
    cancel_held(irp);
}

unsafe fn cancel_held(irp: PIRP) {
    HELD.with(|held| held.replace(irp, core::ptr::null_mut()));
    complete(irp, STATUS_CANCELLED, 0);
    CANCELLED.fetch_add(1, Ordering::AcqRel);
    COMPLETED.fetch_add(1, Ordering::AcqRel);
}

/// Carries out and completes everything that is held.
pub unsafe fn release() {
    loop {
        let irp = HELD.with(|held| {
            // A request whose routine is gone is being cancelled.
            let place = held.0.iter_mut();
            let mut taken = place.filter(|irp| !irp.is_null() && set_cancel_routine(**irp, None));
            taken
                .next()
                .map(|irp| core::mem::replace(irp, core::ptr::null_mut()))
        });
        let Some(irp) = irp else { return };
        finish_for((*current_location(irp)).DeviceObject, irp);
    }
}
