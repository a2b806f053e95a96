//! What a mount has mounted (A6).
//!
//! The storage device is read before the request is passed on, because the VPB may change hands below. Only a
//! request that has come back and has not been resumed lends the volume device: the I/O manager keeps the storage
//! device locked until then. At any other time the VPB may name a device that is gone.
//!
//! Source: "IRP_MJ_FILE_SYSTEM_CONTROL (File System Filter Drivers)".

#![expect(
    unsafe_code,
    reason = "the VPB and what it names are the I/O manager's"
)]

use super::{Irp, PendedIrp, ReturnedIrp, raw};
use crate::device::{DeviceObject, DeviceReference};
use crate::driver::Filter;
use wdk_sys::{IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_MOUNT_VOLUME};

/// A volume that was mounted, and the storage device that it is on (`Vpb->RealDevice`).
pub struct MountedVolume {
    /// The file system's device.
    pub volume: DeviceReference,
    /// What it is mounted on.
    pub storage: DeviceReference,
}

impl<F: Filter> Irp<'_, F> {
    /// The storage device that IRP_MN_MOUNT_VOLUME asks to be mounted; `None` in every other request.
    pub(super) fn storage_to_mount(&self) -> Option<DeviceReference> {
        let mounts = u32::from(self.major()) == IRP_MJ_FILE_SYSTEM_CONTROL
            && u32::from(self.minor()) == IRP_MN_MOUNT_VOLUME;
        if !mounts {
            return None;
        }
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above; only the place is computed.
        let vpb = unsafe { &raw const (*location).Parameters.MountVolume.Vpb };
        // SAFETY: the function codes select this member.
        let vpb = unsafe { vpb.read() };
        if vpb.is_null() {
            return None;
        }
        // Read in place: the system writes other members of it meanwhile.
        // SAFETY: the I/O manager keeps the VPB of a mount request until it has completed.
        let storage = unsafe { (*vpb).RealDevice };
        // SAFETY: the storage device is alive while it is being mounted.
        (!storage.is_null()).then(|| unsafe { DeviceObject::from_raw(storage) }.reference())
    }
}

impl<F: Filter> ReturnedIrp<'_, F> {
    /// What this request has mounted; `None` if it is no IRP_MN_MOUNT_VOLUME, or has failed.
    /// IRQL: ≤ DISPATCH_LEVEL.
    #[must_use]
    pub fn mounted(&self) -> Option<MountedVolume> {
        let storage = self.storage.as_ref()?;
        if !self.came().status.is_success() {
            return None;
        }
        // SAFETY: of the mount that has come back with this request, which has not been resumed.
        unsafe { on(storage) }
    }
}

impl<F: Filter> PendedIrp<'_, F> {
    /// As [`ReturnedIrp::mounted`].
    #[must_use]
    pub fn mounted(&self) -> Option<MountedVolume> {
        let storage = self.storage.as_ref()?;
        if !self.came().status.is_success() {
            return None;
        }
        // SAFETY: as there.
        unsafe { on(storage) }
    }
}

/// # Safety
/// As [`DeviceObject::volume_of_mount`].
unsafe fn on(storage: &DeviceReference) -> Option<MountedVolume> {
    Some(MountedVolume {
        // SAFETY: contract of the function.
        volume: unsafe { storage.volume_of_mount() }?,
        storage: storage.reference(),
    })
}
