//! Attaching to file systems and volumes, and everything backwards at unload.

use crate::kernel::{unicode_literal, wait_for};
use crate::mistakes::{self, Mistake};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use wdk_sys::{
    _EVENT_TYPE, BOOLEAN, DEVICE_OBJECT, DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO,
    DO_SUPPORTS_TRANSACTIONS, DRIVER_OBJECT, FILE_DEVICE_CD_ROM_FILE_SYSTEM,
    FILE_DEVICE_DISK_FILE_SYSTEM, FILE_DEVICE_NETWORK_FILE_SYSTEM, FILE_DEVICE_SECURE_OPEN,
    FILE_DEVICE_UNKNOWN, IO_REMOVE_LOCK, KEVENT, NTSTATUS, PDEVICE_OBJECT, POOL_FLAG_NON_PAGED,
    PVOID, STATUS_BUFFER_TOO_SMALL, STATUS_SUCCESS, ntddk,
};

/// What a filter device carries.
#[repr(C)]
pub struct Extension {
    /// The device below; written by the attach itself, before a request can arrive (A3).
    pub lower: PDEVICE_OBJECT,
    /// False once it was taken out of the stack. Under the lock.
    attached: bool,
    /// Null but for one mistake.
    pub name: *mut u8,
    /// Held by requests, where it is.
    pub remove_lock: IO_REMOVE_LOCK,
}

/// The driver's own object.
pub static DRIVER: AtomicPtr<DRIVER_OBJECT> = AtomicPtr::new(core::ptr::null_mut());

/// Nothing new is attached. Written under the lock.
static UNLOADING: AtomicBool = AtomicBool::new(false);

/// A synchronization event that stands for a mutex: attaching needs PASSIVE_LEVEL, where a fast
/// mutex would not leave its owner.
// SAFETY: a structure of integers and pointers, initialized before anyone uses it.
static mut LOCK: KEVENT = unsafe { core::mem::zeroed() };

const TAG: u32 = u32::from_le_bytes(*b"BadD");

/// Before anything else.
pub unsafe fn initialize() {
    ntddk::KeInitializeEvent(&raw mut LOCK, _EVENT_TYPE::SynchronizationEvent, 1);
}

unsafe fn lock() {
    ntddk::KeEnterCriticalRegion();
    wait_for(&raw mut LOCK);
}

unsafe fn unlock() {
    ntddk::KeSetEvent(&raw mut LOCK, 0, 0);
    ntddk::KeLeaveCriticalRegion();
}

pub unsafe fn extension(device: PDEVICE_OBJECT) -> *mut Extension {
    (*device).DeviceExtension.cast()
}

/// DRIVER_FS_NOTIFICATION: a file system has registered, or goes away (A4).
pub unsafe extern "C" fn file_system_changed(control_device: PDEVICE_OBJECT, active: BOOLEAN) {
    if active == 0 {
        lock();
        if let Some(ours) = ours_above(control_device) {
            detach(ours);
        }
        unlock();
        return;
    }
    let filtered = [
        FILE_DEVICE_DISK_FILE_SYSTEM,
        FILE_DEVICE_CD_ROM_FILE_SYSTEM,
        FILE_DEVICE_NETWORK_FILE_SYSTEM,
    ];
    if !filtered.contains(&(*control_device).DeviceType) {
        return;
    }
    // The recognizer goes away when the file system has been loaded.
    let recognizer = unicode_literal!("\\FileSystem\\Fs_Rec");
    if ntddk::RtlEqualUnicodeString(
        &raw const (*(*control_device).DriverObject).DriverName,
        &raw const recognizer,
        1,
    ) != 0
    {
        return;
    }
    attach(control_device);
    for_each_device((*control_device).DriverObject, |device| {
        // Only a volume has a storage device below (A5).
        let mut storage = core::ptr::null_mut();
        if device != control_device
            && (*device).DeviceType == (*control_device).DeviceType
            && ntddk::IoGetDiskDeviceObject(device, &raw mut storage) == STATUS_SUCCESS
        {
            ntddk::ObfDereferenceObject(storage.cast());
            attach(device);
        }
    });
}

