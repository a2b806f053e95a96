//! The list of file systems and volumes: its fixed parts, and what their numbers mean.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What the answer to [`crate::code::VOLUMES`] begins with; the records follow.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct VolumesHeader {
    /// The version of this layout.
    pub version: U32,
    /// Records in this answer.
    pub count: U32,
    /// Records that there are.
    pub total: U32,
    /// Bytes that an answer with all of them has, this header included.
    pub bytes: U32,
}

/// One file system or volume. Behind it lie the name in UTF-16, then for each device of the stack,
/// the top first, a [`U16`] with the number of code units and the name of its driver.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct VolumeRecord {
    /// Bytes of the record, all of it.
    pub size: U32,
    /// A [`Kind`].
    pub kind: u8,
    /// A [`Reason`].
    pub reason: u8,
    /// One of [`class`].
    pub class: u8,
    /// 0.
    pub reserved: u8,
    /// The FILE_DEVICE_* type of the device.
    pub device_type: U32,
    /// The NTSTATUS of an attachment that was refused; else 0.
    pub status: U32,
    /// Since when it is as it is: 100 ns since 1601; 0 where that is not known.
    pub since: U64,
    /// Code units of the name: of the storage device of a volume, of the device of a file system.
    pub name_units: U16,
    /// Devices in the stack.
    pub devices: U16,
    /// Which of them is the driver's, the top being 0; [`NO_DEVICE`] if none is.
    pub own: U16,
    /// 0.
    pub reserved2: U16,
}

/// [`VolumeRecord::own`] where nothing is attached.
pub const NO_DEVICE: u16 = u16::MAX;

/// What a record is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A file system: its control device.
    FileSystem = 1,
    /// A mounted volume.
    Volume = 2,
}

impl Kind {
    /// The kind of that number.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::FileSystem),
            2 => Some(Self::Volume),
            _ => None,
        }
    }
}

/// Why something is not filtered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Reason {
    /// It is filtered.
    Attached = 0,
    /// The settings leave devices of its class alone.
    Policy = 1,
    /// A program asked for it to be detached.
    Detached = 2,
    /// `IoBlockLegacyFsFilters` keeps legacy filters off.
    Blocked = 3,
    /// It is a direct access (DAX) volume.
    DirectAccess = 4,
    /// Attaching failed with the status of the record.
    Refused = 5,
    /// Nothing is known: it is being mounted at this moment, or the driver had no memory to
    /// remember the reason.
    Unknown = 6,
}

impl Reason {
    /// The reason of that number.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Attached),
            1 => Some(Self::Policy),
            2 => Some(Self::Detached),
            3 => Some(Self::Blocked),
            4 => Some(Self::DirectAccess),
            5 => Some(Self::Refused),
            6 => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// [`VolumeRecord::class`]: what decides whether the settings have it filtered.
pub mod class {
    /// A file system on disks.
    pub const DISK: u8 = 1;
    /// A file system on CD or DVD media.
    pub const CD_ROM: u8 = 2;
    /// A network redirector.
    pub const NETWORK: u8 = 3;
    /// The distributed file system.
    pub const DFS: u8 = 4;
    /// RAW.
    pub const RAW: u8 = 5;
    /// A shadow copy.
    pub const SHADOW_COPY: u8 = 6;
    /// Anything else.
    pub const OTHER: u8 = 7;
}
