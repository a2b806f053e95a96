//! Mounting and dismounting: the I/O manager's part, and the file system's.

use crate::devices::{DISKS, Disk, Extension, FILE_SYSTEM, create_device, volume_name};
use crate::exports::devices::{attached_reference, vpb_lock};
use crate::kernel::{current_location, initialize_event, sleep, wait_for};
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::{
    DO_BUFFERED_IO, FILE_DEVICE_DISK_FILE_SYSTEM, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_MOUNT_VOLUME,
    KEVENT, NTSTATUS, PDEVICE_OBJECT, PIRP, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR,
    SL_INVOKE_ON_SUCCESS, STATUS_DEVICE_BUSY, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER, STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
    VPB_MOUNTED, ntddk,
};

/// What is under way: one of [`NOTHING`], [`MOUNT`] and [`REGISTRATION`].
static UNDER_WAY: AtomicU32 = AtomicU32::new(NOTHING);

const NOTHING: u32 = 0;
/// A volume is being mounted.
const MOUNT: u32 = 1;
/// Mounts are kept out.
const REGISTRATION: u32 = 2;

/// Threads in [`keep_out`] that have not got past a mount.
static WAITING: AtomicU32 = AtomicU32::new(0);

/// How many drivers that register wait for a mount to end.
pub fn waiting() -> u32 {
    WAITING.load(Ordering::Acquire)
}

fn begins(what: u32) -> Result<u32, u32> {
    UNDER_WAY.compare_exchange(NOTHING, what, Ordering::AcqRel, Ordering::Acquire)
}

fn ends() {
    UNDER_WAY.store(NOTHING, Ordering::Release);
}

/// Calls `body` when the mount that is under way has ended, and lets none begin meanwhile.
pub unsafe fn keep_out<R>(body: impl FnOnce() -> R) -> R {
    WAITING.fetch_add(1, Ordering::AcqRel);
    while begins(REGISTRATION).is_err() {
        sleep();
    }
    WAITING.fetch_sub(1, Ordering::AcqRel);
    let result = body();
    ends();
    result
}

/// Mounts a volume, as the I/O manager does at the first open: one at a time, and none while
/// mounts are kept out. A program that mounts two at once is told so, because Wine calls this
/// driver for all programs from one thread, which may be needed to end the first.
pub unsafe fn mount(number: usize) -> NTSTATUS {
    loop {
        match begins(MOUNT) {
            Ok(_) => break,
            Err(MOUNT) => return STATUS_DEVICE_BUSY,
            Err(_) => sleep(),
        }
    }
    let status = send(number);
    ends();
    status
}

/// Has another thread mount the volume. It may be held longer than the thread that all requests
/// of programs come from can wait.
pub unsafe fn begin(number: usize) -> NTSTATUS {
    let mut thread = core::ptr::null_mut();
    let status = ntddk::PsCreateSystemThread(
        &raw mut thread,
        0,
        core::ptr::null_mut(),
        core::ptr::null_mut(),
        core::ptr::null_mut(),
        Some(mount_in_thread),
        core::ptr::without_provenance_mut(number),
    );
    if status == STATUS_SUCCESS {
        let _ = ntddk::ZwClose(thread);
    }
    status
}

/// KSTART_ROUTINE.
unsafe extern "C" fn mount_in_thread(number: *mut c_void) {
    let _seen_in_the_report = mount(number.addr());
}

/// Sends the mount request of a volume to the top of the file system's stack and waits for it.
unsafe fn send(number: usize) -> NTSTATUS {
    let Some(disk) = DISKS.get(number) else {
        return STATUS_INVALID_PARAMETER;
    };
    if !disk.volume.load(Ordering::Acquire).is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    let top = attached_reference(FILE_SYSTEM.load(Ordering::Acquire));
    let irp = ntddk::IoAllocateIrp((*top).StackSize, 0);
    if irp.is_null() {
        ntddk::ObfDereferenceObject(top.cast());
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let mut event = KEVENT::default();
    initialize_event(&raw mut event);
    let location = current_location(irp).sub(1);
    (*location).MajorFunction = IRP_MJ_FILE_SYSTEM_CONTROL as u8;
    (*location).MinorFunction = IRP_MN_MOUNT_VOLUME as u8;
    (*location).Parameters.MountVolume.Vpb = disk.vpb();
    (*location).Parameters.MountVolume.DeviceObject = disk.storage.load(Ordering::Acquire);
    (*location).CompletionRoutine = Some(signal);
    (*location).Context = (&raw mut event).cast();
    (*location).Control = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;
    let _ = ntddk::IofCallDriver(top, irp);
    wait_for(&raw mut event);
    let status = (*irp).IoStatus.__bindgen_anon_1.Status;
    ntddk::IoFreeIrp(irp);
    ntddk::ObfDereferenceObject(top.cast());
    status
}

unsafe extern "C" fn signal(_: PDEVICE_OBJECT, _: PIRP, event: *mut c_void) -> NTSTATUS {
    ntddk::KeSetEvent(event.cast(), 0, 0);
    STATUS_MORE_PROCESSING_REQUIRED
}

/// The file system's part: makes the volume device and puts it into the VPB.
pub unsafe fn carry_out(irp: PIRP) -> NTSTATUS {
    let storage = (*current_location(irp)).Parameters.MountVolume.DeviceObject;
    let of_storage = |disk: &&Disk| disk.storage.load(Ordering::Acquire) == storage;
    let Some(disk) = DISKS.iter().find(of_storage) else {
        return STATUS_INVALID_PARAMETER;
    };
    let number = (&raw const *disk).offset_from(DISKS.as_ptr()) as usize;
    let volume = create_device(
        (*storage).DriverObject,
        size_of::<Extension>(),
        &volume_name(number),
        FILE_DEVICE_DISK_FILE_SYSTEM,
    );
    let volume = match volume {
        Ok(volume) => volume,
        Err(status) => return status,
    };
    (*volume).Flags |= DO_BUFFERED_IO;
    disk.volume.store(volume, Ordering::Release);
    vpb_lock().with(|()| {
        let vpb = disk.vpb();
        (*vpb).DeviceObject = volume;
        (*vpb).Flags |= VPB_MOUNTED as u16;
    });
    STATUS_SUCCESS
}

/// Deletes a volume's device, as IoDeleteDevice does it on Windows: the drivers above are told by
/// their FastIoDetachDevice first.
pub unsafe fn dismount(number: usize) -> NTSTATUS {
    let Some(disk) = DISKS.get(number) else {
        return STATUS_INVALID_PARAMETER;
    };
    let volume = disk.volume.load(Ordering::Acquire);
    if volume.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    vpb_lock().with(|()| {
        let vpb = disk.vpb();
        (*vpb).DeviceObject = core::ptr::null_mut();
        (*vpb).Flags &= !(VPB_MOUNTED as u16);
    });
    let above = (*volume).AttachedDevice;
    if !above.is_null() {
        let table = (*(*above).DriverObject).FastIoDispatch;
        let Some(detach) = table.as_ref().and_then(|table| table.FastIoDetachDevice) else {
            return STATUS_UNSUCCESSFUL;
        };
        detach(above, volume);
        if !(*volume).AttachedDevice.is_null() {
            return STATUS_UNSUCCESSFUL;
        }
    }
    disk.volume.store(core::ptr::null_mut(), Ordering::Release);
    ntddk::IoDeleteDevice(volume);
    STATUS_SUCCESS
}
