//! Volumes: volume parameter blocks, mounting on the first open, dismount.
//!
//! A storage device has a VPB from its creation. The first open offers the
//! volume to every registered file system of the fitting type, newest first,
//! by IRP_MN_MOUNT_VOLUME to the top of its control device's stack (so that
//! filters see it), RAW as the last. The file system that takes it puts its
//! volume device into the VPB. A recognizer answers STATUS_FS_DRIVER_REQUIRED:
//! it is sent IRP_MN_LOAD_FILE_SYSTEM, and the offers start over.
//!
//! A dismounted volume's VPB leaves the storage device at once and lives with
//! the volume device until the last file on it is closed; then the volume
//! device is deleted, which detaches every filter above it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "VPBs are shared with file systems and filters by pointer"
)]

use super::identity::{self, Identity};
use super::vpb::{
    delete_volume, is_remove_pending, new_vpb, reference_if_mounted, set_remove_pending, vpbs,
};
use super::{call, counters, device, irp, media, mount_gate, registration, request};
use crate::nt::stack_location::MountVolume;
use crate::nt::{
    DEVICE_OBJECT, IO_STATUS_BLOCK, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_LOAD_FILE_SYSTEM,
    IRP_MN_MOUNT_VOLUME, IRP_MN_VERIFY_VOLUME, IRP_MOUNT_COMPLETION, IRP_SYNCHRONOUS_PAGING_IO,
    IrpExt, KEVENT, NTSTATUS, SL_ALLOW_RAW_MOUNT, STATUS_DEVICE_DOES_NOT_EXIST,
    STATUS_DEVICE_NOT_READY, STATUS_FS_DRIVER_REQUIRED, STATUS_INVALID_PARAMETER,
    STATUS_IO_TIMEOUT, STATUS_MEDIA_WRITE_PROTECTED, STATUS_NO_MEDIA_IN_DEVICE, STATUS_PENDING,
    STATUS_SUCCESS, STATUS_UNRECOGNIZED_MEDIA, STATUS_UNRECOGNIZED_VOLUME, STATUS_VERIFY_REQUIRED,
    STATUS_VOLUME_DISMOUNTED, STATUS_WRONG_VOLUME, Status, VPB, VPB_MOUNTED, VPB_REMOVE_PENDING,
};
use crate::pool;
use crate::processor::lifetime;
use crate::processor::{dispatcher, thread};
use std::sync::atomic::{AtomicU64, Ordering};

pub use super::vpb::{
    acquire_vpb_spin_lock, close_last, dereference_vpb, is_mounted, reference_vpb,
    release_vpb_spin_lock,
};

static MOUNTS: AtomicU64 = AtomicU64::new(0);

/// Volumes mounted since the start.
pub fn mounts() -> u64 {
    MOUNTS.load(Ordering::Relaxed)
}

/// The volume device on `storage` (not the top of its stack), mounted if it was
/// not. A device without a VPB is its own.
///
/// # Errors
/// `STATUS_UNRECOGNIZED_VOLUME` if no file system takes it, or the file system's error.
///
/// # Safety
/// `storage` is alive. PASSIVE_LEVEL.
pub unsafe fn volume_device(storage: *mut DEVICE_OBJECT) -> Result<*mut DEVICE_OBJECT, NTSTATUS> {
    // SAFETY: contract; the reference that `open_volume` took is given back.
    unsafe {
        let vpb = open_volume(storage, false)?;
        if vpb.is_null() {
            return Ok(storage);
        }
        let volume = (*vpb).DeviceObject;
        dereference_vpb(vpb);
        Ok(volume)
    }
}

