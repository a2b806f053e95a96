//! Devices, and what is left of the driver: mistakes at the places of [`crate::attachments`], and
//! those with the device that a completion routine is set for.

use super::{Mistake, is};
use crate::attachments::{attach_to_mounted_on, extension, is_unloading};
use crate::filter::{
    self, DispatchRoutine, completed, enter, leave, lower, pass_and_wait, pass_with,
};
use crate::kernel::{
    complete_as_is, copy_location_to_next, current_location, milliseconds, skip_location,
};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};
use wdk_sys::{
    _EVENT_TYPE, BOOLEAN, DO_DEVICE_INITIALIZING, IO_STATUS_BLOCK, IRP_MJ_FLUSH_BUFFERS,
    IRP_MJ_QUERY_INFORMATION, KDPC, KEVENT, KTIMER, NPAGED_LOOKASIDE_LIST, NTSTATUS,
    PDEVICE_OBJECT, PIRP, PKDPC, POOL_FLAG_NON_PAGED, PVOID, STATUS_SUCCESS, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadN");
/// More than there is: an allocation that fails whenever it is tried.
const TOO_MUCH: u64 = 1 << 50;
const NAME: u64 = 64;

// SAFETY: structures of integers and pointers, initialized before they are used.
static mut TIMER: KTIMER = unsafe { core::mem::zeroed() };
// SAFETY: as above.
static mut DPC: KDPC = unsafe { core::mem::zeroed() };
// SAFETY: as above.
static mut LOOKASIDE: NPAGED_LOOKASIDE_LIST = unsafe { core::mem::zeroed() };

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::CompletionRoutineOutlivesUnload, _) => Some(pass_with_stay),
        (Mistake::CompletionRoutineUnchecked, _) => Some(pass_unchecked),
        (Mistake::CompletionRoutineRefused, _) => Some(pass_in_any_case),
        (Mistake::CompletionRoutineForLowerDevice, _) => Some(pass_for_lower_device),
        (Mistake::ReferenceNameFreedBeforeDetach, _) => Some(look_at_name),
        (Mistake::DeviceTimerInitializedTwice, IRP_MJ_QUERY_INFORMATION) => Some(initialize_timer),
        _ => None,
    }
}

/// IRP_MN_MOUNT_VOLUME, as if there were nothing more to do than to agree.
#[inline(never)]
pub unsafe fn claim_mount(irp: PIRP) -> NTSTATUS {
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_SUCCESS;
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: mounted-nothing
    // Behind the call, or the routine that has called this one is the one that completes.
    core::hint::black_box(STATUS_SUCCESS)
}

/// IRP_MN_MOUNT_VOLUME, by the VPB that came with it, in the place of which a volume may have got back its own.
pub unsafe fn mount_by_kept_vpb(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let vpb = (*current_location(irp)).Parameters.MountVolume.Vpb;
    let status = pass_and_wait(device, irp);
    if status >= STATUS_SUCCESS {
        let storage = &raw const (*vpb).RealDevice;
        let storage = storage.read_volatile(); // MISTAKE: mount-vpb-kept
        attach_to_mounted_on(storage);
    }
    complete_as_is(irp);
    status
}

unsafe extern "C" fn pass_with_stay(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, completed_and_stays, null_mut());
    leave();
    status
}

/// [`completed`], which one thread does not leave once the driver waits to be unloaded: what a thread
/// does that is suspended between its last instructions.
unsafe extern "C" fn completed_and_stays(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    context: *mut c_void,
) -> NTSTATUS {
    static STAYS: AtomicBool = AtomicBool::new(false);
    let status = completed(device, irp, context);
    if is_unloading() && !STAYS.swap(true, Ordering::AcqRel) {
        loop {
            core::hint::spin_loop();
        }
    }
    status
}

unsafe extern "C" fn pass_unchecked(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    enter();
    copy_location_to_next(irp);
    let _ = ntddk::IoSetCompletionRoutineEx(device, irp, Some(completed), null_mut(), 1, 1, 1);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: completion-routine-unchecked
    leave();
    status
}

unsafe extern "C" fn pass_in_any_case(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    copy_location_to_next(irp);
    let set = ntddk::IoSetCompletionRoutineEx(device, irp, Some(completed), null_mut(), 1, 1, 1);
    if set == STATUS_SUCCESS {
        enter();
    } else {
        skip_location(irp);
    }
    let below = lower(device);
    let status = ntddk::IofCallDriver(below, irp); // MISTAKE: completion-routine-refused
    leave();
    status
}

