//! The information structures as bytes: what is read from them, and which
//! bytes of them depend on the moment or the host and are left out of comparisons.

#![expect(
    non_upper_case_globals,
    reason = "information classes keep the DDI's names"
)]

use crate::file_system::volume::attribute;
use crate::nt::*;
use crate::user::Outcome;

/// Which part of a result's data is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// All of it.
    None,
    /// None of it: status and count alone.
    All,
    /// File information of a class without times, ids and what room a sparse file has.
    File(i32),
    /// Directory entries of a class without the same.
    Directory(i32),
    /// Records of changes of a class without the same.
    Changes(i32),
    /// Volume information of a class without serial numbers and free space.
    Volume(i32),
}

/// The data with its changing parts zeroed.
pub fn masked(mask: Mask, data: &[u8]) -> Vec<u8> {
    let mut data = match mask {
        Mask::All => return Vec::new(),
        _ => data.to_vec(),
    };
    match mask {
        Mask::None | Mask::All => {}
        Mask::File(FileHardLinkInformation) => each_entry(&mut data, 8, &[(8, 16)], None),
        Mask::File(class) => {
            zero(&mut data, file_ranges(class));
            forget_room(&mut data, file_room(class));
        }
        Mask::Volume(class) => zero(&mut data, volume_ranges(class)),
        Mask::Directory(FileNamesInformation) => each_entry(&mut data, 0, &[(4, 8)], None),
        Mask::Directory(class) => each_entry(&mut data, 0, entry_ranges(class), ENTRY_ROOM),
        Mask::Changes(DirectoryNotifyInformation) => {}
        Mask::Changes(_) => each_entry(&mut data, 0, &[(8, 40), (64, 80)], CHANGE_ROOM),
    }
    data
}

/// Where a structure has the bytes that a file has room for, and its attributes.
type Room = Option<(usize, usize)>;

const ENTRY_ROOM: Room = Some((48, 56));
const CHANGE_ROOM: Room = Some((40, 56));

fn file_room(class: i32) -> Room {
    match class {
        FileNetworkOpenInformation => Some((32, 48)),
        FileAllInformation => Some((40, 32)),
        FileStatInformation => Some((40, 56)),
        _ => None,
    }
}

/// A sparse file gets room when what is cached or mapped of it is written: that is a matter of the moment.
fn forget_room(data: &mut [u8], room: Room) {
    if let Some((room, attributes)) = room
        && u32_at(data, attributes) & attribute::SPARSE_FILE != 0
    {
        zero(data, &[(room, room + 8)]);
    }
}

/// Zeroes the ranges in each entry of a list that begins at `at`.
fn each_entry(data: &mut [u8], mut at: usize, ranges: &[(usize, usize)], room: Room) {
    while let Some(entry) = data.get_mut(at..) {
        let next = u32_at(entry, 0) as usize;
        zero(entry, ranges);
        forget_room(entry, room);
        if next == 0 {
            break;
        }
        at += next;
    }
}

fn zero(data: &mut [u8], ranges: &[(usize, usize)]) {
    for (from, to) in ranges {
        let to = (*to).min(data.len());
        if let Some(bytes) = data.get_mut((*from).min(to)..to) {
            bytes.fill(0);
        }
    }
}

fn file_ranges(class: i32) -> &'static [(usize, usize)] {
    match class {
        FileBasicInformation | FileNetworkOpenInformation => &[(0, 32)],
        FileInternalInformation => &[(0, 8)],
        FileIdInformation => &[(0, 24)],
        // Times, and the file's id.
        FileAllInformation => &[(0, 32), (64, 72)],
        FileStatInformation => &[(0, 40)],
        // Room, of a file that may be sparse: they do not say.
        FileStandardInformation | FileCompressionInformation => &[(0, 8)],
        _ => &[],
    }
}

