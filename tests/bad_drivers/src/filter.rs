//! The way of a request: down with a completion routine, up untouched.

use crate::attachments::{self, Extension};
use crate::kernel::{
    complete_as_is, copy_location_to_next, current_location, initialize_event, mark_pending,
    set_completion_routine, skip_location, sleep, wait_for,
};
use crate::mistakes::{self, Mistake};
use core::ffi::c_void;
use core::mem::offset_of;
use core::sync::atomic::{AtomicI32, Ordering};
use wdk_sys::{
    BOOLEAN, FAST_IO_DISPATCH, FILE_OBJECT, IRP_MJ_CREATE, IRP_MJ_FILE_SYSTEM_CONTROL,
    IRP_MJ_QUERY_INFORMATION, IRP_MN_MOUNT_VOLUME, KEVENT, NTSTATUS, PDEVICE_OBJECT,
    PFILE_STANDARD_INFORMATION, PIO_STATUS_BLOCK, PIRP, PLARGE_INTEGER, PVOID,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS, ULONG, ntddk,
};

/// DRIVER_DISPATCH.
pub type DispatchRoutine = unsafe extern "C" fn(PDEVICE_OBJECT, PIRP) -> NTSTATUS;
/// IO_COMPLETION_ROUTINE.
pub type CompletionRoutine = unsafe extern "C" fn(PDEVICE_OBJECT, PIRP, *mut c_void) -> NTSTATUS;

/// Dispatch routines that run, and requests whose completion routine has not returned.
static INSIDE: AtomicI32 = AtomicI32::new(0);

/// A request, or something that stands for one, is inside until [`leave`].
///
/// Never inlined, like its counterpart: a report names what lies at the first instruction of a
/// routine.
#[inline(never)]
pub fn enter() {
    INSIDE.fetch_add(1, Ordering::AcqRel);
}

/// Ends an [`enter`].
#[inline(never)]
pub fn leave() {
    INSIDE.fetch_sub(1, Ordering::AcqRel);
}

/// Waits until nobody is inside (A12). The last instructions of a routine come after its [`leave`].
pub unsafe fn wait_until_unused() {
    loop {
        sleep(50);
        if INSIDE.load(Ordering::Acquire) == 0 {
            break;
        }
    }
    sleep(50);
}

/// Dispatch routine of every major function (D1), unless a mistake brings its own.
pub unsafe extern "C" fn dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let location = current_location(irp);
    let major = u32::from((*location).MajorFunction);
    let minor = u32::from((*location).MinorFunction);
    if major == IRP_MJ_CREATE {
        // A correct filter has pageable parts, too: creates come at PASSIVE_LEVEL.
        mistakes::use_paged_pool();
    }
    if major == IRP_MJ_QUERY_INFORMATION {
        mistakes::use_file(irp);
        mistakes::use_objects();
        mistakes::use_attachment();
    }
    let status = if major == IRP_MJ_FILE_SYSTEM_CONTROL && minor == IRP_MN_MOUNT_VOLUME {
        if mistakes::is(Mistake::ReferenceMountPostedUnmarked) {
            mistakes::post_mount(device, irp)
        } else if mistakes::is(Mistake::MountedNothing) {
            mistakes::claim_mount(irp)
        } else if mistakes::is(Mistake::MountVpbKept) {
            mistakes::mount_by_kept_vpb(device, irp)
        } else {
            mount_volume(device, irp)
        }
    } else {
        pass_through(device, irp)
    };
    leave();
    status
}

/// The device below.
pub unsafe fn lower(device: PDEVICE_OBJECT) -> PDEVICE_OBJECT {
    (*(*device).DeviceExtension.cast::<Extension>()).lower
}

/// Copies the location, sets `routine`, calls the next driver, in that order (C1). Not with
/// IoSetCompletionRoutineEx: where that has no memory the request would have to be completed, and a cleanup or
/// close that failed here would leave the driver below with what it keeps for the file (P2, C15).
pub unsafe fn pass_with(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    routine: CompletionRoutine,
    context: *mut c_void,
) -> NTSTATUS {
    copy_location_to_next(irp);
    set_completion_routine(irp, routine, context);
    enter();
    ntddk::IofCallDriver(lower(device), irp)
}

/// The least that a filter can do: the location is skipped, nobody sees the completion.
pub unsafe extern "C" fn skip(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    skip_location(irp);
    ntddk::IofCallDriver(lower(device), irp)
}

/// Bytes that [`skip_deep`] has on the stack.
pub const DEEP: usize = 2000;

/// [`skip`], with much on the stack meanwhile.
pub unsafe extern "C" fn skip_deep(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let kept = core::hint::black_box([0u8; DEEP]);
    let status = skip(device, irp);
    core::hint::black_box(&kept);
    status
}

