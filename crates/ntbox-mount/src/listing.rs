//! Directories that programs read.
//!
//! The host's kernel goes on at a place that it was told, may go back to one, and begins anew at the first. What was
//! read is kept for that; NT goes on by itself, and begins anew when it is asked to.

use crate::attributes;
use crate::bytes::Fields;
use crate::names;
use crate::volume::{Called, Handle};
use ntbox_hostfs::volume::attribute;
use ntbox_kernel::nt::{FILE_ID_FULL_DIR_INFORMATION, FileIdFullDirectoryInformation};
use std::ffi::OsString;
use std::mem::offset_of;
use std::sync::{Mutex, PoisonError};

/// Bytes of entries that are asked for at a time.
const ROOM: u32 = 64 << 10;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// The file's number on the volume.
    pub id: u64,
    /// What it is: `S_IFREG`, …
    pub kind: u32,
}

/// An open directory.
pub struct Listing {
    /// Its number.
    pub node: u64,
    handle: Handle,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    entries: Vec<Entry>,
    begun: bool,
    at_end: bool,
}

impl Listing {
    /// Of an open directory.
    pub fn new(node: u64, handle: Handle) -> Self {
        Self {
            node,
            handle,
            read: Mutex::default(),
        }
    }

    /// Hands entries from a place on to `take`, as long as that wants more.
    ///
    /// # Errors
    /// As `NtQueryDirectoryFile`.
    pub fn each_from(
        &self,
        place: usize,
        mut take: impl FnMut(usize, &Entry) -> bool,
    ) -> Called<()> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if place == 0 && read.begun {
            *read = Read {
                begun: true,
                ..Read::default()
            };
            self.read_more(&mut read, true)?;
        }
        let mut at = place;
        loop {
            while let Some(entry) = read.entries.get(at) {
                if !take(at, entry) {
                    return Ok(());
                }
                at += 1;
            }
            if read.at_end {
                return Ok(());
            }
            let restart = !std::mem::replace(&mut read.begun, true);
            self.read_more(&mut read, restart)?;
        }
    }

    fn read_more(&self, read: &mut Read, restart: bool) -> Called<()> {
        let records = self
            .handle
            .list(FileIdFullDirectoryInformation, ROOM, restart)?;
        read.at_end = records.is_empty();
        read.entries.extend(entries(&records));
        Ok(())
    }
}

/// The entries of an answer, without the directory itself and the one that holds it.
fn entries(records: &[u8]) -> Vec<Entry> {
    macro_rules! at {
        ($field:ident) => {
            offset_of!(FILE_ID_FULL_DIR_INFORMATION, $field)
        };
    }
    let mut found = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let fields = Fields(rest);
        let bytes = fields.int(at!(FileNameLength)) as usize;
        let name = fields.units(at!(FileName), bytes);
        let attributes = fields.int(at!(FileAttributes));
        // Where there is no field for the tag, that for the size of extended attributes has it.
        let tag = match attributes & attribute::REPARSE_POINT {
            0 => 0,
            _ => fields.int(at!(EaSize)),
        };
        let dots = name.len() <= 2 && name.iter().all(|unit| *unit == u16::from(b'.'));
        if !dots && let Some(name) = names::to_host(&name) {
            found.push(Entry {
                name,
                id: fields.long(at!(FileId)).cast_unsigned(),
                kind: attributes::kind(tag, attributes),
            });
        }
        rest = match fields.int(0) as usize {
            0 => &[],
            next => rest.get(next..).unwrap_or_default(),
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::of_units;
    use crate::metadata::LX_SYMLINK;
    use ntbox_hostfs::volume::attribute;

    fn record(name: &str, id: u64, attributes: u32, tag: u32) -> Vec<u8> {
        let name = of_units(&name.encode_utf16().collect::<Vec<_>>());
        let mut record = vec![0; 56];
        record.extend(attributes.to_le_bytes());
        record.extend((name.len() as u32).to_le_bytes());
        record.extend(tag.to_le_bytes());
        record.extend([0; 4]);
        record.extend(id.to_le_bytes());
        record.extend(name);
        record.resize(record.len().next_multiple_of(8), 0);
        record
    }

    #[test]
    fn entries_have_names_kinds_and_numbers() {
        let mut records = Vec::new();
        for (name, id, attributes, tag) in [
            (".", 1, attribute::DIRECTORY, 0),
            ("..", 1, attribute::DIRECTORY, 0),
            ("d", 2, attribute::DIRECTORY, 0),
            // The field has bytes of extended attributes where no tag is.
            ("f", 3, attribute::ARCHIVE, LX_SYMLINK),
            ("l", 4, attribute::REPARSE_POINT, LX_SYMLINK),
        ] {
            let mut record = record(name, id, attributes, tag);
            if name != "l" {
                let next = (record.len() as u32).to_le_bytes();
                record.splice(..4, next);
            }
            records.extend(record);
        }
        let found: Vec<_> = entries(&records)
            .into_iter()
            .map(|entry| (entry.name.into_string().unwrap(), entry.id, entry.kind))
            .collect();
        let expected = [
            ("d", 2, libc::S_IFDIR),
            ("f", 3, libc::S_IFREG),
            ("l", 4, libc::S_IFLNK),
        ];
        assert_eq!(
            found,
            expected.map(|(name, id, kind)| (name.to_owned(), id, kind))
        );
        assert_eq!(entries(&[]), []);
    }
}
