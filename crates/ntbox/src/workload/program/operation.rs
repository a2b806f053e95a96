//! What a program does, as values: each operation means something whatever was done before it, so
//! that any of them can be left out of a program.

use super::super::layout::DIRECTORY_CLASSES;
use crate::nt::*;
use crate::user::access::{DELETE, FILE_LIST_DIRECTORY, READ, SYNCHRONIZE, WRITE};
use std::fmt;

/// Handles that a thread can have open.
pub const SLOTS: u8 = 6;

/// Names in a thread's directory. Some are directories in one moment and files in another; two
/// differ in case alone.
pub const NAMES: [&str; 10] = [
    "a", "b", "c", "A", "d1", "d2", r"d1\a", r"d1\b", r"d2\c", "e.txt",
];

/// Bytes of a block: transfers begin and end at blocks.
pub const BLOCK: u32 = 4096;

/// A name on one of the volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Volume 0 is the thread's own; the threads share the others.
    pub volume: u8,
    /// Index in [`NAMES`].
    pub name: u8,
}

/// An open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create {
    /// Where the handle goes; one that is there is closed first.
    pub slot: u8,
    /// What is opened.
    pub at: Name,
    /// The name is relative to the thread's directory.
    pub relative: bool,
    /// `FILE_OPEN`, ….
    pub disposition: u32,
    /// Create options.
    pub options: u32,
    /// Rights asked for.
    pub access: u32,
    /// `FILE_SHARE_*`.
    pub share: u32,
    /// `FILE_ATTRIBUTE_*`.
    pub attributes: u32,
    /// Events are passed with the calls of a synchronous handle, too.
    pub events: bool,
}

/// A transfer among several that are outstanding at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// A write.
    pub write: bool,
    /// Its block.
    pub block: u8,
    /// It is cancelled at once.
    pub cancel: bool,
}

/// Bytes that are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    /// First block.
    pub block: u8,
    /// Blocks.
    pub blocks: u8,
}

/// Which oplock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OplockKind {
    /// `FSCTL_REQUEST_OPLOCK_LEVEL_1`.
    LevelOne,
    /// `FSCTL_REQUEST_OPLOCK_LEVEL_2`.
    LevelTwo,
    /// `FSCTL_REQUEST_BATCH_OPLOCK`.
    Batch,
    /// `FSCTL_REQUEST_FILTER_OPLOCK`.
    Filter,
}

/// How another thread opens the file that has an oplock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// For reading.
    Read,
    /// For reading and writing.
    Write,
    /// For reading and writing, shared with nobody who reads.
    Colliding,
    /// To be overwritten.
    Overwrite,
    /// For reading and writing, without waiting for the end of a break.
    DoNotWait,
}

/// What the other thread does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Nothing.
    Nothing,
    /// A read.
    Read,
    /// A write.
    Write,
    /// A new end of file.
    End,
    /// A lock.
    Lock,
}

/// What the owner of an oplock answers to a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `FSCTL_OPLOCK_BREAK_ACKNOWLEDGE`.
    Acknowledge,
    /// `FSCTL_OPLOCK_BREAK_ACK_NO_2`.
    NoLevelTwo,
    /// `FSCTL_OPBATCH_ACK_CLOSE_PENDING`, then it closes.
    ClosePending,
    /// It closes.
    Close,
}

