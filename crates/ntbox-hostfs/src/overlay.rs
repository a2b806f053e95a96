//! What the host cannot hold of a file, and the record of it that is kept there.
//!
//! A record is `NTBX`, the version and the bytes of all of it (32 bits each), what tells the file from an earlier one of
//! its number ([`Metadata::born`](ntbox_kernel::host::file::Metadata)), and items: tag and length (32 bits
//! each), then that many bytes. All of it is little-endian. An item that is not there says that the
//! file has nothing but what the host says of it. The data of a named stream is a file beside the
//! record, under its name with a dot and the number of the stream behind.

use super::attribute_list::{Attribute, pack, unpack};
use super::record::{Fields, Record};
use ntbox_kernel::host::file::Kind;
use ntbox_kernel::nt::case::upcase;
use ntbox_kernel::nt::reparse;

/// `FILE_ATTRIBUTE_*`.
pub mod attribute {
    #![expect(missing_docs, reason = "the names are the DDI's")]
    pub const READONLY: u32 = 0x1;
    pub const HIDDEN: u32 = 0x2;
    pub const SYSTEM: u32 = 0x4;
    pub const DIRECTORY: u32 = 0x10;
    pub const ARCHIVE: u32 = 0x20;
    pub const NORMAL: u32 = 0x80;
    pub const TEMPORARY: u32 = 0x100;
    pub const SPARSE_FILE: u32 = 0x200;
    pub const REPARSE_POINT: u32 = 0x400;
    pub const OFFLINE: u32 = 0x1000;
    pub const NOT_CONTENT_INDEXED: u32 = 0x2000;
    /// Those that a caller may set.
    pub const SETTABLE: u32 =
        READONLY | HIDDEN | SYSTEM | ARCHIVE | TEMPORARY | OFFLINE | NOT_CONTENT_INDEXED;
}

/// What the host cannot hold of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// NT attributes that a caller may set; none for those that a new file has.
    pub attributes: Option<u32>,
    /// Creation time.
    pub created: Option<i64>,
    /// Change time, valid while the host's is the second one.
    pub changed: Option<(i64, i64)>,
    /// Self-relative security descriptor.
    pub security: Option<Vec<u8>>,
    /// Data of its reparse point, with the header; empty if it has none.
    pub reparse: Vec<u8>,
    /// Extended attributes.
    pub extended_attributes: Vec<Attribute>,
    /// A directory in which names are told apart by case.
    pub case_sensitive: bool,
    /// Its short name.
    pub short_name: Option<ShortName>,
    /// Of a sparse file, the bytes that have room, when it was looked at last.
    pub sparse: Option<u64>,
    /// Its named streams, whose data lies beside the record.
    pub streams: Vec<NamedStream>,
}

/// A name beside the one that an entry of a directory has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortName {
    /// The number of the directory.
    pub parent: u64,
    /// The name of the entry.
    pub long: Vec<u16>,
    /// What it is called, too.
    pub short: Vec<u16>,
}

/// A stream beside the data of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedStream {
    /// Its number in the file.
    pub number: u32,
    /// Its name.
    pub name: Vec<u16>,
}

/// `NTBX` and the version.
const HEAD: [u32; 2] = [u32::from_le_bytes(*b"NTBX"), 1];
/// Bytes in front of the items.
const HEAD_BYTES: usize = 20;
/// Where the bytes of a record are said, and when its file was born.
const LENGTH: std::ops::Range<usize> = 8..12;
const BORN: usize = 12;

/// Tags of items.
mod tag {
    pub const ATTRIBUTES: u32 = 1;
    pub const CREATED: u32 = 2;
    pub const CHANGED: u32 = 3;
    pub const SECURITY: u32 = 4;
    pub const REPARSE: u32 = 5;
    pub const EXTENDED_ATTRIBUTES: u32 = 6;
    /// One for each.
    pub const STREAM: u32 = 7;
    pub const CASE_SENSITIVE: u32 = 8;
    pub const SPARSE: u32 = 9;
    pub const SHORT_NAME: u32 = 10;
}

