//! Requests at the routines of the I/O manager: what is sent where, and the driver's own requests.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch, enter, leave, lower, pass_and_wait, pass_through};
use crate::kernel::{
    KeLowerIrql, KfRaiseIrql, complete, complete_as_is, current_location, initialize_event,
    next_location, set_completion_routine, skip_location,
};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};
use wdk_sys::{
    _EVENT_TYPE, DISPATCH_LEVEL, IO_STATUS_BLOCK, IRP_MJ_CLEANUP, IRP_MJ_DEVICE_CONTROL,
    IRP_MJ_FLUSH_BUFFERS, IRP_MJ_QUERY_INFORMATION, KEVENT, KIRQL, NTSTATUS, PDEVICE_OBJECT, PIRP,
    STATUS_ACCESS_DENIED, STATUS_MORE_PROCESSING_REQUIRED, STATUS_NOT_SUPPORTED, STATUS_PENDING,
    STATUS_SUCCESS, ntddk,
};

/// Nobody reads it.
// SAFETY: a structure of integers.
static mut RESULT: IO_STATUS_BLOCK = unsafe { core::mem::zeroed() };

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::CloseFailed, IRP_MJ_CLEANUP) => Some(fail_cleanup),
        (Mistake::WrongRequestType, IRP_MJ_QUERY_INFORMATION) => Some(pass_no_request),
        (Mistake::WrongDeviceType, IRP_MJ_QUERY_INFORMATION) => Some(pass_to_no_device),
        (Mistake::NullDevice, IRP_MJ_QUERY_INFORMATION) => Some(pass_to_nothing),
        (Mistake::DeviceSkipped, IRP_MJ_QUERY_INFORMATION) => Some(pass_to_the_base),
        (Mistake::CancelRoutineAtCall, IRP_MJ_QUERY_INFORMATION) => Some(pass_with_cancel_routine),
        (Mistake::IllegalStatusReturned, IRP_MJ_QUERY_INFORMATION) => Some(return_nothing),
        (Mistake::ForwardAboveDispatch, IRP_MJ_QUERY_INFORMATION) => Some(ask_the_disk),
        (Mistake::EventSignalledBefore, IRP_MJ_QUERY_INFORMATION) => Some(flush_signalled),
        (Mistake::CompleteUnsent, IRP_MJ_QUERY_INFORMATION) => Some(complete_unsent),
        (Mistake::ThreadedRequestFreed, IRP_MJ_QUERY_INFORMATION) => Some(free_threaded),
        (Mistake::RequestFreedInUse, IRP_MJ_QUERY_INFORMATION) => Some(free_in_use),
        (Mistake::RequestReusedInUse, IRP_MJ_QUERY_INFORMATION) => Some(reuse_in_use),
        (Mistake::BuiltRequestReused, IRP_MJ_QUERY_INFORMATION) => Some(reuse_built),
        (Mistake::PassedOnAfterCompletion, IRP_MJ_QUERY_INFORMATION) => Some(complete_and_pass_on),
        (Mistake::BuiltRequestForgotten, IRP_MJ_QUERY_INFORMATION) => Some(forget_built),
        (Mistake::ChargedRequestInitialized, IRP_MJ_QUERY_INFORMATION) => Some(initialize_charged),
        (Mistake::AllocatedRequestInitialized, IRP_MJ_QUERY_INFORMATION) => {
            Some(initialize_allocated)
        }
        _ => None,
    }
}

unsafe extern "C" fn fail_cleanup(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_ACCESS_DENIED;
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: close-failed
    STATUS_ACCESS_DENIED
}

unsafe extern "C" fn pass_no_request(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let below = lower(device);
    let _ = ntddk::IofCallDriver(below, device.cast()); // MISTAKE: wrong-request-type
    complete(irp, STATUS_NOT_SUPPORTED)
}

unsafe extern "C" fn pass_to_no_device(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let driver = (*device).DriverObject;
    let _ = ntddk::IofCallDriver(driver.cast(), irp); // MISTAKE: wrong-device-type
    complete(irp, STATUS_NOT_SUPPORTED)
}

unsafe extern "C" fn pass_to_nothing(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let _ = ntddk::IofCallDriver(null_mut(), irp); // MISTAKE: null-device
    complete(irp, STATUS_NOT_SUPPORTED)
}