/// An operation. Those on a slot do nothing if it has no handle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "what a field is stands with its operation")]
pub enum Operation {
    /// Opens or creates.
    Create(Create),
    /// Closes the handle; what is outstanding on it ends and is waited for.
    Close { slot: u8 },
    /// Reads at an offset, or at the current position.
    Read {
        slot: u8,
        offset: Option<i64>,
        length: u32,
    },
    /// Writes, always this byte.
    Write {
        slot: u8,
        offset: Option<i64>,
        length: u32,
        byte: u8,
    },
    /// Several transfers at the same time; they end in any order and are waited for in theirs.
    Overlap { slot: u8, parts: Vec<Part> },
    /// A transfer that the file system holds until it is cancelled.
    Hold { slot: u8, write: bool },
    /// Locks a range; on an asynchronous handle it may stay outstanding.
    Lock {
        slot: u8,
        range: Locked,
        exclusive: bool,
        wait: bool,
    },
    /// Unlocks a range.
    Unlock { slot: u8, range: Locked },
    /// Watches a directory; stays outstanding.
    Watch { slot: u8, filter: u32, tree: bool },
    /// Cancels one of the outstanding requests and waits for it.
    Cancel { which: u8 },
    /// Cancels all requests of the thread on the handle.
    CancelAll { slot: u8 },
    /// Queries information.
    Query { slot: u8, class: i32, length: u32 },
    /// Queries a file's attributes by its name.
    QueryName { at: Name },
    /// Queries volume information.
    QueryVolume { slot: u8, class: i32 },
    /// Queries the security descriptor.
    QuerySecurity { slot: u8 },
    /// Sets the end of the file, or its allocation.
    SetEnd { slot: u8, class: i32, size: i64 },
    /// Sets attributes.
    SetAttributes { slot: u8, attributes: u32 },
    /// Sets the position.
    SetPosition { slot: u8, position: i64 },
    /// Renames the file under its open handle, or gives it another name.
    Rename {
        slot: u8,
        to: Name,
        link: bool,
        replace: bool,
    },
    /// Lets the file be deleted when it is closed, or not.
    Delete { slot: u8, delete: bool },
    /// Lists a directory.
    List {
        slot: u8,
        class: i32,
        pattern: Option<&'static str>,
        restart: bool,
        single: bool,
    },
    /// Flushes.
    Flush { slot: u8 },
    /// A file-system control, or a device control.
    Control { slot: u8, code: u32, device: bool },
    /// Reads a page as a page fault does.
    PageIn { slot: u8, page: u8 },
    /// Asks for an oplock, which another thread may break.
    Oplock {
        at: Name,
        kind: OplockKind,
        opening: Opening,
        touch: Touch,
        answer: Answer,
    },
    /// Dismounts the thread's own volume; handles on it stay open.
    Dismount { lock: bool },
}

/// File-system controls; the last ones nobody knows, one for each way to pass buffers.
const FS_CONTROLS: [u32; 8] = [
    FSCTL_GET_COMPRESSION,
    FSCTL_IS_VOLUME_MOUNTED,
    FSCTL_GET_REPARSE_POINT,
    FSCTL_OPLOCK_BREAK_NOTIFY,
    FSCTL_OPLOCK_BREAK_ACKNOWLEDGE,
    0x0009_3FFC,
    0x0009_3FFE,
    0x0009_3FFF,
];

const DEVICE_CONTROLS: [u32; 3] = [
    IOCTL_DISK_GET_DRIVE_GEOMETRY,
    IOCTL_STORAGE_GET_DEVICE_NUMBER,
    IOCTL_DISK_IS_WRITABLE,
];

const FILE_CLASSES: [i32; 12] = [
    FileBasicInformation,
    FileStandardInformation,
    FileNetworkOpenInformation,
    FileAllInformation,
    FileNameInformation,
    FilePositionInformation,
    FileModeInformation,
    FileAttributeTagInformation,
    FileStreamInformation,
    FileEaInformation,
    FileCompressionInformation,
    FileMaximumInformation,
];

