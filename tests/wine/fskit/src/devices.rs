//! The devices of this driver, and which request goes where.
//!
//! | device | is |
//! |---|---|
//! | `\Device\Fskit` | the control device |
//! | `\Device\FskitFileSystem` | the control device of the file system: mounts go there |
//! | `\Device\FskitDiskN` | the storage device of a volume; it keeps the data |
//! | `\Device\FskitVolumeN` | the mounted volume |
//!
//! On Windows a volume has no name: its storage device is opened, and the I/O manager goes to the
//! volume by the VPB. Wine opens the device that has the name.

use crate::kernel::{allocate, complete, current_location, free, unicode};
use crate::{answer, control, mount};
use core::sync::atomic::{AtomicPtr, Ordering};
use fskit_protocol::{VOLUME_SIZE, VOLUMES};
use wdk_sys::{
    DEVICE_OBJECT, DO_BUFFERED_IO, DRIVER_OBJECT, FILE_DEVICE_DISK, FILE_DEVICE_DISK_FILE_SYSTEM,
    FILE_DEVICE_UNKNOWN, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_FILE_SYSTEM_CONTROL,
    IRP_MN_MOUNT_VOLUME, NTSTATUS, PDEVICE_OBJECT, PIRP, PVPB, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_SUCCESS, UNICODE_STRING, VPB, ntddk,
};

/// A storage device, and the volume on it while it is mounted.
pub struct Disk {
    pub storage: AtomicPtr<DEVICE_OBJECT>,
    pub volume: AtomicPtr<DEVICE_OBJECT>,
    /// [`VOLUME_SIZE`] bytes.
    pub data: AtomicPtr<u8>,
}

/// What a volume device carries.
#[repr(C)]
pub struct Extension {
    /// Its place in [`DISKS`].
    pub number: usize,
}

pub static DISKS: [Disk; VOLUMES] = [const { Disk::absent() }; VOLUMES];

/// The control device of the file system.
pub static FILE_SYSTEM: AtomicPtr<DEVICE_OBJECT> = AtomicPtr::new(core::ptr::null_mut());

static CONTROL: AtomicPtr<DEVICE_OBJECT> = AtomicPtr::new(core::ptr::null_mut());

