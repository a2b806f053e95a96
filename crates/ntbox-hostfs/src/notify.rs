//! Directory change notification of one open directory (`FsRtlNotifyFilterReportChange`).
//!
//! The first request fixes what is watched, and which records tell of it. Changes that happen while no
//! request waits are kept up to the size of that request's buffer; beyond, the
//! next request is told to list the directory again (`STATUS_NOTIFY_ENUM_DIR`).
//!
//! DDI: `DIRECTORY_NOTIFY_INFORMATION_CLASS`, `FILE_NOTIFY_INFORMATION`, `FILE_NOTIFY_EXTENDED_INFORMATION`,
//! `FILE_NOTIFY_FULL_INFORMATION`.

#![expect(
    non_upper_case_globals,
    reason = "the DDI's information classes are matched by name"
)]

use super::names;
use super::record::Record;
use super::waiting::{Effects, Outcome, Ticket};
use ntbox_kernel::nt::{
    DirectoryNotifyExtendedInformation, DirectoryNotifyFullInformation, DirectoryNotifyInformation,
    NTSTATUS, STATUS_NOTIFY_ENUM_DIR, STATUS_SUCCESS,
};
use std::collections::VecDeque;
use windows_sys::Win32::System::SystemServices::FILE_NAME_FLAGS_UNSPECIFIED;

/// `FILE_NOTIFY_CHANGE_*`.
pub mod change {
    #![expect(missing_docs, reason = "the names are the DDI's")]
    pub const FILE_NAME: u32 = 0x1;
    pub const DIR_NAME: u32 = 0x2;
    pub const ATTRIBUTES: u32 = 0x4;
    pub const SIZE: u32 = 0x8;
    pub const LAST_WRITE: u32 = 0x10;
    pub const LAST_ACCESS: u32 = 0x20;
    pub const CREATION: u32 = 0x40;
    pub const EA: u32 = 0x80;
    pub const SECURITY: u32 = 0x100;
    pub const STREAM_NAME: u32 = 0x200;
    pub const STREAM_SIZE: u32 = 0x400;
    pub const STREAM_WRITE: u32 = 0x800;
    /// `FILE_NOTIFY_VALID_MASK`.
    pub const VALID: u32 = 0xFFF;
}

/// `FILE_ACTION_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// An entry was created or moved in.
    Added = 1,
    /// An entry was deleted or moved out.
    Removed = 2,
    /// Data or attributes changed.
    Modified = 3,
    /// The old name of a renamed entry.
    RenamedOldName = 4,
    /// Its new name.
    RenamedNewName = 5,
    /// A stream was created.
    AddedStream = 6,
    /// A stream was deleted.
    RemovedStream = 7,
    /// The data of a stream changed.
    ModifiedStream = 8,
}

/// The state of an entry that has changed, as the records of [`Class::Extended`] and [`Class::Full`] tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Creation, last modification, change, last access.
    pub times: [i64; 4],
    /// Bytes that are reserved, and of data.
    pub sizes: [i64; 2],
    /// `FILE_ATTRIBUTE_*`, and the tag of its reparse point or else the bytes of its extended attributes.
    pub attributes: [u32; 2],
    /// Of the entry, and of the directory that it is in.
    pub ids: [u64; 2],
}

/// A change on the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path of the entry that changed.
    pub path: Vec<Vec<u16>>,
    /// What happened.
    pub action: Action,
    /// The `FILE_NOTIFY_CHANGE_*` bits it falls under.
    pub filter: u32,
    /// The entry when that has happened, or, of one that goes, just before; none if nobody asks for it.
    pub entry: Option<Entry>,
}

/// Which records tell of changes (`DIRECTORY_NOTIFY_INFORMATION_CLASS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `FILE_NOTIFY_INFORMATION`.
    Plain,
    /// `FILE_NOTIFY_EXTENDED_INFORMATION`.
    Extended,
    /// `FILE_NOTIFY_FULL_INFORMATION`.
    Full,
}