/// The VPB of the volume on `storage`, mounted if it was not, counted for an
/// open file; null for a device without a VPB. `allow_raw` lets RAW take a
/// volume that no file system knows: for opens of the volume itself.
///
/// # Errors
/// As [`volume_device`]; `STATUS_DEVICE_DOES_NOT_EXIST` while the device is being removed, or gone.
///
/// # Safety
/// As [`volume_device`].
pub unsafe fn open_volume(
    storage: *mut DEVICE_OBJECT,
    allow_raw: bool,
) -> Result<*mut VPB, NTSTATUS> {
    // SAFETY: contract; the device's lock is an event that `device::create` made.
    unsafe {
        if (*storage).Vpb.is_null() {
            return Ok(std::ptr::null_mut());
        }
        loop {
            if let Some(vpb) = reference_if_mounted(storage) {
                return Ok(vpb);
            }
            lock_device(storage);
            let mounted = if is_mounted(storage) {
                Ok(())
            } else if is_remove_pending(storage) {
                Err(STATUS_DEVICE_DOES_NOT_EXIST)
            } else {
                mount(storage, allow_raw)
            };
            unlock_device(storage);
            mounted?;
        }
    }
}

/// Nothing is mounted on `storage` from now on; a mount that has begun is waited for.
///
/// # Safety
/// `storage` is alive, and has a VPB. PASSIVE_LEVEL.
pub(super) unsafe fn keep_off(storage: *mut DEVICE_OBJECT) {
    // SAFETY: contract.
    unsafe { lock_device(storage) };
    // SAFETY: contract.
    unsafe { set_remove_pending(storage, true) };
    // SAFETY: contract.
    unsafe { unlock_device(storage) };
}

/// Exchanges the medium in `storage` by `exchange`, while nothing is mounted or verified on it; the volume that is mounted
/// is to be verified then.
///
/// # Safety
/// As [`keep_off`].
pub(super) unsafe fn without_mounts(storage: *mut DEVICE_OBJECT, exchange: impl FnOnce()) {
    // SAFETY: contract.
    unsafe { lock_device(storage) };
    exchange();
    // SAFETY: contract.
    if unsafe { is_mounted(storage) } {
        // SAFETY: contract.
        unsafe { media::mark(storage, true) };
    }
    // SAFETY: contract.
    unsafe { unlock_device(storage) };
}

unsafe fn lock_device(storage: *mut DEVICE_OBJECT) {
    // SAFETY: contract of the callers: a live storage device.
    unsafe {
        dispatcher::wait(
            &[(&raw mut (*storage).DeviceLock).cast()],
            false,
            None,
            false,
        )
    };
}

unsafe fn unlock_device(storage: *mut DEVICE_OBJECT) {
    // SAFETY: contract of the callers: a live storage device.
    unsafe { dispatcher::set_event(&raw mut (*storage).DeviceLock) };
}

/// Statuses after which the offers stop: the user has to do something first.
fn is_user_induced(status: NTSTATUS) -> bool {
    matches!(
        status,
        STATUS_DEVICE_NOT_READY
            | STATUS_IO_TIMEOUT
            | STATUS_MEDIA_WRITE_PROTECTED
            | STATUS_NO_MEDIA_IN_DEVICE
            | STATUS_VERIFY_REQUIRED
            | STATUS_UNRECOGNIZED_MEDIA
            | STATUS_WRONG_VOLUME
    )
}

/// `IopMountVolume`: offers the volume to the registered file systems.
unsafe fn mount(storage: *mut DEVICE_OBJECT, allow_raw: bool) -> Result<(), NTSTATUS> {
    let _mounting = mount_gate::enter_mount();
    // SAFETY: contract of the caller: the storage device is alive and locked.
    unsafe {
        let mut failure = STATUS_UNRECOGNIZED_VOLUME;
        'offers: loop {
            let candidates = registration::candidates((*storage).DeviceType);
            let mut outcome = None;
            for control in &candidates {
                if registration::is_raw(*control) && !allow_raw {
                    continue;
                }
                let status = offer(storage, *control, allow_raw);
                if Status(status).is_success() {
                    outcome = Some(Ok(()));
                    break;
                }
                if status == STATUS_FS_DRIVER_REQUIRED {
                    load_file_system(*control);
                    outcome = Some(Err(STATUS_FS_DRIVER_REQUIRED));
                    break;
                }
                if status != STATUS_UNRECOGNIZED_VOLUME {
                    failure = status;
                }
                if is_user_induced(status) {
                    outcome = Some(Err(status));
                    break;
                }
            }
            for control in candidates {
                lifetime::dereference(control.cast());
            }
            match outcome {
                Some(Err(STATUS_FS_DRIVER_REQUIRED)) => continue 'offers,
                Some(result) => return result,
                None => return Err(failure),
            }
        }
    }
}