/// Attaches to the volume that is mounted on `storage` now (A6).
pub unsafe fn attach_to_mounted_on(storage: PDEVICE_OBJECT) {
    let mut irql = 0;
    ntddk::IoAcquireVpbSpinLock(&raw mut irql);
    let vpb = (*storage).Vpb;
    let volume = if vpb.is_null() {
        core::ptr::null_mut()
    } else {
        (*vpb).DeviceObject
    };
    if !volume.is_null() {
        ntddk::ObfReferenceObject(volume.cast());
    }
    ntddk::IoReleaseVpbSpinLock(irql);
    if !volume.is_null() {
        attach(volume);
        ntddk::ObfDereferenceObject(volume.cast());
    }
}

/// Attaches to `target` unless it is filtered already; if that fails it stays unfiltered.
pub unsafe fn attach(target: PDEVICE_OBJECT) {
    lock();
    if !UNLOADING.load(Ordering::Relaxed) && ours_above(target).is_none() {
        create_and_attach(target);
    }
    unlock();
}

unsafe fn create_and_attach(target: PDEVICE_OBJECT) {
    let device = create(target);
    if !device.is_null() {
        put_on(device, target);
    }
}

/// A device as the one that it will be attached to, or null. Never inlined, so that a report names it.
#[inline(never)]
unsafe fn create(target: PDEVICE_OBJECT) -> PDEVICE_OBJECT {
    let mut device = core::ptr::null_mut();
    let device_type = if mistakes::is(Mistake::DeviceTypeNotCopied) {
        FILE_DEVICE_UNKNOWN
    } else {
        (*target).DeviceType
    };
    let status = ntddk::IoCreateDevice(
        DRIVER.load(Ordering::Relaxed),
        size_of::<Extension>() as u32,
        core::ptr::null_mut(),
        device_type,
        (*target).Characteristics & FILE_DEVICE_SECURE_OPEN,
        0,
        &raw mut device,
    );
    if status != STATUS_SUCCESS || !mistakes::after_create(device) {
        return core::ptr::null_mut();
    }
    mistakes::make_remove_lock(&raw mut (*extension(device)).remove_lock);
    device
}

/// Attaches the device, with what it has from the one below, or deletes it. As [`create`].
#[inline(never)]
unsafe fn put_on(device: PDEVICE_OBJECT, target: PDEVICE_OBJECT) {
    let copied = if mistakes::is(Mistake::FlagsNotCopied) {
        DO_SUPPORTS_TRANSACTIONS
    } else {
        DO_BUFFERED_IO | DO_DIRECT_IO | DO_SUPPORTS_TRANSACTIONS
    };
    let top = ntddk::IoGetAttachedDeviceReference(target); // MISTAKE: device-reference-left
    (*device).Flags |= (*top).Flags & copied;
    if mistakes::is(Mistake::BufferedAndDirect) {
        (*device).Flags |= DO_BUFFERED_IO | DO_DIRECT_IO;
    }
    if !mistakes::is(Mistake::DeviceReferenceLeft) {
        ntddk::ObfDereferenceObject(top.cast());
    }
    (*extension(device)).attached = true;
    (*extension(device)).name = mistakes::make_name();
    let status =
        ntddk::IoAttachDeviceToDeviceStackSafe(device, target, &raw mut (*extension(device)).lower);
    if status != STATUS_SUCCESS && !mistakes::is(Mistake::AttachFailureUnchecked) {
        ntddk::IoDeleteDevice(device);
        return;
    }
    if !mistakes::is(Mistake::InitializingFlagLeft) {
        (*device).Flags &= !DO_DEVICE_INITIALIZING;
    }
}

/// This driver's device in the stack of `device`, if there is one. Under the lock, so it stays.
unsafe fn ours_above(device: PDEVICE_OBJECT) -> Option<PDEVICE_OBJECT> {
    let mut current = ntddk::IoGetAttachedDeviceReference(device);
    while !current.is_null() {
        if (*current).DriverObject == DRIVER.load(Ordering::Relaxed) {
            ntddk::ObfDereferenceObject(current.cast());
            return Some(current);
        }
        let lower = ntddk::IoGetLowerDeviceObject(current);
        ntddk::ObfDereferenceObject(current.cast());
        current = lower;
    }
    None
}