fn volume_ranges(class: i32) -> &'static [(usize, usize)] {
    match class {
        FileFsVolumeInformation => &[(0, 12)],
        FileFsSizeInformation => &[(0, 16)],
        FileFsFullSizeInformation => &[(0, 24)],
        FileFsObjectIdInformation => &[(0, 64)],
        _ => &[],
    }
}

fn entry_ranges(class: i32) -> &'static [(usize, usize)] {
    match class {
        FileIdBothDirectoryInformation => &[(4, 40), (96, 104)],
        FileIdFullDirectoryInformation => &[(4, 40), (72, 80)],
        _ => &[(4, 40)],
    }
}

/// A little-endian number in data; zero behind its end.
pub fn u32_at(data: &[u8], at: usize) -> u32 {
    data.get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

/// A little-endian number in data; zero behind its end.
pub fn i64_at(data: &[u8], at: usize) -> i64 {
    data.get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, i64::from_le_bytes)
}

/// A control about room for clusters, with its input and the room for its output: which one, `draw` says.
pub fn room_control(draw: u8, offset: i64, length: u32) -> (u32, Vec<u8>, u32) {
    let end = offset + i64::from(length);
    let range = |second: i64| {
        [offset, second]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    match draw % 4 {
        0 => (FSCTL_SET_SPARSE, vec![(!draw.is_multiple_of(3)).into()], 0),
        1 => (FSCTL_SET_ZERO_DATA, range(end), 0),
        // Of a file whose zeroes do not end with clusters.
        2 => (FSCTL_SET_ZERO_DATA, range(end - 100), 0),
        _ => (FSCTL_QUERY_ALLOCATED_RANGES, range(end), 1024),
    }
}

/// What is compared of a control about room: of which ranges have some, that it was told.
pub fn told_of_room(code: u32, outcome: Outcome) -> Outcome {
    match code {
        FSCTL_QUERY_ALLOCATED_RANGES => Outcome {
            information: 0,
            data: Vec::new(),
            ..outcome
        },
        _ => outcome,
    }
}

/// `FILE_NAME_INFORMATION`, as a short name is set by.
pub fn name_information(name: &str) -> Vec<u8> {
    let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut bytes = (units.len() as u32).to_le_bytes().to_vec();
    bytes.extend(units);
    // The structure has room for one unit, and is padded.
    bytes.resize(bytes.len().max(size_of::<FILE_NAME_INFORMATION>()), 0);
    bytes
}

/// A list of one extended attribute, as `NtSetEaFile` takes it.
pub fn extended_attribute(name: &str, value: &[u8]) -> Vec<u8> {
    let mut list = vec![0, 0, 0, 0, 0, name.len() as u8];
    list.extend((value.len() as u16).to_le_bytes());
    list.extend(name.bytes().chain([0]).chain(value.iter().copied()));
    list
}

/// The `FILE_FS_LABEL_INFORMATION` that leaves the label as it is in `volume`, a
/// `FILE_FS_VOLUME_INFORMATION`.
pub fn label_again(volume: &[u8]) -> Vec<u8> {
    let length = u32_at(volume, 12) as usize;
    let label = volume.get(18..18 + length).unwrap_or_default();
    let mut information = (label.len() as u32).to_le_bytes().to_vec();
    information.extend(label);
    // The structure has room for one unit, and is padded.
    information.resize(
        information
            .len()
            .max(size_of::<FILE_FS_LABEL_INFORMATION>()),
        0,
    );
    information
}

/// An entry of a directory listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// File name.
    pub name: String,
    /// `None` where the class has names only.
    pub size: Option<i64>,
    /// `FILE_ATTRIBUTE_*`, where the class has them.
    pub attributes: Option<u32>,
}

/// `OWNER_ | GROUP_ | DACL_SECURITY_INFORMATION`.
pub const OWNER_GROUP_DACL: u32 = 7;