/// Whether it is a name of eight units and three ([MS-FSCC] 2.1.5.2.1).
pub fn is_short(name: &[u16]) -> bool {
    let good = |unit: &u16| {
        u8::try_from(*unit)
            .is_ok_and(|unit| unit.is_ascii_graphic() && !br#""*+,/:;<=>?[\]|"#.contains(&unit))
    };
    let mut parts = name.split(|unit| *unit == u16::from(b'.'));
    let mut part = |most| parts.next().map(|part| (1..=most).contains(&part.len()));
    let base = part(8) == Some(true);
    let extension = part(3) != Some(false);
    base && extension && parts.next().is_none() && name.iter().all(good)
}

/// Whether it is one as it is kept, in upper case.
fn is_kept_short(name: &[u16]) -> bool {
    is_short(name) && name.iter().all(|unit| upcase(*unit) == *unit)
}

/// The attributes that a new file or directory has if nobody asks for others.
pub fn new_attributes(kind: Kind) -> u32 {
    match kind {
        Kind::Directory => 0,
        _ => attribute::ARCHIVE,
    }
}

impl ShortName {
    fn to_bytes(&self) -> Vec<u8> {
        let head = Record::new().long([self.parent.cast_signed()]);
        let head = head.int([(self.long.len() * 2) as u32]);
        head.units(&self.long).units(&self.short).finish()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        const HEAD: usize = 12;
        let fields = Fields(bytes);
        let long = fields.int(8)? as usize;
        let short = bytes.len().checked_sub(HEAD.checked_add(long)?)?;
        let name = Self {
            parent: fields.long(0)?.cast_unsigned(),
            long: fields.units(HEAD, long)?,
            short: fields.units(HEAD + long, short)?,
        };
        is_kept_short(&name.short).then_some(name)
    }
}

impl Overlay {
    /// Sets the attributes that a caller may set; those that a new file has need not be kept.
    pub fn set_attributes(&mut self, kind: Kind, attributes: u32) {
        let attributes = attributes & attribute::SETTABLE;
        self.attributes = (attributes != new_attributes(kind)).then_some(attributes);
    }

    /// The record of a file that was born then.
    pub fn to_bytes(&self, born: i64) -> Vec<u8> {
        let mut record = Record::new().int(HEAD).int([0]).long([born]);
        let mut item = |tag: u32, value: Option<Vec<u8>>| {
            if let Some(value) = value {
                let head = std::mem::take(&mut record).int([tag, value.len() as u32]);
                record = head.bytes(&value);
            }
        };
        let longs = |values: &[i64]| Record::new().long(values.iter().copied()).finish();
        let attributes = self.attributes.map(|value| value.to_le_bytes().to_vec());
        item(tag::ATTRIBUTES, attributes);
        item(tag::CREATED, self.created.map(|time| longs(&[time])));
        let changed = self.changed.map(|(time, host)| longs(&[time, host]));
        item(tag::CHANGED, changed);
        item(tag::SECURITY, self.security.clone());
        let reparse = Some(self.reparse.clone()).filter(|data| !data.is_empty());
        item(tag::REPARSE, reparse);
        let packed = Some(pack(&self.extended_attributes)).filter(|packed| !packed.is_empty());
        item(tag::EXTENDED_ATTRIBUTES, packed);
        item(tag::CASE_SENSITIVE, self.case_sensitive.then(Vec::new));
        let sparse = self.sparse.map(|bytes| bytes.to_le_bytes().to_vec());
        item(tag::SPARSE, sparse);
        item(
            tag::SHORT_NAME,
            self.short_name.as_ref().map(ShortName::to_bytes),
        );
        for stream in &self.streams {
            let value = Record::new().int([stream.number]).units(&stream.name);
            item(tag::STREAM, Some(value.finish()));
        }
        let mut bytes = record.finish();
        let length = bytes.len() as u32;
        if let Some(said) = bytes.get_mut(LENGTH) {
            said.copy_from_slice(&length.to_le_bytes());
        }
        bytes
    }

    /// Of a record, with when its file was born; none if it is not whole.
    pub fn of_bytes(bytes: &[u8]) -> Option<(Self, i64)> {
        let fields = Fields(bytes);
        let is_whole = fields.int(LENGTH.start)? as usize == bytes.len();
        if [fields.int(0)?, fields.int(4)?] != HEAD || !is_whole {
            return None;
        }
        let mut overlay = Self::default();
        let mut at = HEAD_BYTES;
        while at != bytes.len() {
            let (tag, length) = (fields.int(at)?, fields.int(at + 4)? as usize);
            let value = bytes.get(at + 8..(at + 8).checked_add(length)?)?;
            let item = Fields(value);
            match tag {
                tag::ATTRIBUTES => overlay.attributes = Some(item.int(0)? & attribute::SETTABLE),
                tag::CREATED => overlay.created = Some(item.long(0)?),
                tag::CHANGED => overlay.changed = Some((item.long(0)?, item.long(8)?)),
                tag::SECURITY => overlay.security = Some(value.to_vec()),
                tag::REPARSE => {
                    reparse::check(value).ok()?;
                    overlay.reparse = value.to_vec();
                }
                tag::EXTENDED_ATTRIBUTES => overlay.extended_attributes = unpack(value)?,
                tag::CASE_SENSITIVE => overlay.case_sensitive = true,
                tag::SPARSE => overlay.sparse = Some(item.long(0)?.cast_unsigned()),
                tag::SHORT_NAME => overlay.short_name = Some(ShortName::of_bytes(value)?),
                tag::STREAM => overlay.streams.push(NamedStream {
                    number: item.int(0)?,
                    name: item.units(4, length - 4)?,
                }),
                _ => return None,
            }
            at += 8 + length;
        }
        Some((overlay, fields.long(BORN)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_all_and_nothing_less() {
        let overlay = Overlay {
            attributes: Some(0),
            created: Some(-5),
            changed: Some((1, 2)),
            security: Some(vec![1; 21]),
            reparse: reparse::leading_to(reparse::SYMBOLIC_LINK, &[0x61], true),
            extended_attributes: vec![Attribute {
                flags: 0,
                name: b"A".to_vec(),
                value: vec![3],
            }],
            case_sensitive: true,
            sparse: Some(4096),
            short_name: Some(ShortName {
                parent: 5,
                long: vec![0x61, 0x62],
                short: vec![0x43],
            }),
            streams: vec![NamedStream {
                number: 7,
                name: vec![0x61],
            }],
        };
        let bytes = overlay.to_bytes(77);
        assert_eq!(Overlay::of_bytes(&bytes), Some((overlay.clone(), 77)));
        let empty = Overlay::default().to_bytes(-1);
        assert_eq!(empty.len(), HEAD_BYTES);
        assert_eq!(Overlay::of_bytes(&empty), Some((Overlay::default(), -1)));
        for length in 0..bytes.len() {
            let cut = Overlay::of_bytes(bytes.get(..length).unwrap());
            assert_eq!(cut, None, "{length}");
        }
        // A short name is none that is too long or in lower case.
        for short in [&[0x43; 13][..], &[0x63]] {
            let mut other = overlay.clone();
            let name = other.short_name.as_mut();
            name.unwrap().short = short.to_vec();
            assert_eq!(Overlay::of_bytes(&other.to_bytes(1)), None, "{short:?}");
        }
        for at in [0, 4, HEAD_BYTES] {
            let mut other = bytes.clone();
            other[at] ^= 0x40;
            assert_eq!(Overlay::of_bytes(&other), None, "byte {at}");
        }
    }

    #[test]
    fn eight_units_and_three() {
        let is = |name: &str| is_short(&name.encode_utf16().collect::<Vec<u16>>());
        for name in [
            "A",
            "LONGNA~1",
            "12345678.TXT",
            "a.b",
            "_$~!#%&-",
            "{}()@'`^",
        ] {
            assert!(is(name), "{name}");
        }
        for name in [
            "",
            ".",
            "A.",
            ".A",
            "123456789",
            "A.1234",
            "A.B.C",
            "A B",
            "A+B",
            "\u{E9}",
            "\\A",
        ] {
            assert!(!is(name), "{name}");
        }
    }
}