/// Sends IRP_MN_MOUNT_VOLUME to the stack of one control device.
unsafe fn offer(
    storage: *mut DEVICE_OBJECT,
    control: *mut DEVICE_OBJECT,
    allow_raw: bool,
) -> NTSTATUS {
    // SAFETY: contract of the caller: both devices are referenced.
    unsafe {
        let below = device::reference_top_of_stack(storage);
        let vpb = (*storage).Vpb;
        let parameters = MountVolume {
            Vpb: vpb,
            DeviceObject: below,
        };
        let mut status = ask(control, below, IRP_MN_MOUNT_VOLUME, parameters, allow_raw);
        if Status(status).is_success() {
            let _vpbs = vpbs();
            // The file system may have exchanged it.
            let vpb = (*storage).Vpb;
            if (*vpb).DeviceObject.is_null() {
                // Whoever has said so is reported where the request came back from it.
                status = STATUS_UNRECOGNIZED_VOLUME;
            } else {
                (*vpb).Flags |= VPB_MOUNTED as u16;
                (*(*(*vpb).DeviceObject).DeviceObjectExtension).Vpb = vpb;
                MOUNTS.fetch_add(1, Ordering::Relaxed);
            }
        }
        lifetime::dereference(below.cast());
        status
    }
}

/// Sends a request about a volume to the stack of a device of its file system, and waits for it. The file system
/// sends requests on to the storage stack, of which `below` is the top, in the same IRP.
unsafe fn ask(
    device: *mut DEVICE_OBJECT,
    below: *mut DEVICE_OBJECT,
    minor: u32,
    parameters: MountVolume,
    allow_raw: bool,
) -> NTSTATUS {
    // SAFETY: contract of the caller: both devices are referenced; event and status block
    // outlive the request, which is waited for.
    unsafe {
        let top = device::reference_top_of_stack(device);
        let mut event: KEVENT = std::mem::zeroed();
        let mut iosb: IO_STATUS_BLOCK = std::mem::zeroed();
        dispatcher::initialize_event(&raw mut event, false, false);
        let request = irp::allocate((*below).StackSize + (*top).StackSize);
        let of_call = Identity {
            value: identity::current().value,
            // Nobody fails it, cancels it or holds it.
            ..Identity::default()
        };
        irp::set_identity(request, of_call);
        request.set_thread(thread::current().object());
        (*request).UserEvent = &raw mut event;
        (*request).Anonymous.UserIosb = &raw mut iosb;
        (*request).Flags = IRP_MOUNT_COMPLETION | IRP_SYNCHRONOUS_PAGING_IO;
        let location = request.next_location();
        (*location).MajorFunction = IRP_MJ_FILE_SYSTEM_CONTROL as u8;
        (*location).MinorFunction = minor as u8;
        (*location).Flags = if allow_raw {
            SL_ALLOW_RAW_MOUNT as u8
        } else {
            0
        };
        (*location).Parameters.MountVolume = parameters;
        let mut status = call::call_driver(top, request, 0);
        counters::irp(IRP_MJ_FILE_SYSTEM_CONTROL as u8, status);
        if status == STATUS_PENDING {
            dispatcher::wait(&[(&raw mut event).cast()], false, None, false);
            status = iosb.Anonymous.Status;
        }
        lifetime::dereference(top.cast());
        status
    }
}

