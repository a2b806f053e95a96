//! The file-system driver `\FileSystem\HostFs`: its devices, mounting and dismounting.
//!
//! It registers a control device for disks (`\HostFs`) and one for CD-ROMs
//! (`\HostFsCd`), and mounts a storage device that describes a host directory.
//! Volumes on CD-ROMs are read-only.
//!
//! Volume devices ask for direct I/O; the redirector's device asks for neither
//! kind of buffer. A filter that does not copy these flags is found out.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a native driver works on requests by pointer"
)]

use super::context::Mounted;
use super::pending::{self, Worked};
use super::volume::{Description, Volume};
use super::waiting::Effects;
use super::{dispatch, fast_io, names, redirector};
use ntbox_kernel::host::file as host;
use ntbox_kernel::io_manager::identity::Choice;
use ntbox_kernel::io_manager::storage::{self, MountTiming, VolumeDescription, VolumeKind};
use ntbox_kernel::io_manager::{
    device as devices, driver as drivers, mount, recognizer, registration,
};
use ntbox_kernel::nt::routines::DriverRoutines;
use ntbox_kernel::nt::{
    DEVICE_OBJECT, DO_DIRECT_IO, DRIVER_OBJECT, FILE_DEVICE_CD_ROM_FILE_SYSTEM,
    FILE_DEVICE_DISK_FILE_SYSTEM, FILE_READ_ONLY_DEVICE, FILE_REMOVABLE_MEDIA, IRP, IRP_MJ_CLEANUP,
    IRP_MJ_CLOSE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_PNP, IRP_MJ_SHUTDOWN,
    IRP_MN_MOUNT_VOLUME, IRP_MN_VERIFY_VOLUME, IrpExt, NTSTATUS, STATUS_DEVICE_NOT_READY,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
    STATUS_UNRECOGNIZED_VOLUME, VPB,
};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Name of the driver object.
pub const DRIVER_NAME: &str = r"\FileSystem\HostFs";
/// Names of the control devices.
pub const CONTROL_DEVICES: [&str; 2] = [r"\HostFs", r"\HostFsCd"];
/// What the volumes call their file system.
pub const FILE_SYSTEM: &str = "HostFs";

/// What the extension of a volume device holds. Control devices have an empty one.
#[repr(C)]
struct Extension {
    mounted: Option<&'static Mounted>,
}

/// Volumes that are mounted.
static MOUNTED: Mutex<Vec<&'static Mounted>> = Mutex::new(Vec::new());

fn driver() -> *mut DRIVER_OBJECT {
    static DRIVER: OnceLock<usize> = OnceLock::new();
    let create = || drivers::create_native(DRIVER_NAME, configure) as usize;
    *DRIVER.get_or_init(create) as *mut DRIVER_OBJECT
}

/// Fills in the routines of a driver of this file system.
pub(super) fn configure(driver: &mut DRIVER_OBJECT) {
    dispatch::enter(driver);
    driver.set_fast_io(&raw const fast_io::TABLE);
}

/// Creates the driver with its control devices and registers them, and the redirector. Idempotent.
pub fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        host::raise_open_limit();
        let types = [FILE_DEVICE_DISK_FILE_SYSTEM, FILE_DEVICE_CD_ROM_FILE_SYSTEM];
        for (name, device_type) in CONTROL_DEVICES.into_iter().zip(types) {
            let bytes = size_of::<Extension>() as u32;
            // SAFETY: the driver object lives as long as the process.
            let Ok(control) =
                (unsafe { devices::create(driver(), bytes, Some(name), device_type, 0, false) })
            else {
                continue;
            };
            // SAFETY: a new device.
            unsafe { devices::finish_initializing(control) };
            // SAFETY: the device lives as long as the process.
            unsafe { registration::register_file_system(control) };
        }
        redirector::start();
    });
}

/// The volume of a volume device; none for other devices of this file system.
///
/// # Safety
/// `device` is a live device of this file system.
pub(super) unsafe fn mounted_on(device: *mut DEVICE_OBJECT) -> Option<&'static Mounted> {
    // SAFETY: contract: every device of it is created with this extension, zeroed.
    unsafe { (*(*device).DeviceExtension.cast::<Extension>()).mounted }
}