/// File-system controls that change nothing without an oplock; the last ones nobody knows, one for
/// each way to pass buffers.
pub const FS_CONTROLS: [u32; 8] = [
    FSCTL_GET_COMPRESSION,
    FSCTL_IS_VOLUME_MOUNTED,
    FSCTL_GET_REPARSE_POINT,
    FSCTL_OPLOCK_BREAK_NOTIFY,
    FSCTL_OPLOCK_BREAK_ACKNOWLEDGE,
    0x0009_3FFC,
    0x0009_3FFE,
    0x0009_3FFF,
];

/// Device controls that only ask.
pub const DEVICE_CONTROLS: [u32; 3] = [
    IOCTL_DISK_GET_DRIVE_GEOMETRY,
    IOCTL_STORAGE_GET_DEVICE_NUMBER,
    IOCTL_DISK_IS_WRITABLE,
];

/// The classes a program lists directories with.
pub const DIRECTORY_CLASSES: [i32; 6] = [
    FileBothDirectoryInformation,
    FileDirectoryInformation,
    FileFullDirectoryInformation,
    FileNamesInformation,
    FileIdBothDirectoryInformation,
    FileIdFullDirectoryInformation,
];

/// The classes of records that tell of changes.
pub const CHANGE_CLASSES: [i32; 3] = [
    DirectoryNotifyInformation,
    DirectoryNotifyExtendedInformation,
    DirectoryNotifyFullInformation,
];

/// The name in the first record of changes of `class`, as bytes.
pub fn changed_name(class: i32, data: &[u8]) -> Option<&[u8]> {
    let (length_at, name_at) = match class {
        DirectoryNotifyInformation => (8, 12),
        _ => (80, 84),
    };
    let length = match class {
        // Flags are behind it.
        DirectoryNotifyFullInformation => u32_at(data, length_at) & 0xFFFF,
        _ => u32_at(data, length_at),
    };
    data.get(name_at..name_at + length as usize)
}

/// The entries in a directory query's data.
pub fn directory_entries(class: i32, data: &[u8]) -> Vec<DirectoryEntry> {
    let (length_at, name_at) = match class {
        FileNamesInformation => (8, 12),
        FileDirectoryInformation => (60, 64),
        FileFullDirectoryInformation => (60, 68),
        FileIdFullDirectoryInformation => (60, 80),
        FileIdBothDirectoryInformation => (60, 104),
        _ => (60, 94),
    };
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some(entry) = data.get(at..)
        && entry.len() >= name_at
    {
        let length = u32_at(entry, length_at) as usize;
        let units: Vec<u16> = entry
            .get(name_at..name_at + length)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect();
        let whole = class != FileNamesInformation;
        entries.push(DirectoryEntry {
            name: String::from_utf16_lossy(&units),
            size: whole.then(|| i64_at(entry, 40)),
            attributes: whole.then(|| u32_at(entry, 56)),
        });
        match u32_at(entry, 0) as usize {
            0 => break,
            next => at += next,
        }
    }
    entries
}

