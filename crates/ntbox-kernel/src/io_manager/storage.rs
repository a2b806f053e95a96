//! Storage devices: what volumes are mounted on.
//!
//! A native driver for disks, one for CD-ROMs, and one for shadow copies. They hold no sectors: the file
//! system of the box takes a volume's contents from the host directory that
//! the device describes. The devices answer opens, the control requests that
//! filters and mount managers send to them, and what the PnP manager asks of a device at the bottom of its stack. One that
//! has been removed answers everything else with STATUS_DEVICE_DOES_NOT_EXIST, as Windows' class driver for disks does.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a native driver works on requests by pointer"
)]

use super::{complete, device, driver, media, namespace};
use crate::nt::routines::DriverRoutines;
use crate::nt::{
    DEVICE_OBJECT, DEVICE_RELATIONS, DRIVER_OBJECT, FILE_DEVICE_CD_ROM, FILE_DEVICE_DISK,
    FILE_READ_ONLY_DEVICE, FILE_REMOVABLE_MEDIA, IO_STACK_LOCATION, IRP, IRP_MJ_CLEANUP,
    IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_FLUSH_BUFFERS, IRP_MJ_PNP,
    IRP_MN_CANCEL_REMOVE_DEVICE, IRP_MN_QUERY_DEVICE_RELATIONS, IRP_MN_QUERY_REMOVE_DEVICE,
    IRP_MN_REMOVE_DEVICE, IRP_MN_START_DEVICE, IRP_MN_SURPRISE_REMOVAL, IrpExt, NTSTATUS,
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_DEVICE_DOES_NOT_EXIST,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, TargetDeviceRelation,
};
use crate::pool;
use crate::processor::{lifetime, object};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// What a volume lies on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VolumeKind {
    /// A fixed disk.
    Disk,
    /// A CD-ROM: removable and read-only.
    CdRom,
    /// A removable disk.
    Removable,
    /// A shadow copy of a disk: read-only, made by the snapshot driver.
    ShadowCopy,
    /// A share of a network redirector; it has no storage device.
    Network,
}

/// When and how a volume is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MountTiming {
    /// Before the drivers are loaded.
    Before,
    /// On its first open after they are loaded.
    After,
    /// As `After`, and the file system returns STATUS_PENDING for the mount and
    /// completes it later, at DISPATCH_LEVEL.
    Async,
}

/// A volume of the box.
#[derive(Clone, Debug)]
pub struct VolumeDescription {
    /// Drive letter.
    pub letter: char,
    /// What is on it.
    pub host_directory: PathBuf,
    /// What it lies on.
    pub kind: VolumeKind,
    /// When it is mounted.
    pub mount: MountTiming,
    /// The recognizer answers for its file system until that is loaded: the
    /// first mount sends IRP_MN_LOAD_FILE_SYSTEM. The file system leaves such a
    /// volume alone until [`super::recognizer::is_loaded`].
    pub recognized: bool,
}

/// Of what whoever asks frees.
const TAG: u32 = u32::from_le_bytes(*b"PpRl");

/// The extension of a storage device.
#[repr(C)]
struct Extension {
    /// It was told that it is gone.
    removed: AtomicBool,
}

/// # Safety
/// `device` is a storage device.
unsafe fn extension<'a>(device: *mut DEVICE_OBJECT) -> &'a Extension {
    // SAFETY: contract; a storage device lives as long as the process.
    let extension = unsafe { (*device).DeviceExtension };
    // SAFETY: contract: it was created with this extension, zeroed.
    unsafe { &*extension.cast::<Extension>() }
}

#[derive(Clone, Copy)]
struct Known {
    device: usize,
    description: &'static VolumeDescription,
    name: &'static str,
    number: u32,
}

static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

fn known() -> std::sync::MutexGuard<'static, Vec<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// IOCTLs that the devices answer.
const IOCTL_DISK_CHECK_VERIFY: u32 = 0x0007_4800;
const IOCTL_STORAGE_CHECK_VERIFY: u32 = 0x002D_4800;
const IOCTL_STORAGE_CHECK_VERIFY2: u32 = 0x002D_0800;
const IOCTL_CDROM_CHECK_VERIFY: u32 = 0x0002_4800;
const IOCTL_DISK_IS_WRITABLE: u32 = 0x0007_0024;
const IOCTL_STORAGE_GET_DEVICE_NUMBER: u32 = 0x002D_1080;
const IOCTL_MOUNTDEV_QUERY_DEVICE_NAME: u32 = 0x004D_0008;