impl Class {
    /// Of its number.
    pub fn of(number: i32) -> Option<Self> {
        match number {
            DirectoryNotifyInformation => Some(Self::Plain),
            DirectoryNotifyExtendedInformation => Some(Self::Extended),
            DirectoryNotifyFullInformation => Some(Self::Full),
            _ => None,
        }
    }
    /// Bytes of a record in front of its name.
    fn head(self) -> usize {
        match self {
            Self::Plain => 12,
            Self::Extended | Self::Full => 84,
        }
    }
    /// Records start at multiples of the largest member.
    fn alignment(self) -> usize {
        match self {
            Self::Plain => 4,
            Self::Extended | Self::Full => 8,
        }
    }
    fn record_bytes(self, name: &[u16]) -> usize {
        (self.head() + name.len() * 2).next_multiple_of(self.alignment())
    }
}

/// A change that nobody has been told of yet.
#[derive(Debug)]
struct Kept {
    action: Action,
    name: Vec<u16>,
    entry: Entry,
}

/// The watch on an open directory.
#[derive(Debug)]
pub struct Watch {
    filter: u32,
    tree: bool,
    class: Class,
    limit: usize,
    kept: Vec<Kept>,
    overflow: bool,
    waiting: VecDeque<(Ticket, usize)>,
    ended: Option<NTSTATUS>,
}

/// Records of `class`, one behind the other.
fn records(class: Class, kept: &[Kept]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for (
        index,
        Kept {
            action,
            name,
            entry,
        },
    ) in kept.iter().enumerate()
    {
        let last = index + 1 == kept.len();
        let next = if last { 0 } else { class.record_bytes(name) };
        let length = (name.len() * 2) as u32;
        let head = Record::new().int([next as u32, *action as u32]);
        let state = |head: Record| {
            head.long(entry.times)
                .long(entry.sizes)
                .int(entry.attributes)
                .long(entry.ids.map(u64::cast_signed))
        };
        let head = match class {
            Class::Plain => head.int([length]),
            Class::Extended => state(head).int([length]),
            // The length has 16 bits; behind it are the kind of the name and a byte of nothing.
            Class::Full => state(head).int([length | FILE_NAME_FLAGS_UNSPECIFIED << 16]),
        };
        bytes.extend(head.units(name).finish());
        if !last {
            bytes.resize(bytes.len().next_multiple_of(class.alignment()), 0);
        }
    }
    bytes
}