/// The least that a filter with a completion routine can do.
pub unsafe extern "C" fn copy_and_complete(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    copy_location_to_next(irp);
    set_completion_routine(irp, propagate, core::ptr::null_mut());
    ntddk::IofCallDriver(lower(device), irp)
}

/// Propagates PendingReturned (C5) and continues (C7).
unsafe extern "C" fn propagate(_device: PDEVICE_OBJECT, irp: PIRP, _: *mut c_void) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    STATUS_SUCCESS
}

/// The fast I/O table of the driver below, if it reaches to the end of the entry at `offset`.
pub unsafe fn fast_io_below(below: PDEVICE_OBJECT, offset: usize) -> *mut FAST_IO_DISPATCH {
    let table = (*(*below).DriverObject).FastIoDispatch;
    if table.is_null() || ((*table).SizeOfFastIoDispatch as usize) < offset + size_of::<usize>() {
        return core::ptr::null_mut();
    }
    table
}

/// The least that a filter can do with a read by fast I/O.
pub unsafe extern "C" fn fast_io_read(
    file: *mut FILE_OBJECT,
    offset: PLARGE_INTEGER,
    length: ULONG,
    wait: BOOLEAN,
    key: ULONG,
    buffer: PVOID,
    result: PIO_STATUS_BLOCK,
    device: PDEVICE_OBJECT,
) -> BOOLEAN {
    let below = lower(device);
    let table = fast_io_below(below, offset_of!(FAST_IO_DISPATCH, FastIoRead));
    match table.as_ref().and_then(|table| table.FastIoRead) {
        Some(read) => read(file, offset, length, wait, key, buffer, result, below),
        None => 0,
    }
}

/// A read by fast I/O that is to come as a request. NT calls the routine without looking whether there is one.
pub unsafe extern "C" fn decline(
    _file: *mut FILE_OBJECT,
    _offset: PLARGE_INTEGER,
    _length: ULONG,
    _wait: BOOLEAN,
    _key: ULONG,
    _buffer: PVOID,
    _result: PIO_STATUS_BLOCK,
    _device: PDEVICE_OBJECT,
) -> BOOLEAN {
    0
}

/// The same with a query.
pub unsafe extern "C" fn fast_io_query_standard_info(
    file: *mut FILE_OBJECT,
    wait: BOOLEAN,
    buffer: PFILE_STANDARD_INFORMATION,
    result: PIO_STATUS_BLOCK,
    device: PDEVICE_OBJECT,
) -> BOOLEAN {
    let below = lower(device);
    let table = fast_io_below(below, offset_of!(FAST_IO_DISPATCH, FastIoQueryStandardInfo));
    match table
        .as_ref()
        .and_then(|table| table.FastIoQueryStandardInfo)
    {
        Some(query) => query(file, wait, buffer, result, below),
        None => 0,
    }
}

/// What is done with a request that no mistake is made with.
pub unsafe fn pass_through(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    pass_with(device, irp, completed, core::ptr::null_mut())
}

/// Propagates PendingReturned (C5) and continues (C7).
pub unsafe extern "C" fn completed(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    _context: *mut c_void,
) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    leave();
    STATUS_SUCCESS
}

/// Passes the request down and waits until it comes back, to be completed by the caller: its status.
pub unsafe fn pass_and_wait(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    copy_location_to_next(irp);
    set_completion_routine(irp, signal, (&raw mut event).cast());
    // Also when it did not pend: the routine signals in every case (C6).
    let _ = ntddk::IofCallDriver(lower(device), irp);
    wait_for(&raw mut event);
    (*irp).IoStatus.__bindgen_anon_1.Status
}

/// Wakes the waiting dispatch routine; never marks (C6, C8 a).
pub unsafe extern "C" fn signal(
    _device: PDEVICE_OBJECT,
    _irp: PIRP,
    event: *mut c_void,
) -> NTSTATUS {
    ntddk::KeSetEvent(event.cast(), 0, 0);
    STATUS_MORE_PROCESSING_REQUIRED
}

/// Stops completion for whoever completes the request again (C8 b).
pub unsafe extern "C" fn stop(
    _device: PDEVICE_OBJECT,
    _irp: PIRP,
    _context: *mut c_void,
) -> NTSTATUS {
    leave();
    STATUS_MORE_PROCESSING_REQUIRED
}

/// IRP_MN_MOUNT_VOLUME: the volume that was mounted is attached to before the mount completes (A6).
pub unsafe fn mount_volume(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // Remembered before the call: the file system may exchange the VPB.
    let storage = (*(*current_location(irp)).Parameters.MountVolume.Vpb).RealDevice;
    let status = pass_and_wait(device, irp);
    if status >= STATUS_SUCCESS {
        attachments::attach_to_mounted_on(storage);
    }
    complete_as_is(irp);
    status
}
