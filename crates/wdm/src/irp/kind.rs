//! What sort of request it is, as people are told of it.

#![expect(
    unsafe_code,
    reason = "the parameters are a union selected by the function codes"
)]

use super::raw;
use wdk_sys::{
    IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK,
    IRP_MN_NOTIFY_CHANGE_DIRECTORY, IRP_MN_USER_FS_REQUEST, PIRP,
};

/// A major function, or one of the requests that may stay below for as long as a program likes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestKind(u8);

/// The kinds: the major functions by their codes, then the long-lived requests.
const NAMES: [&str; RequestKind::COUNT] = [
    "IRP_MJ_CREATE",
    "IRP_MJ_CREATE_NAMED_PIPE",
    "IRP_MJ_CLOSE",
    "IRP_MJ_READ",
    "IRP_MJ_WRITE",
    "IRP_MJ_QUERY_INFORMATION",
    "IRP_MJ_SET_INFORMATION",
    "IRP_MJ_QUERY_EA",
    "IRP_MJ_SET_EA",
    "IRP_MJ_FLUSH_BUFFERS",
    "IRP_MJ_QUERY_VOLUME_INFORMATION",
    "IRP_MJ_SET_VOLUME_INFORMATION",
    "IRP_MJ_DIRECTORY_CONTROL",
    "IRP_MJ_FILE_SYSTEM_CONTROL",
    "IRP_MJ_DEVICE_CONTROL",
    "IRP_MJ_INTERNAL_DEVICE_CONTROL",
    "IRP_MJ_SHUTDOWN",
    "IRP_MJ_LOCK_CONTROL",
    "IRP_MJ_CLEANUP",
    "IRP_MJ_CREATE_MAILSLOT",
    "IRP_MJ_QUERY_SECURITY",
    "IRP_MJ_SET_SECURITY",
    "IRP_MJ_POWER",
    "IRP_MJ_SYSTEM_CONTROL",
    "IRP_MJ_DEVICE_CHANGE",
    "IRP_MJ_QUERY_QUOTA",
    "IRP_MJ_SET_QUOTA",
    "IRP_MJ_PNP",
    "oplock",
    "directory change notification",
    "byte-range lock",
    "unknown request",
];

impl RequestKind {
    /// How many there are.
    pub(crate) const COUNT: usize = 32;
    const OPLOCK: u8 = 28;
    const NOTIFICATION: u8 = 29;
    const LOCK: u8 = 30;
    const UNKNOWN: u8 = 31;

    pub(crate) const fn from_index(index: usize) -> Self {
        if index < Self::COUNT {
            Self(index as u8)
        } else {
            Self(Self::UNKNOWN)
        }
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// The kind of a request, from this driver's stack location, which nobody else writes: it is
    /// the same on the way down and on the way up. IRQL: any.
    ///
    /// # Safety
    /// The IRP is live and its current location is this driver's.
    pub(crate) unsafe fn of(irp: PIRP) -> Self {
        // SAFETY: contract of the function.
        let location = unsafe { raw::current_location(irp) };
        // SAFETY: as above.
        let major = unsafe { (*location).MajorFunction };
        // SAFETY: as above.
        let minor = unsafe { (*location).MinorFunction };
        match (u32::from(major), u32::from(minor)) {
            (
                IRP_MJ_DIRECTORY_CONTROL,
                IRP_MN_NOTIFY_CHANGE_DIRECTORY | IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX,
            ) => Self(Self::NOTIFICATION),
            (IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK) => Self(Self::LOCK),
            (IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_USER_FS_REQUEST) => {
                // SAFETY: contract of the function; only the place is computed.
                let code = unsafe { &raw const (*location).Parameters.FileSystemControl };
                // SAFETY: the function codes select this member.
                let code = unsafe { (*code).FsControlCode };
                Self(if is_oplock(code) { Self::OPLOCK } else { major })
            }
            _ if major < Self::OPLOCK => Self(major),
            _ => Self(Self::UNKNOWN),
        }
    }
}

/// Whether an FSCTL asks for an oplock or waits for one to break ("Oplock Semantics").
const fn is_oplock(code: u32) -> bool {
    const REQUEST_LEVEL_1: u32 = 0x0009_0000;
    const REQUEST_LEVEL_2: u32 = 0x0009_0004;
    const REQUEST_BATCH: u32 = 0x0009_0008;
    const BREAK_NOTIFY: u32 = 0x0009_0014;
    const REQUEST_FILTER: u32 = 0x0009_005C;
    const REQUEST_OPLOCK: u32 = 0x0009_0240;
    matches!(
        code,
        REQUEST_LEVEL_1
            | REQUEST_LEVEL_2
            | REQUEST_BATCH
            | BREAK_NOTIFY
            | REQUEST_FILTER
            | REQUEST_OPLOCK
    )
}

/// Of Windows 10, version 1709; not all headers have it.
pub(super) const IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX: u32 = 3;

impl core::fmt::Display for RequestKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(
            NAMES
                .get(self.index())
                .copied()
                .unwrap_or("unknown request"),
        )
    }
}