impl Watch {
    /// Watches for `filter`, in the whole tree or only the directory itself, and tells by records of `class`.
    pub fn new(filter: u32, tree: bool, class: Class, buffer_length: usize) -> Self {
        Self {
            filter,
            tree,
            class,
            limit: buffer_length,
            kept: Vec::new(),
            overflow: false,
            waiting: VecDeque::new(),
            ended: None,
        }
    }
    /// Whether it tells more of an entry than its name.
    pub fn tells_entries(&self) -> bool {
        self.class != Class::Plain && self.ended.is_none()
    }
    /// A request with a buffer of `length` bytes: answered from what is kept, or queued.
    pub fn request(&mut self, ticket: Ticket, length: usize) -> Outcome {
        if let Some(status) = self.ended {
            return Outcome::Done(status, Vec::new());
        }
        if self.waiting.is_empty() && (self.overflow || !self.kept.is_empty()) {
            let (status, data) = self.take(length);
            return Outcome::Done(status, data);
        }
        self.waiting.push_back((ticket, length));
        Outcome::Waiting
    }
    fn take(&mut self, length: usize) -> (NTSTATUS, Vec<u8>) {
        let kept = std::mem::take(&mut self.kept);
        let data = records(self.class, &kept);
        if std::mem::take(&mut self.overflow) || data.len() > length {
            return (STATUS_NOTIFY_ENUM_DIR, Vec::new());
        }
        (STATUS_SUCCESS, data)
    }
    /// Notes changes that belong together, as seen from the directory at `path`, and
    /// answers a waiting request with them.
    pub fn report(&mut self, path: &[Vec<u16>], changes: &[Change], effects: &mut Effects<'_>) {
        for change in changes {
            let inside = change
                .path
                .strip_prefix(path)
                .filter(|rest| !rest.is_empty());
            let Some(rest) = inside.filter(|rest| self.tree || rest.len() == 1) else {
                continue;
            };
            if change.filter & self.filter == 0 || self.overflow || self.ended.is_some() {
                continue;
            }
            let name = names::join(rest).split_off(1);
            let (action, entry) = (change.action, change.entry.unwrap_or_default());
            match self.kept.last_mut() {
                // The same change of the same entry once more says nothing new but how the entry is now.
                Some(last) if last.action == action && last.name == name => last.entry = entry,
                _ => self.kept.push(Kept {
                    action,
                    name,
                    entry,
                }),
            }
            let room = self
                .waiting
                .front()
                .map_or(self.limit, |(_, length)| *length);
            let lengths = self.kept.iter();
            let lengths = lengths.map(|kept| self.class.record_bytes(&kept.name));
            // Behind the last one nothing is filled up.
            if lengths.sum::<usize>() > room.max(self.class.head()) + self.class.alignment() - 1 {
                self.kept.clear();
                self.overflow = true;
            }
        }
        self.answer(effects);
    }
    fn answer(&mut self, effects: &mut Effects<'_>) {
        let mut index = 0;
        while self.overflow || !self.kept.is_empty() {
            let Some((ticket, length)) = self.waiting.get(index).copied() else {
                break;
            };
            let data = records(self.class, &self.kept);
            let (status, data) = if self.overflow || data.len() > length {
                (STATUS_NOTIFY_ENUM_DIR, Vec::new())
            } else {
                (STATUS_SUCCESS, data)
            };
            if effects.finish(ticket, status, data) {
                self.waiting.remove(index);
                self.kept.clear();
                self.overflow = false;
            } else {
                index += 1;
            }
        }
    }
    /// Ends the watch: waiting and later requests get `status`.
    pub fn end(&mut self, status: NTSTATUS, effects: &mut Effects<'_>) {
        self.ended = Some(status);
        self.waiting
            .retain(|(ticket, _)| !effects.finish(*ticket, status, Vec::new()));
    }
    /// Answers what waits with `status` without ending the watch.
    pub fn flush(&mut self, status: NTSTATUS, effects: &mut Effects<'_>) {
        self.waiting
            .retain(|(ticket, _)| !effects.finish(*ticket, status, Vec::new()));
    }
    /// Takes a waiting request out, for its cancel routine; false if it is not here.
    pub fn remove_waiting(&mut self, ticket: Ticket) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
        before != self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_kernel::nt::STATUS_NOTIFY_CLEANUP;