impl Operation {
    /// Operation `number` of a thread: a function of seed, thread and number alone.
    pub fn generate(seed: u64, thread: u32, number: u32, volumes: u8) -> Self {
        let mixed = seed ^ u64::from(thread).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random =
            fastrand::Rng::with_seed(mixed ^ u64::from(number).wrapping_mul(0xD1B5_4A32_D192_ED03));
        let random = &mut random;
        let slot = random.u8(..SLOTS);
        match random.u8(..100) {
            0..=19 => Self::Create(Create::generate(random, slot, volumes)),
            20..=21 => Self::Close { slot },
            22..=29 => {
                let (offset, length) = transfer(random);
                Self::Read {
                    slot,
                    offset,
                    length,
                }
            }
            30..=36 => {
                let (offset, length) = transfer(random);
                Self::Write {
                    slot,
                    offset,
                    length,
                    byte: random.u8(1..),
                }
            }
            37..=43 => Self::Overlap {
                slot,
                parts: parts(random),
            },
            44..=45 => Self::Hold {
                slot,
                write: random.bool(),
            },
            46..=51 => Self::Lock {
                slot,
                range: locked(random),
                exclusive: random.bool(),
                wait: random.bool(),
            },
            52..=54 => Self::Unlock {
                slot,
                range: locked(random),
            },
            55..=58 => Self::Watch {
                slot,
                filter: [0x3, 0x17F, 0x18, 0x1][random.usize(..4)],
                tree: random.bool(),
            },
            59..=62 => Self::Cancel {
                which: random.u8(..8),
            },
            63 => Self::CancelAll { slot },
            64..=68 => Self::Query {
                slot,
                class: FILE_CLASSES[random.usize(..FILE_CLASSES.len())],
                length: [512, 512, 100, 8][random.usize(..4)],
            },
            69 => Self::QueryName {
                at: name(random, volumes),
            },
            70 => Self::QueryVolume {
                slot,
                class: random.i32(FileFsVolumeInformation..=FileFsSectorSizeInformation),
            },
            71 => Self::QuerySecurity { slot },
            72..=74 => Self::SetEnd {
                slot,
                class: [FileEndOfFileInformation, FileAllocationInformation][random.usize(..2)],
                size: i64::from(random.u32(..20) * 1000),
            },
            75 => Self::SetAttributes {
                slot,
                attributes: [0x20, 0x80, 0x22, 0x1][random.usize(..4)],
            },
            76 => Self::SetPosition {
                slot,
                position: i64::from(random.u32(..8) * 512),
            },
            77..=81 => Self::Rename {
                slot,
                to: name(random, volumes),
                link: random.u8(..4) == 0,
                replace: random.bool(),
            },
            82..=84 => Self::Delete {
                slot,
                delete: random.u8(..3) != 0,
            },
            85..=88 => Self::List {
                slot,
                class: DIRECTORY_CLASSES[random.usize(..DIRECTORY_CLASSES.len())],
                pattern: [None, None, Some("*"), Some("?"), Some("*.txt")][random.usize(..5)],
                restart: random.bool(),
                single: random.bool(),
            },
            89 => Self::Flush { slot },
            90..=91 => Self::Control {
                slot,
                code: FS_CONTROLS[random.usize(..FS_CONTROLS.len())],
                device: false,
            },
            92 => Self::Control {
                slot,
                code: DEVICE_CONTROLS[random.usize(..DEVICE_CONTROLS.len())],
                device: true,
            },
            93 => Self::PageIn {
                slot,
                page: random.u8(..4),
            },
            94..=97 => Self::Oplock {
                at: name(random, volumes),
                kind: [
                    OplockKind::LevelOne,
                    OplockKind::LevelTwo,
                    OplockKind::Batch,
                    OplockKind::Filter,
                ][random.usize(..4)],
                opening: [
                    Opening::Read,
                    Opening::Write,
                    Opening::Colliding,
                    Opening::Overwrite,
                    Opening::DoNotWait,
                ][random.usize(..5)],
                touch: [
                    Touch::Nothing,
                    Touch::Read,
                    Touch::Write,
                    Touch::End,
                    Touch::Lock,
                ][random.usize(..5)],
                answer: [
                    Answer::Acknowledge,
                    Answer::Acknowledge,
                    Answer::NoLevelTwo,
                    Answer::ClosePending,
                    Answer::Close,
                ][random.usize(..5)],
            },
            _ => Self::Dismount {
                lock: random.bool(),
            },
        }
    }
}

impl Create {
    fn generate(random: &mut fastrand::Rng, slot: u8, volumes: u8) -> Self {
        let at = name(random, volumes);
        // Mostly of the type that the name suggests.
        let directory = matches!(at.name, 4 | 5) != (random.u8(..10) == 0);
        let kind = match (directory, random.u8(..8)) {
            (_, 0) => 0,
            (true, _) => FILE_DIRECTORY_FILE,
            (false, _) => FILE_NON_DIRECTORY_FILE,
        };
        let more = [
            0,
            0,
            0,
            FILE_WRITE_THROUGH,
            FILE_NO_INTERMEDIATE_BUFFERING,
            FILE_SEQUENTIAL_ONLY,
            FILE_DELETE_ON_CLOSE,
            FILE_OPEN_FOR_BACKUP_INTENT,
        ][random.usize(..8)];
        let synchronous = [0, FILE_SYNCHRONOUS_IO_NONALERT][random.usize(..2)];
        let disposition = [
            FILE_OPEN,
            FILE_OPEN_IF,
            FILE_OPEN_IF,
            FILE_OPEN_IF,
            FILE_CREATE,
            FILE_OVERWRITE,
            FILE_OVERWRITE_IF,
            FILE_SUPERSEDE,
        ][random.usize(..8)];
        let access = [
            READ | WRITE | DELETE,
            READ | WRITE | DELETE,
            READ | WRITE | DELETE,
            READ | WRITE,
            READ,
            FILE_LIST_DIRECTORY | DELETE | SYNCHRONIZE,
            0x4 | SYNCHRONIZE,
        ][random.usize(..7)];
        Self {
            slot,
            at,
            relative: random.u8(..4) == 0,
            disposition,
            options: kind | more | synchronous,
            access,
            share: [7, 7, 7, 7, 3, 1, 0][random.usize(..7)],
            attributes: [0, 0, 0x80, 0x2, 0x1][random.usize(..5)],
            events: random.bool(),
        }
    }
}

