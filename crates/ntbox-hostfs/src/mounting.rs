//! Requests without an open file: mounting, and what a device as such is asked.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests, VPBs and devices are reached by pointer"
)]

use super::context::Mounted;
use super::pending::{self, Worked};
use super::volume::{Description, Volume};
use super::{media, names, redirector, volume_devices};
use ntbox_kernel::io_manager::identity::Choice;
use ntbox_kernel::io_manager::media::{self as kernel_media, Medium};
use ntbox_kernel::io_manager::storage::{self, MountTiming, VolumeDescription, VolumeKind};
use ntbox_kernel::io_manager::{complete, device as devices, recognizer};
use ntbox_kernel::nt::{
    DEVICE_OBJECT, DO_DIRECT_IO, FILE_DEVICE_CD_ROM_FILE_SYSTEM, FILE_READ_ONLY_DEVICE,
    FILE_REMOVABLE_MEDIA, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_DEVICE_CONTROL,
    IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_SHUTDOWN, IRP_MN_MOUNT_VOLUME, IRP_MN_VERIFY_VOLUME, IrpExt,
    NTSTATUS, STATUS_DEVICE_NOT_READY, STATUS_INVALID_DEVICE_REQUEST, STATUS_NO_MEDIA_IN_DEVICE,
    STATUS_SUCCESS, STATUS_UNRECOGNIZED_VOLUME, VPB,
};

/// What the volumes call their file system.
pub const FILE_SYSTEM: &str = "HostFs";

/// Requests without an open file: for a control device, or for a volume device as such.
///
/// # Safety
/// The dispatch routine owns `irp`.
pub unsafe fn dispatch(device: *mut DEVICE_OBJECT, irp: *mut IRP, major: u32) -> NTSTATUS {
    match major {
        IRP_MJ_CLEANUP | IRP_MJ_CLOSE | IRP_MJ_SHUTDOWN => {
            // SAFETY: contract.
            unsafe { complete::finish(irp, STATUS_SUCCESS, 0) }
        }
        // SAFETY: contract.
        IRP_MJ_FILE_SYSTEM_CONTROL => unsafe { file_system_control(device, irp) },
        IRP_MJ_DEVICE_CONTROL => {
            // SAFETY: a device of this file system.
            match unsafe { volume_devices::mounted_on(device) }
                .map(Mounted::storage)
                .filter(|storage| !storage.is_null())
            {
                // SAFETY: contract.
                Some(storage) => unsafe { pending::pass_down(storage, irp) },
                // SAFETY: contract.
                None => unsafe { complete::finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0) },
            }
        }
        // SAFETY: contract.
        _ => unsafe { complete::finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0) },
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
            let choice = choice_for(unsafe { describe(vpb) });
            // SAFETY: contract of the caller.
            unsafe { pending::run_as(choice, device, irp, mount_volume) }
        }
        IRP_MN_VERIFY_VOLUME => {
            // SAFETY: the parameters of this minor function.
            let vpb = unsafe { location.Parameters.VerifyVolume.Vpb };
            // SAFETY: the VPB to verify is alive.
            let choice = choice_for(unsafe { describe(vpb) });
            // SAFETY: contract of the caller.
            unsafe { pending::run_as(choice, device, irp, media::verify_volume) }
        }
        // SAFETY: contract of the caller.
        _ => unsafe { complete::finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0) },
    }
}

/// When and how a volume is mounted, or verified.
fn choice_for(description: Option<&VolumeDescription>) -> Choice {
    match description.map(|description| description.mount) {
        Some(MountTiming::Async) => Choice::PendAtDispatch,
        _ => Choice::Now,
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
    let (device_type, driver) = unsafe { ((*control).DeviceType, (*control).DriverObject) };
    let for_cd = device_type == FILE_DEVICE_CD_ROM_FILE_SYSTEM;
    let kind = description.kind;
    let not_yet = description.recognized && !recognizer::is_loaded();
    if for_cd != (description.kind == VolumeKind::CdRom) || not_yet {
        return Worked::Done(STATUS_UNRECOGNIZED_VOLUME, 0);
    }
    // SAFETY: as above.
    let vpb = unsafe { &mut *parameters.Vpb };
    // SAFETY: the VPB's storage device lives as long as the process.
    unsafe { kernel_media::mark(vpb.RealDevice, false) };
    // SAFETY: it is compared.
    let Some(medium) = (unsafe { kernel_media::inside(vpb.RealDevice) }) else {
        return Worked::Done(STATUS_NO_MEDIA_IN_DEVICE, 0);
    };
    // SAFETY: the request is its mount.
    if unsafe { media::bring_back(vpb.RealDevice, medium.number) } {
        return Worked::Done(STATUS_SUCCESS, 0);
    }
    let described = described_on(description, medium);
    let Ok(volume) = Volume::open(medium.directory, described) else {
        return Worked::Done(STATUS_DEVICE_NOT_READY, 0);
    };
    // SAFETY: the driver object lives as long as the process.
    let created = unsafe { volume_devices::create(driver, device_type, volume, vpb.RealDevice) };
    let (device, mounted) = match created {
        Ok(created) => created,
        Err(status) => return Worked::Done(status, 0),
    };
    let description = &mounted.volume.description;
    vpb.SerialNumber = description.serial;
    vpb.VolumeLabelLength = (description.label.len() * 2) as u16;
    for (unit, slot) in description.label.iter().zip(&mut vpb.VolumeLabel) {
        *slot = *unit;
    }
    // SAFETY: the top of the storage stack is alive.
    let below = unsafe { (*parameters.DeviceObject).StackSize };
    // SAFETY: as for the extension.
    let new = unsafe { &mut *device };
    new.StackSize = below + 1;
    // As NTFS has it; FASTFAT and CDFS take buffers as they come, by Irp->UserBuffer.
    if matches!(kind, VolumeKind::Disk | VolumeKind::ShadowCopy) {
        new.Flags |= DO_DIRECT_IO;
    }
    new.SectorSize = super::volume::SECTOR as u16;
    vpb.DeviceObject = device;
    // SAFETY: a new device.
    unsafe { devices::finish_initializing(device) };
    volume_devices::enter(mounted);
    Worked::Done(STATUS_SUCCESS, 0)
}

/// What a volume says of itself, from the box's description.
pub fn described(volume: &VolumeDescription) -> Description {
    let directory = &volume.host_directory;
    described_on(
        volume,
        Medium {
            number: 0,
            directory,
        },
    )
}

fn described_on(volume: &VolumeDescription, medium: Medium<'_>) -> Description {
    const FILE_DEVICE_CD_ROM: u32 = 0x2;
    const FILE_DEVICE_DISK: u32 = 0x7;
    const FILE_REMOTE_DEVICE: u32 = 0x10;
    let cd = volume.kind == VolumeKind::CdRom;
    let name = medium
        .directory
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
        serial: (0xB0C5_0000 | u32::from(volume.letter)).wrapping_add(medium.number << 16),
        medium: medium.number,
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