fn storage_driver(kind: VolumeKind) -> *mut DRIVER_OBJECT {
    static DISK: OnceLock<usize> = OnceLock::new();
    static CD_ROM: OnceLock<usize> = OnceLock::new();
    static SNAPSHOTS: OnceLock<usize> = OnceLock::new();
    let (cell, name) = match kind {
        VolumeKind::CdRom => (&CD_ROM, r"\Driver\cdrom"),
        VolumeKind::ShadowCopy => (&SNAPSHOTS, r"\Driver\volsnap"),
        _ => (&DISK, r"\Driver\volmgr"),
    };
    *cell.get_or_init(|| {
        driver::create_native(name, |driver| {
            for major in [IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
                driver.set_dispatch(major as u8, succeed);
            }
            for major in [IRP_MJ_CREATE, IRP_MJ_FLUSH_BUFFERS] {
                driver.set_dispatch(major as u8, succeed_if_there);
            }
            driver.set_dispatch(IRP_MJ_PNP as u8, plug_and_play);
            driver.set_dispatch(IRP_MJ_DEVICE_CONTROL as u8, device_control);
        }) as usize
    }) as *mut DRIVER_OBJECT
}

/// Creates the storage device of a volume: `\Device\HarddiskVolumeN`, `\Device\CdRomN` or
/// `\Device\HarddiskVolumeShadowCopyN`, with `\??\X:` leading to it. PASSIVE_LEVEL.
///
/// # Panics
/// If the drive letter is taken, or the volume is a network share.
pub fn create(description: VolumeDescription) -> *mut DEVICE_OBJECT {
    let (device_type, prefix, characteristics) = match description.kind {
        VolumeKind::Disk => (FILE_DEVICE_DISK, r"\Device\HarddiskVolume", 0),
        VolumeKind::Removable => (
            FILE_DEVICE_DISK,
            r"\Device\HarddiskVolume",
            FILE_REMOVABLE_MEDIA,
        ),
        VolumeKind::CdRom => (
            FILE_DEVICE_CD_ROM,
            r"\Device\CdRom",
            FILE_REMOVABLE_MEDIA | FILE_READ_ONLY_DEVICE,
        ),
        VolumeKind::ShadowCopy => (
            FILE_DEVICE_DISK,
            r"\Device\HarddiskVolumeShadowCopy",
            FILE_READ_ONLY_DEVICE,
        ),
        VolumeKind::Network => panic!("a network share has no storage device"),
    };
    let driver = storage_driver(description.kind);
    let letter = description.letter;
    let mut known = known();
    // Disk volumes count from 1, CD-ROMs from 0, as in NT.
    let same = known
        .iter()
        .filter(|known| known.name.trim_end_matches(char::is_numeric) == prefix)
        .count() as u32;
    let number = if description.kind == VolumeKind::CdRom {
        same
    } else {
        same + 1
    };
    let name: &'static str = Box::leak(format!("{prefix}{number}").into_boxed_str());
    let bytes = size_of::<Extension>() as u32;
    let named = Some(name);
    // SAFETY: the driver object lives as long as the process.
    let device =
        unsafe { device::create(driver, bytes, named, device_type, characteristics, false) };
    let Ok(device) = device else {
        panic!("{name} exists")
    };
    // SAFETY: the device is new.
    unsafe { device::finish_initializing(device) };
    let link = format!(r"\??\{letter}:");
    assert!(
        namespace::insert_symbolic_link(&link, name).is_ok(),
        "the drive letter {letter} is taken"
    );
    known.push(Known {
        device: device as usize,
        description: Box::leak(Box::new(description)),
        name,
        number,
    });
    device
}

/// What a storage device of this module describes.
///
/// # Safety
/// None beyond passing a pointer: it is only compared.
pub unsafe fn description_of(storage: *mut DEVICE_OBJECT) -> Option<&'static VolumeDescription> {
    find(storage).map(|known| known.description)
}

fn find(storage: *mut DEVICE_OBJECT) -> Option<Known> {
    known()
        .iter()
        .find(|known| known.device == storage as usize)
        .copied()
}

/// All volumes with a storage device, in order of creation.
pub fn volumes() -> Vec<(*mut DEVICE_OBJECT, &'static VolumeDescription)> {
    known()
        .iter()
        .map(|known| (known.device as *mut DEVICE_OBJECT, known.description))
        .collect()
}

unsafe extern "win64" fn succeed(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request.
    unsafe { complete::finish(irp, STATUS_SUCCESS, 0) }
}

unsafe extern "win64" fn succeed_if_there(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a device of this driver.
    let status = match unsafe { extension(device) }.removed.load(Ordering::Acquire) {
        true => STATUS_DEVICE_DOES_NOT_EXIST,
        false => STATUS_SUCCESS,
    };
    // SAFETY: a dispatch routine owns its request.
    unsafe { complete::finish(irp, status, 0) }
}