fn name(random: &mut fastrand::Rng, volumes: u8) -> Name {
    Name {
        volume: random.u8(..volumes.max(1)),
        name: random.u8(..NAMES.len() as u8),
    }
}

fn transfer(random: &mut fastrand::Rng) -> (Option<i64>, u32) {
    let offset = i64::from(random.u32(..12) * BLOCK);
    let offset = (random.u8(..3) != 0).then_some(offset);
    (offset, random.u32(1..=3) * BLOCK)
}

fn locked(random: &mut fastrand::Rng) -> Locked {
    Locked {
        block: random.u8(..4) * 2,
        blocks: 2 * random.u8(1..3),
    }
}

/// Transfers of different blocks, but for reads, which may have theirs in common: what a read gives
/// while the same bytes are written is not promised.
fn parts(random: &mut fastrand::Rng) -> Vec<Part> {
    let mut blocks: Vec<u8> = (0..12).collect();
    random.shuffle(&mut blocks);
    let count = random.usize(2..=6);
    let mut parts: Vec<Part> = blocks
        .into_iter()
        .take(count)
        .map(|block| Part {
            write: random.bool(),
            block,
            cancel: random.u8(..6) == 0,
        })
        .collect();
    if let Some(again) = parts.iter().find(|part| !part.write).copied() {
        parts.push(again);
    }
    parts
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.get(usize::from(self.name)).unwrap_or(&"?");
        write!(f, "V{}:\\{name}", self.volume)
    }
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "blocks {} to {}",
            self.block,
            self.block + self.blocks - 1
        )
    }
}