/// Out of the stack; deleted at unload, because requests may still be inside. Under the lock.
unsafe fn detach(ours: PDEVICE_OBJECT) {
    if (*extension(ours)).attached {
        (*extension(ours)).attached = false;
        mistakes::name_is_freed(ours);
        let below = (*extension(ours)).lower;
        ntddk::IoDetachDevice(below); // MISTAKE: attach-failure-unchecked
        mistakes::on_detach(below);
    }
}

/// FastIoDetachDevice: the device below is being deleted and no request is inside (A9).
pub unsafe extern "C" fn fast_io_detach_device(source: PDEVICE_OBJECT, _target: PDEVICE_OBJECT) {
    lock();
    // Detached already: DriverUnload was first and deletes it.
    if (*extension(source)).attached {
        detach(source);
        ntddk::IoDeleteDevice(source);
    }
    unlock();
}

/// Out of every stack, and nothing new.
pub unsafe fn detach_all() {
    lock();
    UNLOADING.store(true, Ordering::Relaxed);
    if !mistakes::is(Mistake::DeletedWhileAttached) {
        for_each_own_device(|device| detach(device));
    }
    unlock();
}

/// Whether [`detach_all`] has begun.
pub fn is_unloading() -> bool {
    UNLOADING.load(Ordering::Relaxed)
}

/// Deletes what [`detach_all`] took out.
pub unsafe fn delete_all() {
    if mistakes::is(Mistake::DeviceLeftAtUnload) {
        return;
    }
    for_each_own_device(|device| delete(device));
}

/// Calls `visit` with each device of this driver, which may delete it. At unload nothing is added
/// any more, and no memory is needed, which there may not be.
unsafe fn for_each_own_device(visit: impl Fn(PDEVICE_OBJECT)) {
    let mut device = (*DRIVER.load(Ordering::Relaxed)).DeviceObject;
    while !device.is_null() {
        let next = (*device).NextDevice;
        visit(device);
        device = next;
    }
}

/// Never inlined, so that a report names it.
#[inline(never)]
unsafe fn delete(device: PDEVICE_OBJECT) {
    // Never attached: the driver knows of no such device.
    if mistakes::is(Mistake::ReferenceDeviceLeaked) && (*extension(device)).lower.is_null() {
        return;
    }
    mistakes::before_delete(device);
    ntddk::IoDeleteDevice(device);
    mistakes::on_delete(device);
}

/// Calls `visit` with each device of `driver`, referenced. The count may grow between asking and
/// reading (A5).
unsafe fn for_each_device(driver: *mut DRIVER_OBJECT, visit: impl Fn(PDEVICE_OBJECT)) {
    let mut count = 0;
    let _ = ntddk::IoEnumerateDeviceObjectList(driver, core::ptr::null_mut(), 0, &raw mut count);
    let list: *mut *mut DEVICE_OBJECT = loop {
        let bytes = (count + 8) * 8;
        let list: PVOID = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, u64::from(bytes), TAG);
        if list.is_null() {
            return;
        }
        let status: NTSTATUS =
            ntddk::IoEnumerateDeviceObjectList(driver, list.cast(), bytes, &raw mut count);
        if status != STATUS_BUFFER_TOO_SMALL {
            break list.cast();
        }
        for index in 0..bytes as usize / 8 {
            ntddk::ObfDereferenceObject((*list.cast::<PDEVICE_OBJECT>().add(index)).cast());
        }
        ntddk::ExFreePoolWithTag(list, TAG);
    };
    for index in 0..count as usize {
        let device = *list.add(index);
        visit(device);
        ntddk::ObfDereferenceObject(device.cast());
    }
    if mistakes::is(Mistake::ReferenceListFreedTwice) {
        // The later allocation fails, and its clean-up forgets that there is one at the end.
        let names = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, 1 << 50, TAG);
        if names.is_null() {
            ntddk::ExFreePoolWithTag(list.cast(), TAG);
        }
    }
    ntddk::ExFreePoolWithTag(list.cast(), TAG); // MISTAKE: reference-list-freed-twice
}
