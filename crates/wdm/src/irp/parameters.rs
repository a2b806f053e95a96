//! The parameters that a file-system filter reads from its stack location.

#![expect(
    unsafe_code,
    reason = "the parameters are a union selected by the function codes"
)]

use super::{Irp, raw};
use crate::device::{DeviceObject, DeviceReference};
use wdk_sys::{IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_LOAD_FILE_SYSTEM, IRP_MN_MOUNT_VOLUME};

/// Major function codes that a filter tells apart.
pub struct Major;

impl Major {
    /// IRP_MJ_CREATE.
    pub const CREATE: u8 = wdk_sys::IRP_MJ_CREATE as u8;
    /// IRP_MJ_CLEANUP.
    pub const CLEANUP: u8 = wdk_sys::IRP_MJ_CLEANUP as u8;
    /// IRP_MJ_CLOSE.
    pub const CLOSE: u8 = wdk_sys::IRP_MJ_CLOSE as u8;
    /// IRP_MJ_FLUSH_BUFFERS.
    pub const FLUSH_BUFFERS: u8 = wdk_sys::IRP_MJ_FLUSH_BUFFERS as u8;
}

/// An IRP_MJ_FILE_SYSTEM_CONTROL that brings or loads file systems.
pub enum FileSystemControl {
    /// IRP_MN_MOUNT_VOLUME: the storage device that the volume is on (`Vpb->RealDevice`). It is
    /// read before the request is passed on, because the VPB may change hands below (A6).
    MountVolume {
        /// Referenced.
        storage: DeviceReference,
    },
    /// IRP_MN_LOAD_FILE_SYSTEM, sent to a file-system recognizer (A7).
    LoadFileSystem,
}

impl Irp<'_> {
    /// What the request asks of a file system beyond one of its volumes: `None` for almost every
    /// request. IRQL: ≤ DISPATCH_LEVEL.
    #[must_use]
    #[inline]
    pub fn file_system_control(&self) -> Option<FileSystemControl> {
        if u32::from(self.major()) != IRP_MJ_FILE_SYSTEM_CONTROL {
            return None;
        }
        match u32::from(self.minor()) {
            IRP_MN_LOAD_FILE_SYSTEM => Some(FileSystemControl::LoadFileSystem),
            IRP_MN_MOUNT_VOLUME => Some(FileSystemControl::MountVolume {
                storage: self.mounted_storage()?,
            }),
            _ => None,
        }
    }

    fn mounted_storage(&self) -> Option<DeviceReference> {
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above; only the place is computed.
        let vpb = unsafe { &raw const (*location).Parameters.MountVolume.Vpb };
        // SAFETY: the caller checked the function codes that select this member.
        let vpb = unsafe { vpb.read() };
        // SAFETY: the I/O manager keeps the VPB of a mount request until it has completed.
        let storage = unsafe { vpb.as_ref() }?.RealDevice;
        // SAFETY: the storage device is alive while it is being mounted.
        (!storage.is_null()).then(|| unsafe { DeviceObject::from_raw(storage) }.reference())
    }
}