unsafe extern "C" fn pass_for_lower_device(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    enter();
    copy_location_to_next(irp);
    let below = lower(device);
    let routine = Some(completed as filter::CompletionRoutine);
    let _ = ntddk::IoSetCompletionRoutineEx(below, irp, routine, null_mut(), 1, 1, 1); // MISTAKE: completion-routine-for-lower-device
    let status = ntddk::IofCallDriver(below, irp);
    leave();
    status
}

/// One timer of the device for each request.
unsafe extern "C" fn initialize_timer(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let _ = ntddk::IoInitializeTimer(device, Some(each_second), null_mut()); // MISTAKE: device-timer-initialized-twice
    filter::dispatch(device, irp)
}

/// IO_TIMER_ROUTINE.
unsafe extern "C" fn each_second(_device: PDEVICE_OBJECT, _context: PVOID) {}

unsafe extern "C" fn look_at_name(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    (*extension(device)).name.read_volatile(); // MISTAKE: reference-name-freed-before-detach
    enter();
    let status = pass_with(device, irp, completed, null_mut());
    leave();
    status
}

/// After IoCreateDevice: false if the device is given up, and then it is left.
pub unsafe fn after_create(device: PDEVICE_OBJECT) -> bool {
    if !is(Mistake::ReferenceDeviceLeaked) {
        return true;
    }
    // The context of the mount: without it the attach is given up, and the device forgotten.
    let context = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, TOO_MUCH, TAG);
    (*device).Flags &= !DO_DEVICE_INITIALIZING;
    !context.is_null()
}

/// A name for the device, for the mistake that reads it.
pub unsafe fn make_name() -> *mut u8 {
    if !is(Mistake::ReferenceNameFreedBeforeDetach) {
        return null_mut();
    }
    ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, NAME, TAG).cast()
}

/// Before IoDetachDevice: the name goes, and a request comes.
pub unsafe fn name_is_freed(device: PDEVICE_OBJECT) {
    let name = (*extension(device)).name;
    if name.is_null() {
        return;
    }
    ntddk::ExFreePoolWithTag(name.cast(), TAG);
    // Stands for the request of another thread, which may come until the device is detached.
    let mut event = KEVENT::default();
    ntddk::KeInitializeEvent(&raw mut event, _EVENT_TYPE::NotificationEvent, 0);
    let mut status = IO_STATUS_BLOCK::default();
    let irp = ntddk::IoBuildSynchronousFsdRequest(
        IRP_MJ_FLUSH_BUFFERS,
        device,
        null_mut(),
        0,
        null_mut(),
        &raw mut event,
        &raw mut status,
    );
    if !irp.is_null() {
        let _ = ntddk::IofCallDriver(device, irp);
    }
}

/// After IoDetachDevice.
pub unsafe fn on_detach(below: PDEVICE_OBJECT) {
    if is(Mistake::DetachedTwice) {
        ntddk::IoDetachDevice(below); // MISTAKE: detached-twice
    }
}

/// Before IoDeleteDevice: the device is kept for the second one.
pub unsafe fn before_delete(device: PDEVICE_OBJECT) {
    if is(Mistake::DeletedTwice) {
        ntddk::ObfReferenceObject(device.cast());
    }
}

/// After IoDeleteDevice.
pub unsafe fn on_delete(device: PDEVICE_OBJECT) {
    if is(Mistake::DeletedTwice) {
        ntddk::IoDeleteDevice(device); // MISTAKE: deleted-twice
        ntddk::ObfDereferenceObject(device.cast());
    }
}

/// KDEFERRED_ROUTINE.
unsafe extern "C" fn tick(_dpc: PKDPC, _context: PVOID, _first: PVOID, _second: PVOID) {}

/// At the end of DriverUnload.
pub unsafe fn at_unload() {
    if is(Mistake::UnloadReturnsInGuardedRegion) {
        ntddk::KeEnterGuardedRegion();
    }
    if is(Mistake::TimerLeftAtUnload) {
        ntddk::KeInitializeDpc(&raw mut DPC, Some(tick), null_mut());
        ntddk::KeInitializeTimer(&raw mut TIMER);
        let _: BOOLEAN = ntddk::KeSetTimer(&raw mut TIMER, milliseconds(3_600_000), &raw mut DPC);
    }
    if is(Mistake::ReferenceLookasideDeletedTwice) {
        let list = &raw mut LOOKASIDE;
        ntddk::ExInitializeNPagedLookasideList(list, None, None, 0, NAME, TAG, 0);
        ntddk::ExDeleteNPagedLookasideList(list);
        ntddk::ExDeleteNPagedLookasideList(list); // MISTAKE: reference-lookaside-deleted-twice
    }
}