/// Bytes of the extension that every device of this file system has.
pub(super) fn extension_bytes() -> u32 {
    size_of::<Extension>() as u32
}

/// Requests without an open file: for a control device, or for a volume device as such.
///
/// # Safety
/// The dispatch routine owns `irp`.
pub(super) unsafe fn control_device(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    major: u32,
) -> NTSTATUS {
    match major {
        IRP_MJ_CLEANUP | IRP_MJ_CLOSE | IRP_MJ_SHUTDOWN => {
            // SAFETY: contract.
            unsafe { dispatch::complete_now(irp, STATUS_SUCCESS) }
        }
        // SAFETY: contract.
        IRP_MJ_FILE_SYSTEM_CONTROL => unsafe { file_system_control(device, irp) },
        IRP_MJ_DEVICE_CONTROL | IRP_MJ_PNP => {
            // SAFETY: a device of this file system.
            match unsafe { mounted_on(device) }
                .map(Mounted::storage)
                .filter(|storage| !storage.is_null())
            {
                // SAFETY: contract.
                Some(storage) => unsafe { dispatch::pass_down(storage, irp) },
                // SAFETY: contract.
                None => unsafe { dispatch::complete_now(irp, STATUS_INVALID_DEVICE_REQUEST) },
            }
        }
        // SAFETY: contract.
        _ => unsafe { dispatch::complete_now(irp, STATUS_INVALID_DEVICE_REQUEST) },
    }
}

unsafe fn file_system_control(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: contract of the caller.
    let location = unsafe { &*irp.current_location() };
    match u32::from(location.MinorFunction) {
        IRP_MN_MOUNT_VOLUME => {
            // SAFETY: the parameters of this minor function.
            let vpb = unsafe { location.Parameters.MountVolume.Vpb };
            // SAFETY: the VPB to mount is alive.
            let description = unsafe { describe(vpb) };
            let late =
                description.is_some_and(|description| description.mount == MountTiming::Async);
            let choice = if late {
                Choice::PendAtDispatch
            } else {
                Choice::Now
            };
            // SAFETY: contract of the caller.
            unsafe { pending::run_as(choice, device, irp, mount_volume) }
        }
        // SAFETY: contract of the caller.
        IRP_MN_VERIFY_VOLUME => unsafe { dispatch::complete_now(irp, STATUS_SUCCESS) },
        // SAFETY: contract of the caller.
        _ => unsafe { dispatch::complete_now(irp, STATUS_INVALID_DEVICE_REQUEST) },
    }
}

/// # Safety
/// `vpb` is null or alive.
unsafe fn describe(vpb: *mut VPB) -> Option<&'static VolumeDescription> {
    // SAFETY: contract.
    let real = unsafe { vpb.as_ref() }?.RealDevice;
    // SAFETY: the VPB's storage device is alive.
    unsafe { storage::description_of(real) }
}

