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

use super::completed::ReturnedIrp;
use super::pended::PendedIrp;
use crate::device::DeviceReference;
use crate::driver::keeps::Keeps;

/// A volume that was mounted, and the storage device that it is on (`Vpb->RealDevice`).
pub struct MountedVolume {
    /// The file system's device.
    pub volume: DeviceReference,
    /// What it is mounted on.
    pub storage: DeviceReference,
}

impl<F: Keeps> ReturnedIrp<'_, F> {
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

impl<F: Keeps> PendedIrp<'_, F> {
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
/// As [`crate::device::DeviceObject::volume_of_mount`].
unsafe fn on(storage: &DeviceReference) -> Option<MountedVolume> {
    Some(MountedVolume {
        // SAFETY: contract of the function.
        volume: unsafe { storage.volume_of_mount() }?,
        storage: storage.reference(),
    })
}
