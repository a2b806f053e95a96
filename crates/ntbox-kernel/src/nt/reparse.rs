//! Reparse points as bytes: `REPARSE_DATA_BUFFER` and `REPARSE_GUID_DATA_BUFFER`.
//!
//! Layouts and limits: DDI of the two structures, of `FSCTL_SET_REPARSE_POINT` and of
//! `FsRtlValidateReparsePointBuffer`.

use super::metadata::{
    NTSTATUS, STATUS_IO_REPARSE_DATA_INVALID, STATUS_IO_REPARSE_TAG_INVALID, SYMLINK_FLAG_RELATIVE,
};

/// `IO_REPARSE_TAG_MOUNT_POINT`.
pub const MOUNT_POINT: u32 = 0xA000_0003;
/// `IO_REPARSE_TAG_SYMLINK`.
pub const SYMBOLIC_LINK: u32 = 0xA000_000C;
/// `IO_REPARSE_TAG_RESERVED_RANGE`: the last value that is no tag.
pub const RESERVED_RANGE: u32 = 2;
/// `IO_REPARSE_TAG_VALID_VALUES`.
const VALID_VALUES: u32 = 0xF000_FFFF;
/// The bit of tags that belong to Microsoft.
const MICROSOFT: u32 = 0x8000_0000;

/// `REPARSE_DATA_BUFFER_HEADER_SIZE`.
pub const HEADER: usize = 8;
/// `REPARSE_GUID_DATA_BUFFER_HEADER_SIZE`.
pub const GUID_HEADER: usize = 24;
/// `MAXIMUM_REPARSE_DATA_BUFFER_SIZE`.
pub const MAXIMUM: usize = 16 * 1024;
/// Where the length of the unparsed name is, in an answer to a create.
pub const UNPARSED: std::ops::Range<usize> = 6..8;

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*field))
}

/// The tag; zero of what is no reparse point.
pub fn tag(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk::<4>()
        .map_or(0, |tag| u32::from_le_bytes(*tag))
}

/// The data's length, as the header says.
pub fn data_length(bytes: &[u8]) -> usize {
    short(bytes, 4).unwrap_or(0).into()
}

/// `UnparsedNameLength`, in bytes.
pub fn unparsed(bytes: &[u8]) -> usize {
    short(bytes, UNPARSED.start).unwrap_or(0).into()
}

/// Whether a header has a GUID behind it.
pub fn has_guid(tag: u32) -> bool {
    tag & MICROSOFT == 0
}

/// The GUID of one that belongs to somebody else than Microsoft.
pub fn guid(bytes: &[u8]) -> Option<&[u8]> {
    let theirs = has_guid(tag(bytes));
    bytes.get(HEADER..GUID_HEADER).filter(|_| theirs)
}

/// Whether `tag` may be one (`IsReparseTagValid`).
pub fn is_tag(tag: u32) -> bool {
    tag & !VALID_VALUES == 0 && tag > RESERVED_RANGE
}

/// Checks a reparse point that is to be set.
///
/// # Errors
/// `STATUS_IO_REPARSE_TAG_INVALID`, `STATUS_IO_REPARSE_DATA_INVALID`.
pub fn check(bytes: &[u8]) -> Result<(), NTSTATUS> {
    if bytes.len() < HEADER || bytes.len() > MAXIMUM {
        return Err(STATUS_IO_REPARSE_DATA_INVALID);
    }
    let tag = tag(bytes);
    if !is_tag(tag) {
        return Err(STATUS_IO_REPARSE_TAG_INVALID);
    }
    let length = data_length(bytes);
    let plain = !has_guid(tag) && bytes.len() == HEADER + length;
    let fits = match tag {
        MOUNT_POINT | SYMBOLIC_LINK => plain && substitute(bytes).is_some(),
        _ => plain || bytes.len() == GUID_HEADER + length,
    };
    if fits {
        Ok(())
    } else {
        Err(STATUS_IO_REPARSE_DATA_INVALID)
    }
}