    fn path(text: &str) -> Vec<Vec<u16>> {
        text.split('\\')
            .filter(|part| !part.is_empty())
            .map(|part| part.encode_utf16().collect())
            .collect()
    }
    fn added(text: &str) -> Change {
        Change {
            path: path(text),
            action: Action::Added,
            filter: change::FILE_NAME,
            entry: None,
        }
    }
    /// A watch that tells names.
    fn plain(filter: u32, tree: bool, length: usize) -> Watch {
        Watch::new(filter, tree, Class::Plain, length)
    }
    /// Records as (action, name).
    fn parse(mut data: &[u8]) -> Vec<(u32, String)> {
        let mut found = Vec::new();
        loop {
            let word = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
            let name: Vec<u16> = data[12..12 + word(8) as usize]
                .chunks(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect();
            found.push((word(4), String::from_utf16(&name).unwrap()));
            match word(0) as usize {
                0 => return found,
                next => {
                    assert_eq!(next % 4, 0);
                    data = &data[next..];
                }
            }
        }
    }
    fn report(watch: &mut Watch, changes: &[Change]) -> Vec<super::super::waiting::Finish> {
        let mut effects = Effects::new(&|_| true);
        watch.report(&path("d"), changes, &mut effects);
        effects.into_finished()
    }

    #[test]
    fn a_waiting_request_gets_the_change() {
        let mut watch = plain(change::FILE_NAME, false, 100);
        assert_eq!(watch.request(Ticket(1), 100), Outcome::Waiting);
        assert!(report(&mut watch, &[added(r"d\sub\x"), added("other"), added("d")]).is_empty());
        let other = Change {
            filter: change::DIR_NAME,
            ..added(r"d\x")
        };
        assert!(report(&mut watch, &[other]).is_empty());
        let finished = report(&mut watch, &[added(r"d\x")]);
        assert_eq!((finished.len(), finished[0].status), (1, STATUS_SUCCESS));
        assert_eq!(parse(&finished[0].data), [(1, "x".into())]);
    }

    #[test]
    fn a_tree_is_watched_with_paths_below() {
        let mut watch = plain(change::FILE_NAME, true, 100);
        watch.request(Ticket(1), 100);
        let finished = report(&mut watch, &[added(r"d\sub\abc")]);
        assert_eq!(parse(&finished[0].data), [(1, r"sub\abc".into())]);
    }

    #[test]
    fn changes_between_requests_are_kept() {
        let mut watch = plain(change::FILE_NAME, false, 200);
        report(&mut watch, &[added(r"d\a")]);
        report(&mut watch, &[added(r"d\bcd"), added(r"d\bcd")]);
        let Outcome::Done(status, data) = watch.request(Ticket(1), 200) else {
            panic!()
        };
        assert_eq!(
            (status, parse(&data)),
            (STATUS_SUCCESS, vec![(1, "a".into()), (1, "bcd".into())])
        );
        assert_eq!(watch.request(Ticket(2), 200), Outcome::Waiting);
    }

    #[test]
    fn records_have_the_published_layout() {
        use std::mem::{align_of, offset_of};
        use windows_sys::Win32::Storage::FileSystem::{
            FILE_NOTIFY_EXTENDED_INFORMATION, FILE_NOTIFY_INFORMATION,
        };
        use windows_sys::Win32::System::SystemServices::FILE_NOTIFY_FULL_INFORMATION;
        macro_rules! same {
            ($class:ident $type:ident) => {
                assert_eq!(Class::$class.head(), offset_of!($type, FileName));
                assert_eq!(Class::$class.alignment(), align_of::<$type>());
            };
        }
        same!(Plain FILE_NOTIFY_INFORMATION);
        same!(Extended FILE_NOTIFY_EXTENDED_INFORMATION);
        same!(Full FILE_NOTIFY_FULL_INFORMATION);
        assert_eq!(
            offset_of!(FILE_NOTIFY_EXTENDED_INFORMATION, LastAccessTime),
            32
        );
        assert_eq!(offset_of!(FILE_NOTIFY_EXTENDED_INFORMATION, FileSize), 48);
        assert_eq!(
            offset_of!(FILE_NOTIFY_EXTENDED_INFORMATION, ParentFileId),
            72
        );
        assert_eq!(offset_of!(FILE_NOTIFY_FULL_INFORMATION, FileNameFlags), 82);
    }

    #[test]
    fn the_class_of_the_first_request_tells_entries() {
        for (class, flags) in [(Class::Extended, 0), (Class::Full, 0x80)] {
            let mut watch = Watch::new(change::FILE_NAME, false, class, 200);
            let entry = |size| {
                Some(Entry {
                    times: [1, 2, 3, 4],
                    sizes: [4096, size],
                    attributes: [0x20, 9],
                    ids: [77, 5],
                })
            };
            let change = |name, size| Change {
                entry: entry(size),
                ..added(name)
            };
            report(
                &mut watch,
                &[change(r"d\a", 1), change(r"d\a", 2), change(r"d\b", 3)],
            );
            let Outcome::Done(status, data) = watch.request(Ticket(1), 200) else {
                panic!()
            };
            assert_eq!((status, data.len()), (STATUS_SUCCESS, 88 + 86));
            let longs = |at: usize| i64::from_le_bytes(data[at..at + 8].try_into().unwrap());
            assert_eq!((data[0], data[4], data[88], data[92]), (88, 1, 0, 1));
            // Of the same change twice, how the entry is now.
            let first: Vec<i64> = (8..56).step_by(8).map(longs).collect();
            assert_eq!(first, [1, 2, 3, 4, 4096, 2]);
            assert_eq!((data[56], data[60], longs(64), longs(72)), (0x20, 9, 77, 5));
            assert_eq!(data[80..86], [2, 0, flags, 0, b'a', 0]);
            assert_eq!((longs(88 + 48), data[172]), (3, b'b'));
            // What has room for the name alone has none for the rest.
            report(&mut watch, &[change(r"d\c", 1)]);
            let outcome = watch.request(Ticket(2), 85);
            assert_eq!(outcome, Outcome::Done(STATUS_NOTIFY_ENUM_DIR, Vec::new()));
        }
    }

    #[test]
    fn both_names_of_a_rename_come_together() {
        let mut watch = plain(change::FILE_NAME, false, 100);
        watch.request(Ticket(1), 100);
        let old = Change {
            action: Action::RenamedOldName,
            ..added(r"d\old")
        };
        let new = Change {
            action: Action::RenamedNewName,
            ..added(r"d\new")
        };
        let finished = report(&mut watch, &[old, new]);
        assert_eq!(
            parse(&finished[0].data),
            [(4, "old".into()), (5, "new".into())]
        );
    }

    #[test]
    fn too_many_changes_ask_for_a_listing() {
        let mut watch = plain(change::FILE_NAME, false, 40);
        for name in [r"d\aaaa", r"d\bbbb", r"d\cccc"] {
            report(&mut watch, &[added(name)]);
        }
        assert_eq!(
            watch.request(Ticket(1), 40),
            Outcome::Done(STATUS_NOTIFY_ENUM_DIR, Vec::new())
        );
        assert_eq!(watch.request(Ticket(2), 40), Outcome::Waiting);
        let finished = report(&mut watch, &[added(r"d\a_name_longer_than_the_buffer")]);
        assert_eq!(
            (finished[0].status, finished[0].data.len()),
            (STATUS_NOTIFY_ENUM_DIR, 0)
        );
        let mut empty = plain(change::FILE_NAME, false, 0);
        empty.request(Ticket(3), 0);
        assert_eq!(
            report(&mut empty, &[added(r"d\a")])[0].status,
            STATUS_NOTIFY_ENUM_DIR
        );
    }

    #[test]
    fn the_end_and_cancellation() {
        let mut watch = plain(change::FILE_NAME, false, 40);
        watch.request(Ticket(1), 40);
        watch.request(Ticket(2), 40);
        assert!(watch.remove_waiting(Ticket(1)));
        assert!(!watch.remove_waiting(Ticket(1)));
        let mut effects = Effects::new(&|_| true);
        watch.end(STATUS_NOTIFY_CLEANUP, &mut effects);
        assert_eq!(effects.into_finished()[0].ticket, Ticket(2));
        assert_eq!(
            watch.request(Ticket(3), 40),
            Outcome::Done(STATUS_NOTIFY_CLEANUP, Vec::new())
        );
    }

    #[test]
    fn a_request_being_cancelled_is_passed_over() {
        let mut watch = plain(change::FILE_NAME, false, 100);
        watch.request(Ticket(1), 100);
        watch.request(Ticket(2), 100);
        let mut effects = Effects::new(&|ticket| ticket != Ticket(1));
        watch.report(&path("d"), &[added(r"d\x")], &mut effects);
        assert_eq!(effects.into_finished()[0].ticket, Ticket(2));
        assert!(watch.remove_waiting(Ticket(1)));
    }
}
