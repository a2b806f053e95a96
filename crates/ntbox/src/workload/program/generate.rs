//! How operations are drawn.

use super::super::layout::{CHANGE_CLASSES, DEVICE_CONTROLS, DIRECTORY_CLASSES, FS_CONTROLS};
use super::operation::{
    Answer, BLOCK, Create, Exchange, Locked, NAMES, Name, Opening, Operation, OplockKind, Part,
    Removal, SLOTS, Touch,
};
use crate::nt::*;
use crate::user::Writer;
use crate::user::access::{DELETE, FILE_LIST_DIRECTORY, READ, SYNCHRONIZE, WRITE};

const FILE_CLASSES: [i32; 18] = [
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
    FileHardLinkInformation,
    FileStandardLinkInformation,
    FileStatInformation,
    FileCaseSensitiveInformation,
    FileAlternateNameInformation,
    FileNormalizedNameInformation,
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
        match random.u8(..123) {
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
                class: CHANGE_CLASSES[random.usize(..CHANGE_CLASSES.len())],
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
                flags: [0, 1, 1, 3, 0x43][random.usize(..5)],
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
                    OplockKind::Caching(OPLOCK_LEVEL_CACHE_READ),
                    OplockKind::Caching(OPLOCK_LEVEL_CACHE_READ | OPLOCK_LEVEL_CACHE_HANDLE),
                    OplockKind::Caching(OPLOCK_LEVEL_CACHE_READ | OPLOCK_LEVEL_CACHE_WRITE),
                    OplockKind::Caching(
                        OPLOCK_LEVEL_CACHE_READ
                            | OPLOCK_LEVEL_CACHE_HANDLE
                            | OPLOCK_LEVEL_CACHE_WRITE,
                    ),
                ][random.usize(..8)],
                opening: [
                    Opening::Read,
                    Opening::Write,
                    Opening::Colliding,
                    Opening::Overwrite,
                    Opening::DoNotWait,
                    Opening::RequiringOplock,
                ][random.usize(..6)],
                touch: [
                    Touch::Nothing,
                    Touch::Read,
                    Touch::Write,
                    Touch::End,
                    Touch::Lock,
                    Touch::Rename,
                    Touch::Delete,
                ][random.usize(..7)],
                answer: [
                    Answer::Acknowledge,
                    Answer::Acknowledge,
                    Answer::NoLevelTwo,
                    Answer::ClosePending,
                    Answer::Close,
                ][random.usize(..5)],
            },
            98..=99 => Self::Dismount {
                lock: random.bool(),
            },
            100..=101 => Self::ExtendedAttributes {
                slot,
                set: random.bool().then(|| random.u16(..300)),
            },
            109..=111 => Self::ByMdl {
                slot,
                block: random.u8(..6),
                blocks: random.u8(1..=2),
                write: random.bool().then(|| random.u8(1..)),
            },
            107..=108 => Self::PageOut {
                slot,
                page: random.u8(..4),
                byte: random.u8(1..),
                writer: Writer::OF_VIEWS[random.usize(..2)],
            },
            102..=104 => Self::Follow {
                at: name(random, volumes),
                to: name(random, volumes),
                mount: random.u8(..3) == 0,
            },
            112..=114 => Self::Map {
                slot,
                writable: random.u8(..3) != 0,
            },
            115 => Self::Unmap { slot },
            116 => Self::Remove {
                how: [Removal::Ask, Removal::TakeOut, Removal::Pull][random.usize(..3)],
            },
            120..=121 => Self::ShortName {
                slot,
                name: ["A~1", "D~1", "A~1", "D~1", ""][random.usize(..5)],
            },
            118..=119 => Self::Room {
                slot,
                draw: random.u8(..),
                block: random.u8(..12),
                blocks: random.u8(1..6),
            },
            117 => Self::TellCase {
                slot,
                on: random.u8(..3) != 0,
            },
            122 => Self::Exchange {
                how: [Exchange::Same, Exchange::Other, Exchange::Nothing][random.usize(..3)],
            },
            105 => Self::Quota {
                slot,
                set: random.bool(),
            },
            _ => Self::Label { slot },
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
        assert_eq!(kinds.len(), 39);
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
