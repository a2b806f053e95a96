//! Requests that may stay below for as long as a program likes.
//!
//! Source: "Oplock Semantics"; IRP_MJ_DIRECTORY_CONTROL and IRP_MJ_LOCK_CONTROL in the reference of IRPs.

#![expect(
    unsafe_code,
    reason = "the parameters are a union selected by the function codes"
)]

use super::raw;
use wdk_sys::{
    IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK,
    IRP_MN_NOTIFY_CHANGE_DIRECTORY, IRP_MN_USER_FS_REQUEST, PIRP,
};

/// A request that may stay below for as long as a program likes. Others come back by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Lasting {
    /// A request for an oplock, or for its break.
    Oplock,
    /// A directory change notification.
    Notification,
    /// A byte-range lock, which may be waited for.
    Lock,
}

impl Lasting {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = 3;
    /// The kinds.
    pub(crate) const ALL: [Self; Self::COUNT] = [Self::Oplock, Self::Notification, Self::Lock];

    /// The kind of a request, from this driver's stack location, which nobody else writes: it is
    /// the same on the way down and on the way up. IRQL: any.
    ///
    /// # Safety
    /// The IRP is live and its current location is this driver's.
    pub(crate) unsafe fn of(irp: PIRP) -> Option<Self> {
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
            ) => Some(Self::Notification),
            (IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK) => Some(Self::Lock),
            (IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_USER_FS_REQUEST) => {
                // SAFETY: contract of the function; only the place is computed.
                let code = unsafe { &raw const (*location).Parameters.FileSystemControl };
                // SAFETY: the function codes select this member.
                let code = unsafe { (*code).FsControlCode };
                is_oplock(code).then_some(Self::Oplock)
            }
            _ => None,
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

impl core::fmt::Display for Lasting {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Oplock => "oplock",
            Self::Notification => "directory change notification",
            Self::Lock => "byte-range lock",
        })
    }
}
