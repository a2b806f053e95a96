//! The parameters that a file-system filter reads from its stack location.
//!
//! Source: IO_STACK_LOCATION in the DDI reference, and the page of each IRP_MJ_ code.

#![expect(
    unsafe_code,
    reason = "the parameters are a union selected by the function codes"
)]

use super::lasting::IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX;
use super::raw;
use super::request::Irp;
use crate::driver::keeps::Keeps;
use crate::irql::AtMostApc;
use wdk_sys::{
    IO_STACK_LOCATION, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_DIRECTORY_CONTROL,
    IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_LOCK_CONTROL, IRP_MJ_QUERY_INFORMATION,
    IRP_MJ_QUERY_VOLUME_INFORMATION, IRP_MJ_READ, IRP_MJ_SET_INFORMATION,
    IRP_MJ_SET_VOLUME_INFORMATION, IRP_MJ_WRITE, IRP_MN_LOAD_FILE_SYSTEM, IRP_MN_LOCK,
    IRP_MN_MOUNT_VOLUME, IRP_MN_NOTIFY_CHANGE_DIRECTORY, IRP_MN_UNLOCK_SINGLE,
    IRP_MN_VERIFY_VOLUME, LARGE_INTEGER,
};

/// An IRP_MJ_FILE_SYSTEM_CONTROL that brings or loads file systems.
pub enum FileSystemControl {
    /// IRP_MN_MOUNT_VOLUME: what it has mounted is said by the request when it has come back
    /// ([`super::ReturnedIrp::mounted`], [`super::PendedIrp::mounted`]).
    MountVolume,
    /// IRP_MN_LOAD_FILE_SYSTEM, sent to a file-system recognizer (A7).
    LoadFileSystem,
}

impl<F: Keeps> Irp<'_, F> {
    /// What the request asks of a file system beyond one of its volumes: `None` for almost every
    /// request. IRQL: any.
    #[must_use]
    #[inline]
    pub fn file_system_control(&self) -> Option<FileSystemControl> {
        if u32::from(self.major()) != IRP_MJ_FILE_SYSTEM_CONTROL {
            return None;
        }
        match u32::from(self.minor()) {
            IRP_MN_LOAD_FILE_SYSTEM => Some(FileSystemControl::LoadFileSystem),
            IRP_MN_MOUNT_VOLUME => Some(FileSystemControl::MountVolume),
            _ => None,
        }
    }

    /// Two numbers that say what is asked for, by the major function: offset and length of a transfer or
    /// lock, class and length of information, code and output length of a control, options and access
    /// of a create; 0 where there are none. Some are read from memory of the sender.
    #[must_use]
    pub fn numbers(&self, _level: &AtMostApc) -> [u64; 2] {
        // SAFETY: invariant of the type.
        let location = unsafe { raw::current_location(self.raw) };
        // SAFETY: as above.
        unsafe { numbers(location, u32::from(self.major()), u32::from(self.minor())) }
    }
}

/// [`Irp::numbers`].
///
/// # Safety
/// The stack location is one of a live request that its owner has not passed on, with these function
/// codes.
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "each block reads the members that its function code selects"
)]
unsafe fn numbers(location: *const IO_STACK_LOCATION, major: u32, minor: u32) -> [u64; 2] {
    // SAFETY: contract of the function; only the place is computed.
    let parameters = unsafe { &raw const (*location).Parameters };
    match (major, minor) {
        (IRP_MJ_CREATE, _) => {
            // SAFETY: the function code selects this member.
            let (options, context) = unsafe {
                (
                    (*parameters).Create.Options,
                    (*parameters).Create.SecurityContext,
                )
            };
            // SAFETY: null, or the context of the open that waits for this request.
            let access = unsafe { context.as_ref() }.map_or(0, |context| context.DesiredAccess);
            [options.into(), access.into()]
        }
        (IRP_MJ_READ | IRP_MJ_WRITE, _) => {
            // SAFETY: the function code selects this member; both have the same layout.
            let (offset, length) =
                unsafe { ((*parameters).Read.ByteOffset, (*parameters).Read.Length) };
            [number(&offset), length.into()]
        }
        (IRP_MJ_QUERY_INFORMATION | IRP_MJ_SET_INFORMATION, _) => {
            // SAFETY: the function code selects this member; both begin alike.
            let (class, length) = unsafe {
                let query = &(*parameters).QueryFile;
                (query.FileInformationClass, query.Length)
            };
            [class as u32 as u64, length.into()]
        }
        (IRP_MJ_QUERY_VOLUME_INFORMATION | IRP_MJ_SET_VOLUME_INFORMATION, _) => {
            // SAFETY: the function code selects this member; both have the same layout.
            let (class, length) = unsafe {
                let query = &(*parameters).QueryVolume;
                (query.FsInformationClass, query.Length)
            };
            [class as u32 as u64, length.into()]
        }
        (
            IRP_MJ_DIRECTORY_CONTROL,
            IRP_MN_NOTIFY_CHANGE_DIRECTORY | IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX,
        ) => {
            // SAFETY: the function codes select this member; the one of the second begins alike.
            let (filter, length) = unsafe {
                let notify = &(*parameters).NotifyDirectory;
                (notify.CompletionFilter, notify.Length)
            };
            [filter.into(), length.into()]
        }
        (IRP_MJ_DIRECTORY_CONTROL, _) => {
            // SAFETY: the function code selects this member.
            let (class, length) = unsafe {
                let query = &(*parameters).QueryDirectory;
                (query.FileInformationClass, query.Length)
            };
            [class as u32 as u64, length.into()]
        }
        // Their parameters are a VPB and a device: addresses, which nobody is told.
        (
            IRP_MJ_FILE_SYSTEM_CONTROL,
            IRP_MN_MOUNT_VOLUME | IRP_MN_VERIFY_VOLUME | IRP_MN_LOAD_FILE_SYSTEM,
        ) => [0, 0],
        (IRP_MJ_FILE_SYSTEM_CONTROL | IRP_MJ_DEVICE_CONTROL, _) => {
            // SAFETY: the function code selects this member; both have the same layout.
            let (code, length) = unsafe {
                let control = &(*parameters).DeviceIoControl;
                (control.IoControlCode, control.OutputBufferLength)
            };
            [code.into(), length.into()]
        }
        (IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK | IRP_MN_UNLOCK_SINGLE) => {
            // SAFETY: the function codes select this member.
            let (offset, length) = unsafe {
                let lock = &(*parameters).LockControl;
                (lock.ByteOffset, lock.Length)
            };
            // SAFETY: null, or the length that the sender keeps until the request has completed.
            [
                number(&offset),
                unsafe { length.as_ref() }.map_or(0, number),
            ]
        }
        _ => [0, 0],
    }
}

/// The whole of a `LARGE_INTEGER`.
fn number(integer: &LARGE_INTEGER) -> u64 {
    // SAFETY: a union of integers.
    unsafe { integer.QuadPart }.cast_unsigned()
}
