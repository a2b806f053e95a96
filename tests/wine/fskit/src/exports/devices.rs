//! Device stacks and volume parameter blocks.
//!
//! A device object of Wine knows the device above and not the one below. This driver's own
//! devices are the bottoms of all stacks that there are, so every stack is walked from there.

use crate::devices::{DISKS, FILE_SYSTEM, disk_of_volume};
use crate::spin::Spin;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::{
    DRIVER_OBJECT, KIRQL, NTSTATUS, PDEVICE_OBJECT, STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_PARAMETER, STATUS_SUCCESS, ntddk,
};

static STACKS: Spin<()> = Spin::new(());
static VPBS: Spin<()> = Spin::new(());

/// See [`further`].
static FURTHER: AtomicU32 = AtomicU32::new(0);

/// Held while stacks change, except by IoDetachDevice, which is Wine's.
pub fn stack_lock() -> &'static Spin<()> {
    &STACKS
}

/// How many devices were attached above one that was attached already, in whichever stack: there is
/// one filter at a time, which attaches once.
pub fn further() -> u32 {
    FURTHER.load(Ordering::Relaxed)
}

/// What IoAcquireVpbSpinLock acquires.
pub fn vpb_lock() -> &'static Spin<()> {
    &VPBS
}

/// The top of the stack, referenced.
pub unsafe fn attached_reference(device: PDEVICE_OBJECT) -> PDEVICE_OBJECT {
    ntddk::IoGetAttachedDeviceReference(device)
}

/// The bottoms of the stacks.
fn bottoms() -> impl Iterator<Item = PDEVICE_OBJECT> {
    let volumes = DISKS.iter().map(|disk| &disk.volume);
    let all = volumes.chain([&FILE_SYSTEM]);
    all.map(|bottom| bottom.load(Ordering::Acquire))
}

/// Whether it is the driver of a device in a stack.
pub unsafe fn is_driver(object: *mut c_void) -> bool {
    STACKS.with(|()| {
        for mut device in bottoms() {
            while !device.is_null() {
                if (*device).DriverObject.cast() == object {
                    return true;
                }
                device = (*device).AttachedDevice;
            }
        }
        false
    })
}

/// The bottom of the stack that `device` is in, and the device below it.
unsafe fn find_below(device: PDEVICE_OBJECT) -> (PDEVICE_OBJECT, PDEVICE_OBJECT) {
    for bottom in bottoms() {
        let mut lower = core::ptr::null_mut();
        let mut current = bottom;
        while !current.is_null() {
            if current == device {
                return (bottom, lower);
            }
            lower = current;
            current = (*current).AttachedDevice;
        }
    }
    (device, core::ptr::null_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoAttachDeviceToDeviceStackSafe(
    source: PDEVICE_OBJECT,
    target: PDEVICE_OBJECT,
    attached_to: *mut PDEVICE_OBJECT,
) -> NTSTATUS {
    STACKS.with(|()| {
        let mut top = target;
        while !(*top).AttachedDevice.is_null() {
            top = (*top).AttachedDevice;
        }
        if bottoms().all(|bottom| bottom != top) {
            FURTHER.fetch_add(1, Ordering::Relaxed);
        }
        // Before a request can reach the new device.
        *attached_to = top;
        (*source).StackSize = (*top).StackSize + 1;
        (*source).AlignmentRequirement = (*top).AlignmentRequirement;
        (*top).AttachedDevice = source;
    });
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoGetLowerDeviceObject(device: PDEVICE_OBJECT) -> PDEVICE_OBJECT {
    STACKS.with(|()| {
        let (_, lower) = find_below(device);
        if !lower.is_null() {
            ntddk::ObfReferenceObject(lower.cast());
        }
        lower
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoGetDeviceAttachmentBaseRef(device: PDEVICE_OBJECT) -> PDEVICE_OBJECT {
    STACKS.with(|()| {
        let (bottom, _) = find_below(device);
        ntddk::ObfReferenceObject(bottom.cast());
        bottom
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoGetDiskDeviceObject(
    volume: PDEVICE_OBJECT,
    storage: *mut PDEVICE_OBJECT,
) -> NTSTATUS {
    let Some(disk) = disk_of_volume(volume) else {
        return STATUS_INVALID_PARAMETER;
    };
    *storage = disk.storage.load(Ordering::Acquire);
    ntddk::ObfReferenceObject((*storage).cast());
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoEnumerateDeviceObjectList(
    driver: *mut DRIVER_OBJECT,
    list: *mut PDEVICE_OBJECT,
    bytes: u32,
    actual: *mut u32,
) -> NTSTATUS {
    let room = bytes as usize / size_of::<PDEVICE_OBJECT>();
    let mut count = 0;
    let mut device = (*driver).DeviceObject;
    while !device.is_null() {
        if count < room {
            ntddk::ObfReferenceObject(device.cast());
            list.add(count).write(device);
        }
        count += 1;
        device = (*device).NextDevice;
    }
    *actual = count as u32;
    if count > room {
        STATUS_BUFFER_TOO_SMALL
    } else {
        STATUS_SUCCESS
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoAcquireVpbSpinLock(irql: *mut KIRQL) {
    VPBS.acquire();
    *irql = 0;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn IoReleaseVpbSpinLock(_irql: KIRQL) {
    VPBS.release();
}