/// Calls the device at the bottom of the stack, past another filter.
unsafe extern "C" fn pass_to_the_base(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    skip_location(irp);
    let base = ntddk::IoGetDeviceAttachmentBaseRef(device);
    let status = ntddk::IofCallDriver(base, irp); // MISTAKE: device-skipped
    ntddk::ObfDereferenceObject(base.cast());
    leave();
    status
}

unsafe extern "C" fn cancelled(_device: PDEVICE_OBJECT, _irp: PIRP) {}

unsafe extern "C" fn pass_with_cancel_routine(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    (*irp).CancelRoutine = Some(cancelled);
    skip_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: cancel-routine-at-call
    leave();
    status
}

unsafe extern "C" fn return_nothing(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let _ = pass_and_wait(device, irp);
    complete_as_is(irp);
    leave();
    -1
}

/// Asks the storage device, which is of another type than file systems are.
unsafe extern "C" fn ask_the_disk(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut storage = null_mut();
    if ntddk::IoGetDiskDeviceObject(lower(device), &raw mut storage) == STATUS_SUCCESS {
        let own = ntddk::IoAllocateIrp((*storage).StackSize, 0);
        if !own.is_null() {
            (*next_location(own)).MajorFunction = IRP_MJ_DEVICE_CONTROL as u8;
            set_completion_routine(own, stop, null_mut());
            let irql = KfRaiseIrql(DISPATCH_LEVEL as KIRQL + 1);
            let _ = ntddk::IofCallDriver(storage, own); // MISTAKE: forward-above-dispatch
            KeLowerIrql(irql);
        }
        ntddk::ObfDereferenceObject(storage.cast());
    }
    dispatch(device, irp)
}

/// Leaves the driver's own request to whoever sent it.
unsafe extern "C" fn stop(_: PDEVICE_OBJECT, _: PIRP, _: *mut c_void) -> NTSTATUS {
    STATUS_MORE_PROCESSING_REQUIRED
}

/// A flush of the file of `irp`, for the device below, that [`stop`] stops.
unsafe fn own_flush(device: PDEVICE_OBJECT, irp: PIRP) -> PIRP {
    let own = ntddk::IoAllocateIrp((*lower(device)).StackSize, 0);
    if !own.is_null() {
        let next = next_location(own);
        (*next).MajorFunction = IRP_MJ_FLUSH_BUFFERS as u8;
        (*next).FileObject = (*current_location(irp)).FileObject;
        set_completion_routine(own, stop, null_mut());
    }
    own
}

/// As if it were skipped: its location is above the first one by then, and its originator's APC, which frees it, does
/// not run in a guarded region.
unsafe extern "C" fn complete_and_pass_on(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let below = lower(device);
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_NOT_SUPPORTED;
    ntddk::KeEnterGuardedRegion();
    ntddk::IofCompleteRequest(irp, 0);
    let _ = ntddk::IofCallDriver(below, irp); // MISTAKE: passed-on-after-completion
    ntddk::KeLeaveGuardedRegion();
    STATUS_NOT_SUPPORTED
}

/// Builds a request once, which it is for the driver to send, or else to free.
unsafe extern "C" fn forget_built(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    static BUILT: AtomicBool = AtomicBool::new(false);
    // SAFETY: a structure of integers and pointers.
    static mut EVENT: KEVENT = unsafe { core::mem::zeroed() };
    if !BUILT.swap(true, Ordering::AcqRel) {
        ntddk::KeInitializeEvent(&raw mut EVENT, _EVENT_TYPE::NotificationEvent, 0);
        let (flush, below, nothing) = (IRP_MJ_FLUSH_BUFFERS, lower(device), null_mut());
        let (event, result) = (&raw mut EVENT, &raw mut RESULT);
        let build = ntddk::IoBuildSynchronousFsdRequest;
        let start = null_mut();
        build(flush, below, nothing, 0, start, event, result); // MISTAKE: built-request-forgotten
    }
    dispatch(device, irp)
}