/// `FILE_BASIC_INFORMATION`; a time of zero is left as it is.
pub fn basic_information(
    creation: i64,
    access: i64,
    write: i64,
    change: i64,
    attributes: u32,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    for time in [creation, access, write, change] {
        bytes.extend(time.to_le_bytes());
    }
    bytes.extend(attributes.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

/// `FILE_RENAME_INFORMATION` and `FILE_LINK_INFORMATION`, of the Ex classes with `flags`, of the others with nothing
/// but `FILE_RENAME_REPLACE_IF_EXISTS`.
pub fn rename_information(name: &str, flags: u32) -> Vec<u8> {
    let units: Vec<u16> = name.encode_utf16().collect();
    let mut bytes = flags.to_le_bytes().to_vec();
    bytes.extend([0; 12]);
    bytes.extend((units.len() as u32 * 2).to_le_bytes());
    units
        .iter()
        .for_each(|unit| bytes.extend(unit.to_le_bytes()));
    // The structure ends with one unit and its padding whatever the name's length.
    bytes.resize(bytes.len().max(24), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(next: u32, name: &str, size: i64) -> Vec<u8> {
        let mut bytes = vec![0; 94];
        bytes[..4].copy_from_slice(&next.to_le_bytes());
        bytes[8..40].fill(7);
        bytes[40..48].copy_from_slice(&size.to_le_bytes());
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes[60..64].copy_from_slice(&(units.len() as u32).to_le_bytes());
        bytes.extend(units);
        bytes
    }

    #[test]
    fn entries_are_walked_and_their_times_masked() {
        let mut data = entry(104, "ab", 5);
        data.resize(104, 0);
        data.extend(entry(0, "xyz", 9));
        let found = directory_entries(FileBothDirectoryInformation, &data);
        let names: Vec<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["ab", "xyz"]);
        assert_eq!(found[1].size, Some(9));
        let masked = masked(Mask::Directory(FileBothDirectoryInformation), &data);
        assert_eq!(masked[8..40], [0; 32]);
        assert_eq!(masked[112..144], [0; 32]);
        assert_eq!(masked[40], 5);
    }

    #[test]
    fn room_is_compared_of_files_that_are_not_sparse() {
        for (mask, room, attributes) in [
            (Mask::File(FileNetworkOpenInformation), 32, 48),
            (Mask::File(FileAllInformation), 40, 32),
            (Mask::File(FileStatInformation), 40, 56),
            (Mask::Directory(FileBothDirectoryInformation), 48, 56),
            (Mask::Changes(DirectoryNotifyExtendedInformation), 40, 56),
        ] {
            let data = |bytes: u8, file: u32| {
                let mut data = vec![0; 104];
                data[room] = bytes;
                data[attributes..attributes + 4].copy_from_slice(&file.to_le_bytes());
                masked(mask, &data)
            };
            let sparse = attribute::SPARSE_FILE | attribute::ARCHIVE;
            assert_eq!(data(1, sparse), data(2, sparse), "{mask:?}");
            let plain = attribute::ARCHIVE;
            assert_ne!(data(1, plain), data(2, plain), "{mask:?}");
        }
    }

    #[test]
    fn times_are_not_compared_and_sizes_are() {
        let early = basic_information(1, 2, 3, 4, 0x20);
        let late = basic_information(5, 6, 7, 8, 0x20);
        let other = basic_information(1, 2, 3, 4, 0x80);
        let mask = |data: &[u8]| masked(Mask::File(FileBasicInformation), data);
        assert_eq!(mask(&early), mask(&late));
        assert_ne!(mask(&early), mask(&other));
        assert_eq!(masked(Mask::All, &early), Vec::<u8>::new());
    }

    #[test]
    fn of_changes_names_and_sizes_are_compared() {
        let record = |class, size: u8, time: u8| {
            let mut bytes = vec![0; 84];
            bytes[8..40].fill(time);
            bytes[64..80].fill(time);
            (bytes[48], bytes[80]) = (size, 2);
            if class == DirectoryNotifyFullInformation {
                bytes[82] = 0x80;
            }
            bytes.extend([b'x', 0]);
            bytes
        };
        for class in [
            DirectoryNotifyExtendedInformation,
            DirectoryNotifyFullInformation,
        ] {
            let mask = |data: &[u8]| masked(Mask::Changes(class), data);
            let one = record(class, 1, 1);
            assert_eq!(mask(&one), mask(&record(class, 1, 2)));
            assert_ne!(mask(&one), mask(&record(class, 2, 1)));
            assert_eq!(changed_name(class, &one), Some(&b"x\0"[..]));
        }
    }

    #[test]
    fn rename_information_is_as_long_as_its_structure() {
        assert_eq!(rename_information("a", 0).len(), 24);
        let long = rename_information("abcd", FILE_RENAME_REPLACE_IF_EXISTS);
        assert_eq!((long[0], u32_at(&long, 16), long.len()), (1, 8, 28));
    }
}
