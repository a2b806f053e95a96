//! Directory queries (IRP_MN_QUERY_DIRECTORY).
//!
//! The first query of an open takes the names as they are then, in the order of
//! a directory (by upper-case form), and the pattern; `.` and `..` come first
//! everywhere but in the root. Entries that go before they are returned are
//! passed over; those that come are seen after a restart.

#![expect(
    non_upper_case_globals,
    reason = "the DDI's information classes are matched by name"
)]

use super::record::Record;
use super::resolve::Tree;
use super::volume::{Object, OpenId, State, Volume};
use super::waiting::Reply;
use super::{host_status, names};
use ntbox_kernel::exports::fsrtl::expression;
use ntbox_kernel::host::file::{Directory, Metadata};
use ntbox_kernel::nt::{
    FileBothDirectoryInformation, FileDirectoryInformation, FileFullDirectoryInformation,
    FileIdBothDirectoryInformation, FileIdExtdBothDirectoryInformation,
    FileIdExtdDirectoryInformation, FileIdFullDirectoryInformation, FileNamesInformation, NTSTATUS,
    STATUS_BUFFER_OVERFLOW, STATUS_DELETE_PENDING, STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INVALID_INFO_CLASS, STATUS_INVALID_PARAMETER, STATUS_NO_MORE_FILES, STATUS_NO_SUCH_FILE,
    STATUS_SUCCESS,
};
use std::collections::HashSet;
use std::ffi::OsString;
use std::sync::Arc;

/// What a query asks for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The information class.
    pub class: i32,
    /// The pattern; it counts at the first query of an open.
    pub pattern: Option<Vec<u16>>,
    /// `SL_RESTART_SCAN`.
    pub restart: bool,
    /// `SL_RETURN_SINGLE_ENTRY`.
    pub single: bool,
    /// `SL_INDEX_SPECIFIED`: go on behind the entry with this index.
    pub index: Option<u32>,
}

/// Where a directory query is.
#[derive(Debug)]
pub struct Scan {
    pattern: Option<Vec<u16>>,
    entries: Vec<Entry>,
    next: usize,
    /// A query has returned; from then on the end is `STATUS_NO_MORE_FILES`.
    returned: bool,
}

#[derive(Debug)]
struct Entry {
    name: Vec<u16>,
    host: Source,
}

#[derive(Debug)]
enum Source {
    Itself,
    Parent,
    Entry(OsString),
}

/// What a class has in front of the name, as far as classes differ.
#[derive(Clone, Copy)]
struct Layout {
    /// Bytes in front of the name.
    head: usize,
    /// `sizeof` the structure: what a buffer must hold at least.
    least: usize,
    /// Times and sizes are there.
    state: bool,
    /// Extended attribute size, short name, identity.
    tail: Tail,
}

#[derive(Clone, Copy)]
enum Tail {
    None,
    Ea,
    EaShort,
    EaId,
    EaShortId,
    EaTagId,
    EaTagIdShort,
}

/// `ShortNameLength` and `ShortName` of an entry.
fn short(record: Record, name: &[u16]) -> Record {
    let start = record.length();
    let length = [(name.len() * 2) as u8, 0];
    record.bytes(&length).units(name).pad_to(start + 26)
}

fn layout(class: i32) -> Option<Layout> {
    let layout = |head, least, state, tail| {
        Some(Layout {
            head,
            least,
            state,
            tail,
        })
    };
    match class {
        FileDirectoryInformation => layout(64, 72, true, Tail::None),
        FileFullDirectoryInformation => layout(68, 72, true, Tail::Ea),
        FileBothDirectoryInformation => layout(94, 96, true, Tail::EaShort),
        FileNamesInformation => layout(12, 16, false, Tail::None),
        FileIdFullDirectoryInformation => layout(80, 88, true, Tail::EaId),
        FileIdBothDirectoryInformation => layout(104, 112, true, Tail::EaShortId),
        FileIdExtdDirectoryInformation => layout(88, 96, true, Tail::EaTagId),
        FileIdExtdBothDirectoryInformation => layout(114, 120, true, Tail::EaTagIdShort),
        _ => None,
    }
}

impl Layout {
    /// The record of an entry, with `NextEntryOffset` zero.
    fn record(
        self,
        state: &State,
        metadata: &Metadata,
        index: u32,
        (name, short_name): (&[u16], &[u16]),
    ) -> Vec<u8> {
        let length = (name.len() * 2) as u32;
        let record = Record::new().int([0, index]);
        if !self.state {
            return record.int([length]).units(name).finish();
        }
        let file = state.entry_state(metadata);
        let record = record
            .long(file.times)
            .long([file.size, file.allocation])
            .int([file.attributes, length]);
        let id = file.index as i64;
        let (tag, size) = (file.reparse_tag, file.extended_attributes);
        let either = file.tag_or_size();
        match self.tail {
            Tail::None => record,
            Tail::Ea => record.int([either]),
            Tail::EaShort => short(record.int([either]), short_name),
            Tail::EaId => record.int([either, 0]).long([id]),
            Tail::EaShortId => short(record.int([either]), short_name)
                .pad_to(96)
                .long([id]),
            Tail::EaTagId => record.int([size, tag]).long([id, 0]),
            Tail::EaTagIdShort => short(record.int([size, tag]).long([id, 0]), short_name),
        }
        .units(name)
        .finish()
    }
}