unsafe fn mount_volume(control: *mut DEVICE_OBJECT, irp: *mut IRP) -> Worked {
    // SAFETY: contract of the routine: the request is ours.
    let parameters = unsafe { (*irp.current_location()).Parameters.MountVolume };
    // SAFETY: the VPB of a mount is alive.
    let Some(description) = (unsafe { describe(parameters.Vpb) }) else {
        return Worked::Done(STATUS_UNRECOGNIZED_VOLUME, 0);
    };
    // SAFETY: our control device.
    let device_type = unsafe { (*control).DeviceType };
    let for_cd = device_type == FILE_DEVICE_CD_ROM_FILE_SYSTEM;
    let not_yet = description.recognized && !recognizer::is_loaded();
    if for_cd != (description.kind == VolumeKind::CdRom) || not_yet {
        return Worked::Done(STATUS_UNRECOGNIZED_VOLUME, 0);
    }
    // SAFETY: as above.
    let vpb = unsafe { &mut *parameters.Vpb };
    let Ok(volume) = Volume::open(&description.host_directory, described(description)) else {
        return Worked::Done(STATUS_DEVICE_NOT_READY, 0);
    };
    // SAFETY: the driver object lives as long as the process.
    let device = match unsafe {
        devices::create(driver(), extension_bytes(), None, device_type, 0, false)
    } {
        Ok(device) => device,
        Err(status) => return Worked::Done(status, 0),
    };
    let label = volume.description.label.clone();
    vpb.SerialNumber = volume.description.serial;
    vpb.VolumeLabelLength = (label.len() * 2) as u16;
    for (unit, slot) in label.into_iter().zip(&mut vpb.VolumeLabel) {
        *slot = unit;
    }
    let mounted = Mounted::new(volume, vpb.RealDevice);
    // SAFETY: a new device with that extension, which nobody else knows yet.
    unsafe { (*(*device).DeviceExtension.cast::<Extension>()).mounted = Some(mounted) };
    // SAFETY: the top of the storage stack is alive.
    let below = unsafe { (*parameters.DeviceObject).StackSize };
    // SAFETY: as for the extension.
    let new = unsafe { &mut *device };
    new.StackSize = below + 1;
    new.Flags |= DO_DIRECT_IO;
    new.SectorSize = super::volume::SECTOR as u16;
    vpb.DeviceObject = device;
    // SAFETY: a new device.
    unsafe { devices::finish_initializing(device) };
    MOUNTED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(mounted);
    Worked::Done(STATUS_SUCCESS, 0)
}

/// What a volume says of itself, from the box's description.
pub(super) fn described(volume: &VolumeDescription) -> Description {
    const FILE_DEVICE_CD_ROM: u32 = 0x2;
    const FILE_DEVICE_DISK: u32 = 0x7;
    const FILE_REMOTE_DEVICE: u32 = 0x10;
    let cd = volume.kind == VolumeKind::CdRom;
    let name = volume
        .host_directory
        .file_name()
        .and_then(names::to_nt)
        .unwrap_or_default();
    let characteristics = match volume.kind {
        VolumeKind::Disk => 0,
        VolumeKind::CdRom => FILE_REMOVABLE_MEDIA | FILE_READ_ONLY_DEVICE,
        VolumeKind::ShadowCopy => FILE_READ_ONLY_DEVICE,
        VolumeKind::Removable => FILE_REMOVABLE_MEDIA,
        VolumeKind::Network => FILE_REMOTE_DEVICE,
    };
    Description {
        label: name.into_iter().take(32).collect(),
        serial: 0xB0C5_0000 | u32::from(volume.letter),
        prefix: if volume.kind == VolumeKind::Network {
            redirector::prefix()
        } else {
            Vec::new()
        },
        device_type: if cd {
            FILE_DEVICE_CD_ROM
        } else {
            FILE_DEVICE_DISK
        },
        characteristics,
        file_system: FILE_SYSTEM,
        read_only: cd,
    }
}

/// Dismounts the volume on `storage`: opens get `STATUS_VOLUME_DISMOUNTED` from now on, and
/// the volume device goes when the last of them is closed.
///
/// # Errors (as NTSTATUS)
/// `STATUS_INVALID_PARAMETER` for no storage device, else those of [`mount::dismount`].
///
/// # Safety
/// `storage` is null or a storage device of `io_manager::storage`. PASSIVE_LEVEL.
pub unsafe fn dismount(storage: *mut DEVICE_OBJECT) -> NTSTATUS {
    if storage.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    let current = MOUNTED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .copied()
        .find(|mounted| mounted.storage() == storage);
    if let Some(mounted) = current {
        let mut effects = Effects::new(&pending::claim);
        mounted.volume.dismount(&mut effects);
        pending::finish_waiting(effects.into_finished(), true);
        return take_away(mounted);
    }
    // SAFETY: contract.
    unsafe { mount::dismount(storage) }
}

/// Takes a volume that has dismounted itself from its storage device.
pub(super) fn take_away(mounted: &'static Mounted) -> NTSTATUS {
    MOUNTED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|other| !std::ptr::eq(*other, mounted));
    if mounted.storage().is_null() {
        return STATUS_SUCCESS;
    }
    // SAFETY: a storage device lives as long as the process.
    unsafe { mount::dismount(mounted.storage()) }
}