/// `IoVerifyVolume`: asks the file system whether its volume is still the one in the drive, and mounts what is there
/// if it is not, or if none was mounted. One thread at a time does so, and none mounts meanwhile.
///
/// # Errors (as NTSTATUS)
/// `STATUS_WRONG_VOLUME` if it is another one; else those of the file system, or of the mount;
/// `STATUS_DEVICE_DOES_NOT_EXIST` as for [`open_volume`].
///
/// # Safety
/// As [`volume_device`]; up to APC_LEVEL.
pub unsafe fn verify(storage: *mut DEVICE_OBJECT, allow_raw: bool) -> NTSTATUS {
    // SAFETY: contract.
    if unsafe { (*storage).Vpb }.is_null() {
        return STATUS_SUCCESS;
    }
    // SAFETY: contract.
    unsafe { lock_device(storage) };
    // SAFETY: contract.
    let status = unsafe { verify_locked(storage, allow_raw) };
    // SAFETY: contract.
    unsafe { unlock_device(storage) };
    status
}

/// # Safety
/// As [`verify`]; the device is locked, and has a VPB.
unsafe fn verify_locked(storage: *mut DEVICE_OBJECT, allow_raw: bool) -> NTSTATUS {
    let mount = || {
        // SAFETY: contract.
        if unsafe { is_remove_pending(storage) } {
            return STATUS_DEVICE_DOES_NOT_EXIST;
        }
        // SAFETY: contract.
        unsafe { mount(storage, allow_raw) }
            .err()
            .unwrap_or(STATUS_SUCCESS)
    };
    // SAFETY: contract.
    let Some(vpb) = (unsafe { reference_if_mounted(storage) }) else {
        return mount();
    };
    // SAFETY: counted: a VPB that is mounted has its volume device.
    let volume = unsafe { (*vpb).DeviceObject };
    let parameters = MountVolume {
        Vpb: vpb,
        DeviceObject: volume,
    };
    // SAFETY: the VPB that is counted keeps the volume's device.
    let status = unsafe { ask(volume, storage, IRP_MN_VERIFY_VOLUME, parameters, allow_raw) };
    // SAFETY: the count is this function's.
    unsafe { dereference_vpb(vpb) };
    // SAFETY: contract.
    if status == STATUS_WRONG_VOLUME && !unsafe { is_mounted(storage) } && mount() != STATUS_SUCCESS
    {
        // Nobody is left whom it would tell anything.
        // SAFETY: contract.
        unsafe { media::mark(storage, false) };
    }
    status
}

/// `IopLoadFileSystemDriver`: tells the recognizer to load the file system it stands for.
unsafe fn load_file_system(control: *mut DEVICE_OBJECT) {
    // SAFETY: as in `offer`.
    unsafe {
        let top = device::reference_top_of_stack(control);
        let mut event: KEVENT = std::mem::zeroed();
        let mut iosb: IO_STATUS_BLOCK = std::mem::zeroed();
        dispatcher::initialize_event(&raw mut event, true, false);
        let null = std::ptr::null_mut();
        let request = request::build_device_control(
            0,
            top,
            null,
            0,
            null,
            0,
            false,
            &raw mut event,
            &raw mut iosb,
        );
        let location = request.next_location();
        (*location).MajorFunction = IRP_MJ_FILE_SYSTEM_CONTROL as u8;
        (*location).MinorFunction = IRP_MN_LOAD_FILE_SYSTEM as u8;
        if call::call_driver(top, request, 0) == STATUS_PENDING {
            dispatcher::wait(&[(&raw mut event).cast()], false, None, false);
        }
        lifetime::dereference(top.cast());
    }
}