impl Volume {
    /// Answers a directory query into `buffer`.
    pub fn query_directory(&self, id: OpenId, query: &Query, buffer: &mut [u8]) -> Reply {
        match self.try_query_directory(id, query, buffer) {
            Ok(reply) => reply,
            Err(status) => (status, 0),
        }
    }

    fn try_query_directory(
        &self,
        id: OpenId,
        query: &Query,
        buffer: &mut [u8],
    ) -> Result<Reply, NTSTATUS> {
        let mut state = self.state();
        state.usable(id)?;
        let Object::Directory(directory) = &state.file_of(id)?.object else {
            return Err(STATUS_INVALID_PARAMETER);
        };
        let directory = Arc::clone(directory);
        let link = state.link_of(id)?;
        if link.removed {
            return Err(STATUS_DELETE_PENDING);
        }
        let (path, parent) = (link.components.clone(), link.parent.clone());
        let layout = layout(query.class).ok_or(STATUS_INVALID_INFO_CLASS)?;
        if buffer.len() < layout.least {
            return Err(STATUS_INFO_LENGTH_MISMATCH);
        }
        let own = directory.metadata();
        let own = own.map_err(|error| host_status::of(&error))?;
        let (tells_case, number) = (state.tells_case(&own), own.identity.number);
        let open = state.opens.get_mut(&id).ok_or(STATUS_INVALID_PARAMETER)?;
        let kept = open.scan.take();
        let mut scan = match kept {
            Some(scan) if !query.restart => scan,
            old => {
                let pattern = match old {
                    Some(old) => old.pattern,
                    None => query.pattern.clone().filter(|pattern| !pattern.is_empty()),
                };
                let hosts = self.tree.names(&directory);
                let hosts = hosts.map_err(|error| host_status::of(&error))?;
                // Without a pattern nobody asks.
                let asked = pattern.as_ref().map(|_| state.overlays.short_names(number));
                let candidates = asked.into_iter().flatten().map(|name| &*name.long);
                let candidates: HashSet<&[u16]> = candidates.collect();
                let short_name = |entry: &Entry| match &entry.host {
                    Source::Entry(host) if candidates.contains(&*entry.name) => {
                        let there = directory.metadata_of(host).ok()?;
                        state.short_name(&there, number, &entry.name)
                    }
                    _ => None,
                };
                Scan::start(hosts, parent.is_some(), pattern, tells_case, short_name)
            }
        };
        if let Some(index) = query.index {
            scan.next = usize::try_from(index).unwrap_or(usize::MAX);
        }
        let find = |source: &Source| match source {
            Source::Itself => directory.metadata().ok(),
            Source::Parent => parent.as_ref().and_then(|parent| parent.metadata().ok()),
            Source::Entry(name) => metadata_of(&self.tree, &path, &directory, name),
        };
        let is_itself = |source: &Source, found: &Metadata| match source {
            Source::Entry(name) => {
                let entry = directory.metadata_of(name);
                entry.is_ok_and(|entry| entry.identity == found.identity)
            }
            Source::Itself | Source::Parent => true,
        };
        let look = (find, is_itself);
        let reply = scan.fill(&state, (number, layout), query.single, look, buffer);
        if let Some(open) = state.opens.get_mut(&id) {
            open.scan = Some(scan);
        }
        Ok(reply)
    }
}

fn metadata_of(
    tree: &Tree,
    path: &[Vec<u16>],
    directory: &Directory,
    name: &OsString,
) -> Option<Metadata> {
    tree.metadata_of(path, directory, name)
}