impl Disk {
    const fn absent() -> Self {
        Self {
            storage: AtomicPtr::new(core::ptr::null_mut()),
            volume: AtomicPtr::new(core::ptr::null_mut()),
            data: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// The VPB of the storage device.
    pub unsafe fn vpb(&self) -> PVPB {
        (*self.storage.load(Ordering::Acquire)).Vpb
    }
}

/// The disk that a device is the volume of.
pub unsafe fn disk_of_volume(device: PDEVICE_OBJECT) -> Option<&'static Disk> {
    DISKS
        .iter()
        .find(|disk| disk.volume.load(Ordering::Acquire) == device)
}

/// Creates all devices, with volume 0 mounted.
pub unsafe fn create(driver: *mut DRIVER_OBJECT) -> NTSTATUS {
    match try_create(driver) {
        Ok(()) => STATUS_SUCCESS,
        Err(status) => {
            delete(driver);
            status
        }
    }
}

unsafe fn try_create(driver: *mut DRIVER_OBJECT) -> Result<(), NTSTATUS> {
    let name = Name::of(r"\Device\Fskit", None);
    let control = create_device(driver, 0, &name, FILE_DEVICE_UNKNOWN)?;
    (*control).Flags |= DO_BUFFERED_IO;
    CONTROL.store(control, Ordering::Release);
    link(&Name::of(r"\??\Fskit", None), &name)?;

    let name = Name::of(r"\Device\FskitFileSystem", None);
    let file_system = create_device(driver, 0, &name, FILE_DEVICE_DISK_FILE_SYSTEM)?;
    FILE_SYSTEM.store(file_system, Ordering::Release);

    for (number, disk) in DISKS.iter().enumerate() {
        let name = Name::of(r"\Device\FskitDisk", Some(number));
        let storage = create_device(driver, 0, &name, FILE_DEVICE_DISK)?;
        disk.storage.store(storage, Ordering::Release);
        let vpb: PVPB = allocated(size_of::<VPB>())?;
        (*vpb).RealDevice = storage;
        (*storage).Vpb = vpb;
        disk.data.store(allocated(VOLUME_SIZE)?, Ordering::Release);
        let volume = volume_name(number);
        link(&Name::of(r"\??\FskitVolume", Some(number)), &volume)?;
    }
    match mount::mount(0) {
        STATUS_SUCCESS => Ok(()),
        status => Err(status),
    }
}

/// The name of the device of a volume.
pub fn volume_name(number: usize) -> Name {
    Name::of(r"\Device\FskitVolume", Some(number))
}

/// Creates a device with room for `extension` bytes.
pub unsafe fn create_device(
    driver: *mut DRIVER_OBJECT,
    extension: usize,
    name: &Name,
    kind: u32,
) -> Result<PDEVICE_OBJECT, NTSTATUS> {
    let mut device = core::ptr::null_mut();
    let mut name = name.string();
    let bytes = extension as u32;
    match ntddk::IoCreateDevice(driver, bytes, &raw mut name, kind, 0, 0, &raw mut device) {
        STATUS_SUCCESS => Ok(device),
        status => Err(status),
    }
}

unsafe fn link(from: &Name, to: &Name) -> Result<(), NTSTATUS> {
    let (mut from, mut to) = (from.string(), to.string());
    match ntddk::IoCreateSymbolicLink(&raw mut from, &raw mut to) {
        STATUS_SUCCESS => Ok(()),
        status => Err(status),
    }
}

/// A link that does not exist is none after this either.
unsafe fn unlink(name: &Name) {
    let mut name = name.string();
    let _ = ntddk::IoDeleteSymbolicLink(&raw mut name);
}

unsafe fn allocated<T>(bytes: usize) -> Result<*mut T, NTSTATUS> {
    let memory: *mut T = allocate(bytes);
    if memory.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    Ok(memory)
}

/// Deletes what [`create`] made, as far as it came.
pub unsafe fn delete(driver: *mut DRIVER_OBJECT) {
    for (number, disk) in DISKS.iter().enumerate() {
        unlink(&Name::of(r"\??\FskitVolume", Some(number)));
        let storage = disk.storage.swap(core::ptr::null_mut(), Ordering::AcqRel);
        if !storage.is_null() && !(*storage).Vpb.is_null() {
            free((*storage).Vpb);
        }
        let data = disk.data.swap(core::ptr::null_mut(), Ordering::AcqRel);
        if !data.is_null() {
            free(data);
        }
        disk.volume.store(core::ptr::null_mut(), Ordering::Release);
    }
    unlink(&Name::of(r"\??\Fskit", None));
    while !(*driver).DeviceObject.is_null() {
        ntddk::IoDeleteDevice((*driver).DeviceObject);
    }
}

/// The dispatch routine of every major function.
pub unsafe extern "C" fn dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let location = current_location(irp);
    let major = u32::from((*location).MajorFunction);
    let minor = u32::from((*location).MinorFunction);
    if device == CONTROL.load(Ordering::Acquire) {
        control::request(irp)
    } else if let Some(disk) = disk_of_volume(device) {
        answer::request(device, disk, irp)
    } else if device == FILE_SYSTEM.load(Ordering::Acquire)
        && major == IRP_MJ_FILE_SYSTEM_CONTROL
        && minor == IRP_MN_MOUNT_VOLUME
    {
        answer::request_mount(device, irp)
    } else {
        let status = match major {
            IRP_MJ_CREATE | IRP_MJ_CLEANUP | IRP_MJ_CLOSE => STATUS_SUCCESS,
            _ => STATUS_INVALID_DEVICE_REQUEST,
        };
        complete(irp, status, 0)
    }
}

/// The name of an object of this driver.
pub struct Name {
    units: [u16; 32],
    length: usize,
}

impl Name {
    /// `text` is ASCII, and shorter than the room for it.
    pub fn of(text: &str, number: Option<usize>) -> Self {
        let digit = number.map(|number| b'0' as u16 + number as u16);
        let mut units = [0; 32];
        let mut length = 0;
        for unit in text.bytes().map(u16::from).chain(digit) {
            units[length] = unit;
            length += 1;
        }
        Self { units, length }
    }

    /// Valid as long as the name.
    pub fn string(&self) -> UNICODE_STRING {
        unicode(&self.units[..self.length])
    }
}
