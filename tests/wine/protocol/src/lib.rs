//! What a test program and `fskit.sys` say to each other.
//!
//! The control device answers the requests of [`control`]; it has no filter above it. The volumes
//! are opened by [`volume_path`] and, beside reading and writing, know [`ECHO`].

#![no_std]

/// The control device, as a program opens it.
pub const CONTROL_PATH: &str = r"\\.\Fskit";

/// How many volumes there can be.
pub const VOLUMES: usize = 2;

/// Bytes of a volume.
pub const VOLUME_SIZE: usize = 1 << 20;

/// What a program opens to reach a volume, without its number.
pub const VOLUME_PATH: &str = r"\\.\FskitVolume";

/// Bytes of the allocation unit that a volume reports.
pub const SECTOR_SIZE: u32 = 512;

/// A control request of a volume: the output is the input, each byte inverted.
pub const ECHO: u32 = control_code(0x810);

/// The requests of the control device. All take one u32 unless they say otherwise.
pub mod control {
    use super::control_code;

    /// Takes nothing, gives a [`super::Report`].
    pub const REPORT: u32 = control_code(0x800);
    /// How the volumes answer from now on: an [`super::Answer`].
    pub const ANSWER: u32 = control_code(0x801);
    /// Takes nothing: every request that is held is carried out and completed.
    pub const RELEASE: u32 = control_code(0x802);
    /// Mounts the volume of that number, the way a request of the I/O manager does; the file
    /// system answers it as [`ANSWER`] says.
    pub const MOUNT: u32 = control_code(0x803);
    /// Begins to mount the volume of that number, and does not wait for the end.
    pub const BEGIN_MOUNT: u32 = control_code(0x805);
    /// Dismounts the volume of that number: filters detach, its device is deleted.
    pub const DISMOUNT: u32 = control_code(0x804);
}

/// CTL_CODE of FILE_DEVICE_UNKNOWN, METHOD_BUFFERED, FILE_ANY_ACCESS.
const fn control_code(function: u32) -> u32 {
    0x22 << 16 | function << 2
}

/// When a volume completes a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Answer {
    /// In the dispatch routine.
    AtOnce = 0,
    /// STATUS_PENDING, and from another thread later.
    Later = 1,
    /// From another thread, before the dispatch routine returns STATUS_PENDING.
    BeforeReturn = 2,
    /// STATUS_PENDING, and when the request is released or cancelled.
    Held = 3,
}

impl Answer {
    /// Of its number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::AtOnce),
            1 => Some(Self::Later),
            2 => Some(Self::BeforeReturn),
            3 => Some(Self::Held),
            _ => None,
        }
    }
}

/// A volume that is not mounted, in place of the number of devices above it.
pub const NOT_MOUNTED: u32 = u32::MAX;

/// What `fskit.sys` has seen since it was started, and what is so now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Report {
    /// Requests that reached a volume, by major function.
    pub received: [u32; 28],
    /// Those of them that a driver above has passed on with a completion routine.
    pub through_filter: u32,
    /// Those of them that were completed; IofCompleteRequest has returned.
    pub completed: u32,
    /// Those of them that were cancelled.
    pub cancelled: u32,
    /// Requests that are held now.
    pub held: u32,
    /// Devices above the file system's control device.
    pub above_file_system: u32,
    /// Devices above each volume; or [`NOT_MOUNTED`].
    pub above_volume: [u32; VOLUMES],
    /// Drivers that wait for a mount to end before they are told of file systems.
    pub waiting_for_mounts: u32,
    /// Drivers that are told of file systems.
    pub registrations: u32,
    /// Providers of events.
    pub providers: u32,
    /// Pool blocks that other drivers hold now.
    pub pool_blocks: u32,
    /// Entries that other drivers wrote to the event log.
    pub log_entries: u32,
    /// The code of the last of them.
    pub last_log_code: u32,
}

impl Report {
    /// Requests that reached a volume, of every major function.
    #[must_use]
    pub fn all_received(&self) -> u32 {
        self.received.iter().sum()
    }
}