/// Where a mount point or a symbolic link leads: its substitute name, and whether that is relative.
pub fn substitute(bytes: &[u8]) -> Option<(Vec<u16>, bool)> {
    let (path, relative) = match tag(bytes) {
        MOUNT_POINT => (16, false),
        SYMBOLIC_LINK => {
            let flags = bytes.get(16..)?.first_chunk::<4>()?;
            let relative = u32::from_le_bytes(*flags) & SYMLINK_FLAG_RELATIVE != 0;
            (20, relative)
        }
        _ => return None,
    };
    let name = |at: usize| {
        let offset = path + usize::from(short(bytes, at)?);
        bytes.get(offset..offset + usize::from(short(bytes, at + 2)?))
    };
    // The other name is only shown, and lies in the data all the same.
    name(12)?;
    let units = name(8)?.as_chunks().0.iter();
    let units: Vec<u16> = units.map(|unit| u16::from_le_bytes(*unit)).collect();
    (!units.is_empty()).then_some((units, relative))
}

/// A mount point to `target`, or a symbolic link, which is also what it shows.
pub fn leading_to(tag: u32, target: &[u16], relative: bool) -> Vec<u8> {
    let length = (target.len() * 2) as u16;
    // Both names of a mount point are terminated.
    let end: &[u16] = if tag == MOUNT_POINT { &[0] } else { &[] };
    let second = length + 2 * end.len() as u16;
    let mut data: Vec<u8> = [0, length, second, length]
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect();
    if tag == SYMBOLIC_LINK {
        let flags = if relative { SYMLINK_FLAG_RELATIVE } else { 0 };
        data.extend(flags.to_le_bytes());
    }
    let names = [target, end, target, end].concat();
    data.extend(names.iter().flat_map(|unit| unit.to_le_bytes()));
    let mut bytes = tag.to_le_bytes().to_vec();
    bytes.extend((data.len() as u16).to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(data);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn what_a_link_leads_to_comes_back() {
        for (tag, relative) in [
            (MOUNT_POINT, false),
            (SYMBOLIC_LINK, false),
            (SYMBOLIC_LINK, true),
        ] {
            let bytes = leading_to(tag, &wide("target"), relative);
            assert_eq!(check(&bytes), Ok(()));
            assert_eq!(substitute(&bytes), Some((wide("target"), relative)));
        }
    }

    #[test]
    fn lengths_tags_and_names_are_checked() {
        let link = leading_to(SYMBOLIC_LINK, &wide("x"), true);
        let changed = |at: usize, value: u8| {
            let mut bytes = link.clone();
            bytes[at] = value;
            check(&bytes)
        };
        let data = Err(STATUS_IO_REPARSE_DATA_INVALID);
        assert_eq!(check(&link[..7]), data);
        assert_eq!(check(&link[..link.len() - 1]), data);
        assert_eq!(changed(4, 0), data);
        // A name that would lie behind the end.
        assert_eq!(changed(10, 200), data);
        assert_eq!(changed(12, 200), data);
        let theirs = |tag: u32, header: usize| {
            let mut bytes = tag.to_le_bytes().to_vec();
            bytes.extend([2, 0, 0, 0]);
            bytes.resize(header + 2, 7);
            check(&bytes)
        };
        assert_eq!(theirs(0xBEEF, GUID_HEADER), Ok(()));
        assert_eq!(theirs(0xBEEF, HEADER), data);
        assert_eq!(theirs(0x8000_DEAD, HEADER), Ok(()));
        for tag in [0, 1, 2, 0x8001_0000] {
            assert_eq!(theirs(tag, HEADER), Err(STATUS_IO_REPARSE_TAG_INVALID));
        }
        let mut long = 0xBEEF_u32.to_le_bytes().to_vec();
        long.resize(MAXIMUM + 1, 0);
        assert_eq!(check(&long), data);
    }
}