impl Scan {
    fn start<'a>(
        hosts: Vec<OsString>,
        has_parent: bool,
        pattern: Option<Vec<u16>>,
        tells_case: bool,
        short_name: impl Fn(&Entry) -> Option<&'a [u16]>,
    ) -> Self {
        let mut entries: Vec<Entry> = hosts
            .into_iter()
            .filter_map(|host| {
                Some(Entry {
                    name: names::to_nt(&host)?,
                    host: Source::Entry(host),
                })
            })
            .collect();
        entries.sort_by(|a, b| names::order(&a.name, &b.name));
        if has_parent {
            let dots = |count: usize| vec![u16::from(b'.'); count];
            let own = [
                Entry {
                    name: dots(1),
                    host: Source::Itself,
                },
                Entry {
                    name: dots(2),
                    host: Source::Parent,
                },
            ];
            entries.splice(0..0, own);
        }
        let wanted = |name: &[u16]| match &pattern {
            None => true,
            Some(pattern) if pattern.iter().any(|unit| names::is_wild(*unit)) => {
                expression::matches(pattern, name, !tells_case)
            }
            Some(pattern) if tells_case => pattern == name,
            Some(pattern) => names::equal(pattern, name),
        };
        let by_short_name = |entry: &Entry| short_name(entry).is_some_and(&wanted);
        entries.retain(|entry| wanted(&entry.name) || by_short_name(entry));
        Self {
            pattern,
            entries,
            next: 0,
            returned: false,
        }
    }

    fn fill(
        &mut self,
        state: &State,
        (directory, layout): (u64, Layout),
        single: bool,
        (find, is_itself): (
            impl Fn(&Source) -> Option<Metadata>,
            impl Fn(&Source, &Metadata) -> bool,
        ),
        buffer: &mut [u8],
    ) -> Reply {
        let mut used = 0;
        let mut last: Option<usize> = None;
        while let Some(entry) = self.entries.get(self.next) {
            let Some(metadata) = find(&entry.host) else {
                self.next += 1;
                continue;
            };
            let index = u32::try_from(self.next + 1).unwrap_or(u32::MAX);
            // What a link of the host leads to has its own one.
            let short_name = state.short_name(&metadata, directory, &entry.name);
            let short_name = short_name.filter(|_| is_itself(&entry.host, &metadata));
            let names = (entry.name.as_slice(), short_name.unwrap_or_default());
            let record = layout.record(state, &metadata, index, names);
            let start = if last.is_some() {
                used_aligned(used)
            } else {
                0
            };
            let room = buffer.get_mut(start..).unwrap_or_default();
            let Some(whole) = room.get_mut(..record.len()) else {
                if last.is_some() {
                    break;
                }
                // The first entry must get through, with as much of its name as fits.
                let count = room.len() - (room.len() - layout.head) % 2;
                if let (Some(room), Some(part)) = (room.get_mut(..count), record.get(..count)) {
                    room.copy_from_slice(part);
                }
                self.next += 1;
                self.returned = true;
                return (STATUS_BUFFER_OVERFLOW, count);
            };
            whole.copy_from_slice(&record);
            if let Some(last) = last
                && let Some(next) = buffer.get_mut(last..last + 4)
            {
                next.copy_from_slice(&((start - last) as u32).to_le_bytes());
            }
            last = Some(start);
            used = start + record.len();
            self.next += 1;
            if single {
                break;
            }
        }
        if last.is_some() {
            self.returned = true;
            return (STATUS_SUCCESS, used);
        }
        let first = !std::mem::replace(&mut self.returned, true);
        (
            if first && self.entries.is_empty() {
                STATUS_NO_SUCH_FILE
            } else {
                STATUS_NO_MORE_FILES
            },
            0,
        )
    }
}

/// Records start at multiples of eight bytes.
fn used_aligned(used: usize) -> usize {
    used.next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_kernel::nt;
    use std::mem::{offset_of, size_of};

    #[test]
    fn layouts_are_the_published_ones() {
        macro_rules! same {
            ($($class:ident $type:ident),*) => { $({
                let layout = layout(nt::$class).unwrap();
                assert_eq!(layout.head, offset_of!(nt::$type, FileName), stringify!($class));
                assert_eq!(layout.least, size_of::<nt::$type>(), stringify!($class));
            })* };
        }
        same!(
            FileDirectoryInformation FILE_DIRECTORY_INFORMATION,
            FileFullDirectoryInformation FILE_FULL_DIR_INFORMATION,
            FileBothDirectoryInformation FILE_BOTH_DIR_INFORMATION,
            FileNamesInformation FILE_NAMES_INFORMATION,
            FileIdFullDirectoryInformation FILE_ID_FULL_DIR_INFORMATION,
            FileIdBothDirectoryInformation FILE_ID_BOTH_DIR_INFORMATION,
            FileIdExtdDirectoryInformation FILE_ID_EXTD_DIR_INFORMATION,
            FileIdExtdBothDirectoryInformation FILE_ID_EXTD_BOTH_DIR_INFORMATION
        );
        assert_eq!(offset_of!(nt::FILE_ID_BOTH_DIR_INFORMATION, FileId), 96);
        assert_eq!(offset_of!(nt::FILE_ID_FULL_DIR_INFORMATION, FileId), 72);
        assert_eq!(offset_of!(nt::FILE_ID_EXTD_DIR_INFORMATION, FileId), 72);
        assert_eq!(
            offset_of!(nt::FILE_ID_EXTD_BOTH_DIR_INFORMATION, FileId),
            72
        );
        assert!(layout(nt::FileBasicInformation).is_none());
    }
}