/// At the bottom of the stack every request of the PnP manager ends, with its status as it came if nobody knows it
/// ("Plug and Play Minor IRPs").
unsafe extern "win64" fn plug_and_play(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let location = unsafe { &*location };
    // SAFETY: as above; an integer whatever the union holds.
    let (mut status, mut information) = unsafe {
        (
            (*irp).IoStatus.Anonymous.Status,
            (*irp).IoStatus.Information,
        )
    };
    // SAFETY: a device of this driver.
    let removed = unsafe { &extension(device).removed };
    match u32::from(location.MinorFunction) {
        IRP_MN_QUERY_REMOVE_DEVICE | IRP_MN_CANCEL_REMOVE_DEVICE => status = STATUS_SUCCESS,
        IRP_MN_REMOVE_DEVICE | IRP_MN_SURPRISE_REMOVAL => {
            removed.store(true, Ordering::Release);
            status = STATUS_SUCCESS;
        }
        IRP_MN_START_DEVICE => {
            removed.store(false, Ordering::Release);
            status = STATUS_SUCCESS;
        }
        IRP_MN_QUERY_DEVICE_RELATIONS if asks_for_target(location) => {
            let bytes = size_of::<DEVICE_RELATIONS>();
            let relations = pool::allocate_for_anybody(bytes, TAG).cast::<DEVICE_RELATIONS>();
            // SAFETY: a storage device is alive.
            unsafe { lifetime::reference(device.cast()) };
            let found = DEVICE_RELATIONS {
                Count: 1,
                Objects: [device],
            };
            // SAFETY: a new block of that size.
            unsafe { relations.write(found) };
            (status, information) = (STATUS_SUCCESS, relations.addr());
        }
        _ => {}
    }
    // SAFETY: a dispatch routine owns its request.
    unsafe { complete::finish(irp, status, information) }
}

/// True for IRP_MN_QUERY_DEVICE_RELATIONS with `TargetDeviceRelation`, of all relations the one that a storage device has.
fn asks_for_target(location: &IO_STACK_LOCATION) -> bool {
    // SAFETY: an integer whatever the union holds.
    let relation = unsafe { location.Parameters.QueryDeviceRelations.Type };
    relation == TargetDeviceRelation
}

unsafe extern "win64" fn device_control(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request.
    unsafe {
        let control = (*irp.current_location()).Parameters.DeviceIoControl;
        let buffer = (*irp).AssociatedIrp.SystemBuffer.cast::<u8>();
        let room = control.OutputBufferLength as usize;
        if extension(device).removed.load(Ordering::Acquire) {
            return complete::finish(irp, STATUS_DEVICE_DOES_NOT_EXIST, 0);
        }
        let Some(known) = find(device) else {
            return complete::finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
        };
        let (status, information) = match control.ControlCode {
            IOCTL_DISK_CHECK_VERIFY
            | IOCTL_STORAGE_CHECK_VERIFY
            | IOCTL_STORAGE_CHECK_VERIFY2
            | IOCTL_CDROM_CHECK_VERIFY => (media::check(device, irp), 0),
            IOCTL_DISK_IS_WRITABLE if (*device).Characteristics & FILE_READ_ONLY_DEVICE != 0 => {
                (crate::nt::STATUS_MEDIA_WRITE_PROTECTED, 0)
            }
            IOCTL_DISK_IS_WRITABLE => (STATUS_SUCCESS, 0),
            IOCTL_STORAGE_GET_DEVICE_NUMBER => {
                let number = [(*device).DeviceType, known.number, 0];
                if room < size_of_val(&number) {
                    (STATUS_BUFFER_TOO_SMALL, 0)
                } else {
                    buffer.cast::<[u32; 3]>().write_unaligned(number);
                    (STATUS_SUCCESS, size_of_val(&number))
                }
            }
            IOCTL_MOUNTDEV_QUERY_DEVICE_NAME => device_name(buffer, room, known.name),
            _ => (STATUS_INVALID_DEVICE_REQUEST, 0),
        };
        complete::finish(irp, status, information)
    }
}

/// `MOUNTDEV_NAME`: a length in bytes, then the name.
///
/// # Safety
/// `buffer` has `room` bytes.
unsafe fn device_name(buffer: *mut u8, room: usize, name: &str) -> (NTSTATUS, usize) {
    let units: Vec<u16> = name.encode_utf16().collect();
    let bytes = size_of_val(units.as_slice());
    if room < size_of::<u16>() {
        return (STATUS_INVALID_PARAMETER, 0);
    }
    // SAFETY: contract.
    unsafe {
        buffer.cast::<u16>().write_unaligned(bytes as u16);
        if room < size_of::<u16>() + bytes {
            return (STATUS_BUFFER_OVERFLOW, size_of::<u16>());
        }
        std::ptr::copy_nonoverlapping(units.as_ptr().cast::<u8>(), buffer.add(2), bytes);
    }
    (STATUS_SUCCESS, size_of::<u16>() + bytes)
}

/// Name of a storage device.
pub fn name_of(storage: *mut DEVICE_OBJECT) -> Option<&'static str> {
    find(storage).map(|known| known.name)
}

/// References to a storage device, for tests of leaked references.
///
/// # Safety
/// `storage` is alive.
pub unsafe fn references(storage: *mut DEVICE_OBJECT) -> i64 {
    // SAFETY: contract.
    unsafe { object::pointer_count(storage.cast()) }
}