/// Waits for a flush with an event that is signalled, so that the wait ends at once.
unsafe extern "C" fn flush_signalled(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut event = KEVENT::default();
    ntddk::KeInitializeEvent(&raw mut event, _EVENT_TYPE::NotificationEvent, 1);
    let (flush, below) = (IRP_MJ_FLUSH_BUFFERS, lower(device));
    let (nothing, result) = (null_mut(), &raw mut RESULT);
    let own = ntddk::IoBuildSynchronousFsdRequest(
        flush,
        below,
        nothing,
        0,
        null_mut(),
        &raw mut event,
        result,
    );
    if !own.is_null() {
        (*next_location(own)).FileObject = (*current_location(irp)).FileObject;
        let _ = ntddk::IofCallDriver(below, own); // MISTAKE: event-signalled-before
        crate::kernel::wait_for(&raw mut event);
    }
    dispatch(device, irp)
}

/// The flush that is built for the device below; it is freed by its owner.
unsafe fn built_flush(device: PDEVICE_OBJECT) -> PIRP {
    let (flush, below) = (IRP_MJ_FLUSH_BUFFERS, lower(device));
    let result = &raw mut RESULT;
    ntddk::IoBuildAsynchronousFsdRequest(flush, below, null_mut(), 0, null_mut(), result)
}

unsafe extern "C" fn complete_unsent(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let own = built_flush(device);
    if !own.is_null() {
        (*own).IoStatus.__bindgen_anon_1.Status = STATUS_SUCCESS;
        ntddk::IofCompleteRequest(own, 0); // MISTAKE: complete-unsent
    }
    dispatch(device, irp)
}

unsafe extern "C" fn free_threaded(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    let (flush, below) = (IRP_MJ_FLUSH_BUFFERS, lower(device));
    let (event, result) = (&raw mut event, &raw mut RESULT);
    let own =
        ntddk::IoBuildSynchronousFsdRequest(flush, below, null_mut(), 0, null_mut(), event, result);
    if !own.is_null() {
        ntddk::IoFreeIrp(own); // MISTAKE: threaded-request-freed
    }
    dispatch(device, irp)
}

/// Frees its flush also when the driver below still has it.
unsafe extern "C" fn free_in_use(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let own = own_flush(device, irp);
    if !own.is_null() {
        let _ = ntddk::IofCallDriver(lower(device), own);
        ntddk::IoFreeIrp(own); // MISTAKE: request-freed-in-use
    }
    pass_through_inside(device, irp)
}

/// Uses its flush again also when the driver below still has it.
unsafe extern "C" fn reuse_in_use(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let own = own_flush(device, irp);
    if !own.is_null() {
        let status = ntddk::IofCallDriver(lower(device), own);
        ntddk::IoReuseIrp(own, STATUS_SUCCESS); // MISTAKE: request-reused-in-use
        if status != STATUS_PENDING {
            ntddk::IoFreeIrp(own);
        }
    }
    pass_through_inside(device, irp)
}

unsafe fn pass_through_inside(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_through(device, irp);
    leave();
    status
}

unsafe extern "C" fn reuse_built(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let own = built_flush(device);
    if !own.is_null() {
        ntddk::IoReuseIrp(own, STATUS_SUCCESS); // MISTAKE: built-request-reused
        ntddk::IoFreeIrp(own);
    }
    dispatch(device, irp)
}

/// Bytes of a request with `locations` stack locations (`IoSizeOfIrp`).
fn size_of_irp(locations: i8) -> u16 {
    let bytes = size_of::<wdk_sys::IRP>()
        + usize::from(locations.unsigned_abs()) * size_of::<wdk_sys::IO_STACK_LOCATION>();
    bytes as u16
}

unsafe extern "C" fn initialize_charged(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let locations = (*lower(device)).StackSize;
    let own = ntddk::IoAllocateIrp(locations, 1);
    if !own.is_null() {
        ntddk::IoInitializeIrp(own, size_of_irp(locations), locations); // MISTAKE: charged-request-initialized
        ntddk::IoFreeIrp(own);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn initialize_allocated(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let locations = (*lower(device)).StackSize;
    let own = ntddk::IoAllocateIrp(locations, 0);
    if !own.is_null() {
        ntddk::IoInitializeIrp(own, size_of_irp(locations), locations); // MISTAKE: allocated-request-initialized
        ntddk::IoFreeIrp(own);
    }
    dispatch(device, irp)
}
