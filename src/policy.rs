//! Which file systems and volumes are filtered (A8).
//!
//! | what | recognized by | filtered | changed with |
//! |---|---|---|---|
//! | a file system on disks | type of its devices | yes | `AttachDisk` |
//! | a file system on CD or DVD media | type of its devices | yes | `AttachCdRom` |
//! | a network redirector, the multiple UNC provider | type of its device | yes | `AttachNetwork` |
//! | a device of the distributed file system | type of its device | no: it only translates names, and the redirector below sees the requests | `AttachDfs` |
//! | RAW, for volumes that no file system knows | its driver, `\FileSystem\RAW` | yes | `AttachRaw` |
//! | a volume of a shadow copy | its storage belongs to `\Driver\VolSnap` and cannot be written | no: it is a picture of a volume that was filtered, and its life is short | `AttachShadowCopies` |
//! | the recognizer | its driver, `\FileSystem\Fs_Rec` | no: it mounts nothing | – |
//! | anything else | – | no | – |

use fsglass_protocol::{attach, class};
use wdm::device::{DeviceKind, DeviceObject};
use wdm::driver::{Driver, Filter};
use wdm::irp::{self, Question};
use wdm::irql::Passive;
use wdm::status::Status;
use wdm::unicode;
use wdm::unicode::UnicodeStr;

/// What a device is, as far as the policy asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A file system on disks, or a volume of one.
    Disk,
    /// A file system on CD or DVD media, or a volume of one.
    CdRom,
    /// A network redirector.
    Network,
    /// The distributed file system.
    Dfs,
    /// RAW, or a volume that it has mounted.
    Raw,
    /// A volume of a shadow copy.
    ShadowCopy,
    /// The file-system recognizer.
    Recognizer,
    /// Nothing that the filter knows.
    Other,
}

impl Class {
    /// The class of a file system, by its control device or any other device of it. The recognizer is
    /// no file system (A4).
    pub fn of_file_system(device: &DeviceObject, level: &mut Passive) -> Self {
        if device.driver_is_named(unicode!(r"\FileSystem\Fs_Rec"), level) {
            return Self::Recognizer;
        }
        if device.driver_is_named(unicode!(r"\FileSystem\RAW"), level) {
            return Self::Raw;
        }
        match device.kind() {
            DeviceKind::DiskFileSystem => Self::Disk,
            DeviceKind::CdRomFileSystem => Self::CdRom,
            DeviceKind::NetworkFileSystem => Self::Network,
            DeviceKind::DistributedFileSystem => Self::Dfs,
            DeviceKind::Other(_) => Self::Other,
        }
    }

    /// As the list of volumes has it.
    pub const fn number(self) -> u8 {
        match self {
            Self::Disk => class::DISK,
            Self::CdRom => class::CD_ROM,
            Self::Network => class::NETWORK,
            Self::Dfs => class::DFS,
            Self::Raw => class::RAW,
            Self::ShadowCopy => class::SHADOW_COPY,
            Self::Recognizer | Self::Other => class::OTHER,
        }
    }

    /// The class of a volume that is mounted on `storage`.
    pub fn of_volume<F: Filter>(
        driver: &Driver<F>,
        volume: &DeviceObject,
        storage: &DeviceObject,
        level: &mut Passive,
    ) -> Self {
        if is_shadow_copy(driver, storage, level) {
            Self::ShadowCopy
        } else {
            Self::of_file_system(volume, level)
        }
    }
}

/// The snapshot driver has two sorts of devices: filters of volumes, and volumes of its own. Only
/// the latter carry a file system, and they cannot be written.
fn is_shadow_copy<F: Filter>(
    driver: &Driver<F>,
    storage: &DeviceObject,
    level: &mut Passive,
) -> bool {
    let cannot_be_written = Err(Status::MEDIA_WRITE_PROTECTED);
    storage.driver_is_named(unicode!(r"\Driver\VolSnap"), level)
        && irp::ask(driver, storage, Question::IS_WRITABLE, level) == cannot_be_written
}

/// Which classes are filtered.
#[derive(Clone, Copy)]
pub struct Policy {
    disk: bool,
    cd_rom: bool,
    network: bool,
    dfs: bool,
    raw: bool,
    shadow_copies: bool,
}

impl Policy {
    /// With no value in the registry.
    pub const DEFAULT: Self = Self {
        disk: true,
        cd_rom: true,
        network: true,
        dfs: false,
        raw: true,
        shadow_copies: false,
    };

    /// The policy of the registry; `switch` reads one value and knows what to do without it.
    pub fn read(mut switch: impl FnMut(UnicodeStr<'static>, bool) -> bool) -> Self {
        Self {
            disk: switch(unicode!("AttachDisk"), Self::DEFAULT.disk),
            cd_rom: switch(unicode!("AttachCdRom"), Self::DEFAULT.cd_rom),
            network: switch(unicode!("AttachNetwork"), Self::DEFAULT.network),
            dfs: switch(unicode!("AttachDfs"), Self::DEFAULT.dfs),
            raw: switch(unicode!("AttachRaw"), Self::DEFAULT.raw),
            shadow_copies: switch(unicode!("AttachShadowCopies"), Self::DEFAULT.shadow_copies),
        }
    }

    /// As the settings reply has it.
    pub const fn bits(self) -> u32 {
        const fn bit(on: bool, bit: u32) -> u32 {
            if on { bit } else { 0 }
        }
        bit(self.disk, attach::DISK)
            | bit(self.cd_rom, attach::CD_ROM)
            | bit(self.network, attach::NETWORK)
            | bit(self.dfs, attach::DFS)
            | bit(self.raw, attach::RAW)
            | bit(self.shadow_copies, attach::SHADOW_COPIES)
    }

    /// Whether devices of that class are filtered.
    pub const fn filters(self, class: Class) -> bool {
        match class {
            Class::Disk => self.disk,
            Class::CdRom => self.cd_rom,
            Class::Network => self.network,
            Class::Dfs => self.dfs,
            Class::Raw => self.raw,
            Class::ShadowCopy => self.shadow_copies,
            Class::Recognizer | Class::Other => false,
        }
    }
}