/// Dismounts the volume on `storage`, as a file system does for
/// FSCTL_DISMOUNT_VOLUME: new opens mount it again with a new VPB, files that
/// are open stay on the old one, and its volume device is deleted (and every
/// filter above it told to detach) when the last of them is closed.
///
/// # Errors (as NTSTATUS)
/// `STATUS_INVALID_PARAMETER` for a device without a VPB, `STATUS_VOLUME_DISMOUNTED` if not mounted.
///
/// # Safety
/// `storage` is alive. PASSIVE_LEVEL.
pub unsafe fn dismount(storage: *mut DEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: contract.
    if unsafe { (*storage).Vpb }.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: contract.
    unsafe { lock_device(storage) };
    // SAFETY: contract.
    let left = unsafe { leave(storage) };
    // SAFETY: contract.
    unsafe { unlock_device(storage) };
    // SAFETY: it has left.
    unsafe { end(left) }
}

/// As [`dismount`], for the file system that finds another volume in the drive than its own when it is asked to verify
/// that: who asks keeps others from mounting.
///
/// # Errors (as NTSTATUS)
/// As [`dismount`].
///
/// # Safety
/// As [`dismount`], while IRP_MN_VERIFY_VOLUME is worked on.
pub unsafe fn dismount_wrong_volume(storage: *mut DEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: contract.
    let left = unsafe { leave(storage) };
    // SAFETY: it has left.
    unsafe { end(left) }
}

/// A volume that has left its storage device: its VPB, its device, and whether nothing counts on the VPB.
type Left = (*mut VPB, *mut DEVICE_OBJECT, bool);

/// # Safety
/// `storage` is alive, has a VPB, and nothing is mounted on it meanwhile.
unsafe fn leave(storage: *mut DEVICE_OBJECT) -> Option<Left> {
    let mut vpbs = vpbs();
    // SAFETY: contract; VPBs change under the lock.
    let old = unsafe { (*storage).Vpb };
    // SAFETY: as above.
    let flags = unsafe { (*old).Flags };
    if u32::from(flags) & VPB_MOUNTED == 0 {
        return None;
    }
    // SAFETY: as above.
    let (volume, unused) = unsafe { ((*old).DeviceObject, (*old).ReferenceCount == 0) };
    let new = new_vpb(storage);
    // SAFETY: as above.
    unsafe { (*old).Flags &= !(VPB_MOUNTED as u16) };
    // A device that is being removed is not mounted again.
    // SAFETY: a new VPB.
    unsafe { (*new).Flags |= flags & VPB_REMOVE_PENDING as u16 };
    // SAFETY: contract.
    unsafe { (*storage).Vpb = new };
    if !unused {
        vpbs.insert(old as usize, volume as usize);
    }
    Some((old, volume, unused))
}

/// # Safety
/// `left` has just left its storage device.
unsafe fn end(left: Option<Left>) -> NTSTATUS {
    let Some((old, volume, unused)) = left else {
        return STATUS_VOLUME_DISMOUNTED;
    };
    if unused {
        // SAFETY: contract.
        unsafe { delete_volume(old, volume) };
    }
    STATUS_SUCCESS
}

/// Mounts a volume again that has left `storage` with [`dismount_wrong_volume`] and has still files open: it gets back its
/// VPB, and with it its device and what is attached to that, in the place of the one that was offered, which is freed. False if
/// the last of the files is closed.
///
/// # Safety
/// `storage` is alive, and is being mounted by the caller's IRP_MN_MOUNT_VOLUME; `vpb` is that of `volume`, which a file keeps.
pub unsafe fn bring_back(
    storage: *mut DEVICE_OBJECT,
    vpb: *mut VPB,
    volume: *mut DEVICE_OBJECT,
) -> bool {
    let mut vpbs = vpbs();
    if vpbs.remove(vpb as usize) != Some(volume as usize) {
        return false;
    }
    // SAFETY: contract; VPBs change under the lock.
    let offered = unsafe { (*storage).Vpb };
    // SAFETY: as above.
    unsafe { (*storage).Vpb = vpb };
    // SAFETY: nothing is mounted with it, so that nothing counts on it.
    unsafe { pool::free_for_box(offered.cast()) };
    true
}
