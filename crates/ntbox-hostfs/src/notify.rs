//! Directory change notification of one open directory (`FsRtlNotifyFilterReportChange`).
//!
//! The first request fixes what is watched. Changes that happen while no
//! request waits are kept up to the size of that request's buffer; beyond, the
//! next request is told to list the directory again (`STATUS_NOTIFY_ENUM_DIR`).

use super::names;
use super::waiting::{Effects, Outcome, Ticket};
use ntbox_kernel::nt::{NTSTATUS, STATUS_NOTIFY_ENUM_DIR, STATUS_SUCCESS};
use std::collections::VecDeque;

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

/// A change on the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path of the entry that changed.
    pub path: Vec<Vec<u16>>,
    /// What happened.
    pub action: Action,
    /// The `FILE_NOTIFY_CHANGE_*` bits it falls under.
    pub filter: u32,
}

/// The watch on an open directory.
#[derive(Debug)]
pub struct Watch {
    filter: u32,
    tree: bool,
    limit: usize,
    kept: Vec<(Action, Vec<u16>)>,
    overflow: bool,
    waiting: VecDeque<(Ticket, usize)>,
    ended: Option<NTSTATUS>,
}

/// Bytes of a record in front of its name.
const RECORD_HEAD: usize = 12;

fn record_bytes(name: &[u16]) -> usize {
    (RECORD_HEAD + name.len() * 2).next_multiple_of(4)
}

/// `FILE_NOTIFY_INFORMATION` records, each at a multiple of four bytes.
fn records(kept: &[(Action, Vec<u16>)]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for (index, (action, name)) in kept.iter().enumerate() {
        let last = index + 1 == kept.len();
        let next = if last { 0 } else { record_bytes(name) };
        for value in [next as u32, *action as u32, (name.len() * 2) as u32] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
        if !last {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

impl Watch {
    /// Watches for `filter`, in the whole tree or only the directory itself.
    pub fn new(filter: u32, tree: bool, buffer_length: usize) -> Self {
        Self {
            filter,
            tree,
            limit: buffer_length,
            kept: Vec::new(),
            overflow: false,
            waiting: VecDeque::new(),
            ended: None,
        }
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
        let data = records(&kept);
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
            // The same change of the same entry once more says nothing new.
            if self.kept.last() != Some(&(change.action, name.clone())) {
                self.kept.push((change.action, name));
            }
            let room = self
                .waiting
                .front()
                .map_or(self.limit, |(_, length)| *length);
            if self
                .kept
                .iter()
                .map(|(_, name)| record_bytes(name))
                .sum::<usize>()
                > room.max(RECORD_HEAD) + 3
            {
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
            let data = records(&self.kept);
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
        }
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
        let mut watch = Watch::new(change::FILE_NAME, false, 100);
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
        let mut watch = Watch::new(change::FILE_NAME, true, 100);
        watch.request(Ticket(1), 100);
        let finished = report(&mut watch, &[added(r"d\sub\abc")]);
        assert_eq!(parse(&finished[0].data), [(1, r"sub\abc".into())]);
    }

    #[test]
    fn changes_between_requests_are_kept() {
        let mut watch = Watch::new(change::FILE_NAME, false, 200);
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
    fn both_names_of_a_rename_come_together() {
        let mut watch = Watch::new(change::FILE_NAME, false, 100);
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
        let mut watch = Watch::new(change::FILE_NAME, false, 40);
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
        let mut empty = Watch::new(change::FILE_NAME, false, 0);
        empty.request(Ticket(3), 0);
        assert_eq!(
            report(&mut empty, &[added(r"d\a")])[0].status,
            STATUS_NOTIFY_ENUM_DIR
        );
    }

    #[test]
    fn the_end_and_cancellation() {
        let mut watch = Watch::new(change::FILE_NAME, false, 40);
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
        let mut watch = Watch::new(change::FILE_NAME, false, 100);
        watch.request(Ticket(1), 100);
        watch.request(Ticket(2), 100);
        let mut effects = Effects::new(&|ticket| ticket != Ticket(1));
        watch.report(&path("d"), &[added(r"d\x")], &mut effects);
        assert_eq!(effects.into_finished()[0].ticket, Ticket(2));
        assert!(watch.remove_waiting(Ticket(1)));
    }
}