/// `at OFFSET`, or where that is.
struct At(Option<i64>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(offset) => write!(f, "at {offset}"),
            None => f.write_str("at the current position"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(create) => create.fmt(f),
            Self::Close { slot } => write!(f, "close handle {slot}"),
            Self::Read {
                slot,
                offset,
                length,
            } => {
                write!(f, "read {length} bytes {} by handle {slot}", At(*offset))
            }
            Self::Write {
                slot,
                offset,
                length,
                byte,
            } => {
                write!(
                    f,
                    "write {length} bytes {byte:#04x} {} by handle {slot}",
                    At(*offset)
                )
            }
            Self::Overlap { slot, parts } => {
                write!(f, "at the same time by handle {slot}:")?;
                for part in parts {
                    let what = if part.write { "write" } else { "read" };
                    let cancel = if part.cancel { " and cancel it" } else { "" };
                    write!(f, " {what} block {}{cancel},", part.block)?;
                }
                f.write_str(" wait for all")
            }
            Self::Hold { slot, write } => {
                let what = if *write { "write" } else { "read" };
                write!(f, "{what} by handle {slot}, to be cancelled")
            }
            Self::Lock {
                slot,
                range,
                exclusive,
                wait,
            } => {
                let exclusive = if *exclusive { "exclusively" } else { "shared" };
                let wait = if *wait { ", waiting" } else { "" };
                write!(f, "lock {range} {exclusive} by handle {slot}{wait}")
            }
            Self::Unlock { slot, range } => write!(f, "unlock {range} by handle {slot}"),
            Self::Watch { slot, filter, tree } => {
                let tree = if *tree { " with its tree" } else { "" };
                write!(
                    f,
                    "watch the directory of handle {slot}{tree} for {filter:#x}"
                )
            }
            Self::Cancel { which } => write!(f, "cancel outstanding request {which}"),
            Self::CancelAll { slot } => write!(f, "cancel all requests on handle {slot}"),
            Self::Query {
                slot,
                class,
                length,
            } => {
                write!(
                    f,
                    "query information {class} of handle {slot} into {length} bytes"
                )
            }
            Self::QueryName { at } => write!(f, "query the attributes of {at}"),
            Self::QueryVolume { slot, class } => {
                write!(f, "query volume information {class} of handle {slot}")
            }
            Self::QuerySecurity { slot } => write!(f, "query security of handle {slot}"),
            Self::SetEnd { slot, class, size } => {
                let what = if *class == FileAllocationInformation {
                    "allocation"
                } else {
                    "end"
                };
                write!(f, "set {what} of handle {slot} to {size}")
            }
            Self::SetAttributes { slot, attributes } => {
                write!(f, "set attributes of handle {slot} to {attributes:#x}")
            }
            Self::SetPosition { slot, position } => {
                write!(f, "set position of handle {slot} to {position}")
            }
            Self::Rename {
                slot,
                to,
                link,
                replace,
            } => {
                let what = if *link { "link" } else { "rename" };
                let replace = if *replace { ", replacing" } else { "" };
                write!(f, "{what} the file of handle {slot} to {to}{replace}")
            }
            Self::Delete { slot, delete } => {
                let what = if *delete { "delete" } else { "keep" };
                write!(f, "{what} the file of handle {slot}")
            }
            Self::List {
                slot,
                class,
                pattern,
                restart,
                single,
            } => {
                write!(f, "list the directory of handle {slot} (class {class}")?;
                if let Some(pattern) = pattern {
                    write!(f, ", {pattern}")?;
                }
                let restart = if *restart { ", from its start" } else { "" };
                let single = if *single { ", one entry" } else { "" };
                write!(f, "{restart}{single})")
            }
            Self::Flush { slot } => write!(f, "flush handle {slot}"),
            Self::Control { slot, code, device } => {
                let what = if *device { "device" } else { "file-system" };
                write!(f, "{what} control {code:#010x} on handle {slot}")
            }
            Self::PageIn { slot, page } => write!(f, "page in page {page} of handle {slot}"),
            Self::Oplock {
                at,
                kind,
                opening,
                touch,
                answer,
            } => write!(
                f,
                "oplock {kind:?} on {at}; another thread opens it ({opening:?}) and touches it ({touch:?}); answered by {answer:?}"
            ),
            Self::Dismount { lock } => {
                let lock = if *lock { "lock and " } else { "" };
                write!(f, "{lock}dismount V0:")
            }
        }
    }
}

impl fmt::Display for Create {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disposition = [
            "supersede",
            "open",
            "create",
            "open or create",
            "overwrite",
            "overwrite or create",
        ]
        .get(self.disposition as usize)
        .unwrap_or(&"?");
        write!(f, "{disposition} {} as handle {}", self.at, self.slot)?;
        for (option, text) in [
            (FILE_DIRECTORY_FILE, "directory"),
            (FILE_NON_DIRECTORY_FILE, "file"),
            (FILE_SYNCHRONOUS_IO_NONALERT, "synchronous"),
            (FILE_WRITE_THROUGH, "write-through"),
            (FILE_NO_INTERMEDIATE_BUFFERING, "not buffered"),
            (FILE_DELETE_ON_CLOSE, "delete on close"),
        ] {
            if self.options & option != 0 {
                write!(f, ", {text}")?;
            }
        }
        let relative = if self.relative { ", relative" } else { "" };
        write!(
            f,
            ", access {:#x}, share {}{relative}",
            self.access, self.share
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn an_operation_is_a_function_of_seed_thread_and_number() {
        let all = |seed, thread| -> Vec<Operation> {
            (0..300)
                .map(|number| Operation::generate(seed, thread, number, 3))
                .collect()
        };
        assert_eq!(all(1, 1), all(1, 1));
        assert_ne!(all(1, 1), all(2, 1));
        assert_ne!(all(1, 1), all(1, 2));
    }

    #[test]
    fn every_operation_occurs() {
        let kinds: HashSet<_> = (0..2000)
            .map(|number| std::mem::discriminant(&Operation::generate(5, 1, number, 2)))
            .collect();
        assert_eq!(kinds.len(), 26);
    }

    #[test]
    fn what_overlaps_is_not_written() {
        for seed in 0..500 {
            let parts = parts(&mut fastrand::Rng::with_seed(seed));
            for (place, part) in parts.iter().enumerate() {
                let others = parts
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != place);
                let shared = others.clone().any(|(_, other)| other.block == part.block);
                assert!(!(shared && part.write), "{parts:?}");
            }
        }
    }
}
