//! Byte-range locks of one file: what `FsRtlProcessFileLock` and its family keep, and file systems of their own.
//!
//! Locks belong to a file object, a process and a key. An exclusive lock keeps
//! out every other lock, its owner's too; a shared lock may overlay its owner's
//! exclusive one. Locks are mandatory: reads and writes are checked.
//!
//! A request that waits is a ticket of who keeps the table. It leaves the queue when it is claimed, which fails for
//! one that is being cancelled: that stays for its cancel routine to find.
//!
//! Source: `FsRtlProcessFileLock` and its like in the DDI reference.

use crate::nt::{
    NTSTATUS, STATUS_INVALID_LOCK_RANGE, STATUS_LOCK_NOT_GRANTED, STATUS_RANGE_NOT_LOCKED,
    STATUS_SUCCESS,
};
use std::collections::VecDeque;

/// Whose lock it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The file object (the open).
    pub file: u64,
    /// The process.
    pub process: usize,
    /// The caller's key.
    pub key: u32,
}

/// A range of bytes. Offsets are unsigned, as in `FsRtl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

impl Range {
    /// # Errors
    /// `STATUS_INVALID_LOCK_RANGE`: the range goes past the last byte there can be.
    pub fn new(offset: u64, length: u64) -> Result<Self, NTSTATUS> {
        match length.checked_sub(1).map(|last| offset.checked_add(last)) {
            Some(None) => Err(STATUS_INVALID_LOCK_RANGE),
            _ => Ok(Self { offset, length }),
        }
    }
    /// Whether the ranges share a byte. An empty range is a point between two bytes
    /// and lies in a range only strictly inside it.
    fn overlaps(self, other: Self) -> bool {
        let before =
            |a: Self, b: Self| u128::from(a.offset) < u128::from(b.offset) + u128::from(b.length);
        before(self, other) && before(other, self)
    }
}

/// A lock that is held or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Whose.
    pub owner: Owner,
    /// Where.
    pub range: Range,
    /// Exclusive or shared.
    pub exclusive: bool,
}

/// What became of a lock request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is held.
    Granted,
    /// `STATUS_LOCK_NOT_GRANTED`.
    Refused(NTSTATUS),
    /// It waits; its ticket is in the queue.
    Queued,
}

/// The locks of a file, and who waits for one.
#[derive(Debug)]
pub struct Table<Ticket> {
    held: Vec<Lock>,
    waiting: VecDeque<(Ticket, Lock)>,
}

impl<Ticket> Default for Table<Ticket> {
    fn default() -> Self {
        Self {
            held: Vec::new(),
            waiting: VecDeque::new(),
        }
    }
}

impl<Ticket: Copy + PartialEq> Table<Ticket> {
    /// No lock is held or waited for: fast I/O needs no check.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.waiting.is_empty()
    }
    /// What is held, in the order in which it was granted.
    pub fn held(&self) -> &[Lock] {
        &self.held
    }
    /// Who waits, in the order in which they came.
    pub fn waiting(&self) -> impl Iterator<Item = Ticket> {
        self.waiting.iter().map(|(ticket, _)| *ticket)
    }
    fn conflicts(&self, asked: &Lock) -> bool {
        self.held.iter().any(|held| {
            held.range.overlaps(asked.range)
                && (asked.exclusive || held.exclusive && held.owner != asked.owner)
        })
    }
    /// Asks for a lock. With a ticket it waits if it must.
    pub fn lock(&mut self, lock: Lock, wait_as: Option<Ticket>) -> Asked {
        if !self.conflicts(&lock) {
            self.held.push(lock);
            return Asked::Granted;
        }
        match wait_as {
            None => Asked::Refused(STATUS_LOCK_NOT_GRANTED),
            Some(ticket) => {
                self.waiting.push_back((ticket, lock));
                Asked::Queued
            }
        }
    }
    /// Gives one lock back: the range must be exactly one that is held. An exclusive
    /// lock goes before a shared one on the same range.
    pub fn unlock_single(&mut self, owner: Owner, range: Range) -> NTSTATUS {
        let find = |exclusive: bool| {
            self.held.iter().position(|held| {
                held.owner == owner && held.range == range && held.exclusive == exclusive
            })
        };
        match find(true).or_else(|| find(false)) {
            Some(index) => {
                self.held.remove(index);
                STATUS_SUCCESS
            }
            None => STATUS_RANGE_NOT_LOCKED,
        }
    }
    /// Gives back the locks of a file object in a process, of one key if given.
    pub fn unlock_all(&mut self, file: u64, process: usize, key: Option<u32>) -> NTSTATUS {
        if self.held.is_empty() {
            return STATUS_RANGE_NOT_LOCKED;
        }
        self.held.retain(|held| {
            held.owner.file != file
                || held.owner.process != process
                || key.is_some_and(|key| key != held.owner.key)
        });
        STATUS_SUCCESS
    }
    /// At cleanup: gives back all locks of the file object, and takes out what waits for one and can be claimed.
    pub fn release(&mut self, file: u64, mut claim: impl FnMut(Ticket) -> bool) {
        self.held.retain(|held| held.owner.file != file);
        self.waiting
            .retain(|(ticket, lock)| lock.owner.file != file || !claim(*ticket));
    }
    /// Grants what can be granted now and claimed, in the order in which it was asked for.
    pub fn grant(&mut self, mut claim: impl FnMut(Ticket) -> bool) {
        let mut index = 0;
        while let Some((ticket, lock)) = self.waiting.get(index).copied() {
            if !self.conflicts(&lock) && claim(ticket) {
                self.waiting.remove(index);
                self.held.push(lock);
            } else {
                index += 1;
            }
        }
    }
    /// Takes a waiting request out, for its cancel routine; false if it is not here.
    pub fn remove_waiting(&mut self, ticket: Ticket) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
        before != self.waiting.len()
    }
    /// Whether `owner` may read the range (`FsRtlCheckLockForReadAccess`).
    pub fn allows_read(&self, owner: Owner, range: Range) -> bool {
        range.length == 0
            || !self
                .held
                .iter()
                .any(|held| held.exclusive && held.owner != owner && held.range.overlaps(range))
    }
    /// Whether `owner` may write the range (`FsRtlCheckLockForWriteAccess`): under no
    /// lock or under its own exclusive one.
    pub fn allows_write(&self, owner: Owner, range: Range) -> bool {
        range.length == 0
            || !self
                .held
                .iter()
                .any(|held| !(held.exclusive && held.owner == owner) && held.range.overlaps(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(file: u64) -> Owner {
        Owner {
            file,
            process: 1,
            key: 0,
        }
    }
    fn range(offset: u64, length: u64) -> Range {
        Range::new(offset, length).unwrap()
    }
    fn lock(file: u64, offset: u64, length: u64, exclusive: bool) -> Lock {
        Lock {
            owner: owner(file),
            range: range(offset, length),
            exclusive,
        }
    }
    const REFUSED: Asked = Asked::Refused(STATUS_LOCK_NOT_GRANTED);

    #[test]
    fn exclusive_excludes_and_shared_shares() {
        let mut table = Table::<usize>::default();
        assert_eq!(table.lock(lock(1, 0, 10, false), None), Asked::Granted);
        assert_eq!(table.lock(lock(2, 5, 10, false), None), Asked::Granted);
        assert_eq!(table.lock(lock(2, 9, 1, true), None), REFUSED);
        assert_eq!(table.lock(lock(1, 0, 1, true), None), REFUSED);
        assert_eq!(table.lock(lock(3, 15, 5, true), None), Asked::Granted);
        assert_eq!(table.lock(lock(1, 16, 1, false), None), REFUSED);
        assert_eq!(table.lock(lock(3, 16, 1, false), None), Asked::Granted);
        assert_eq!(table.lock(lock(3, 15, 5, true), None), REFUSED);
    }

    #[test]
    fn reads_and_writes_are_checked() {
        let mut table = Table::<usize>::default();
        table.lock(lock(1, 10, 10, true), None);
        table.lock(lock(1, 30, 10, false), None);
        assert!(table.allows_read(owner(1), range(0, 100)));
        assert!(!table.allows_read(owner(2), range(0, 11)));
        assert!(table.allows_read(owner(2), range(30, 10)));
        assert!(table.allows_write(owner(1), range(10, 10)));
        assert!(!table.allows_write(owner(1), range(30, 1)));
        assert!(table.allows_write(owner(2), range(20, 10)));
        assert!(!table.allows_read(Owner { key: 7, ..owner(1) }, range(10, 1)));
        assert!(!table.allows_read(
            Owner {
                process: 2,
                ..owner(1)
            },
            range(10, 1)
        ));
        assert!(table.allows_read(owner(2), range(15, 0)));
    }

    #[test]
    fn unlocking_needs_the_exact_range() {
        let mut table = Table::<usize>::default();
        table.lock(lock(1, 10, 10, true), None);
        table.lock(lock(1, 10, 10, false), None);
        assert_eq!(
            table.unlock_single(owner(1), range(10, 9)),
            STATUS_RANGE_NOT_LOCKED
        );
        assert_eq!(
            table.unlock_single(owner(2), range(10, 10)),
            STATUS_RANGE_NOT_LOCKED
        );
        assert_eq!(table.unlock_single(owner(1), range(10, 10)), STATUS_SUCCESS);
        // The exclusive one went first: others may read, not write.
        assert!(table.allows_read(owner(2), range(10, 1)));
        assert!(!table.allows_write(owner(2), range(10, 1)));
        assert_eq!(table.unlock_single(owner(1), range(10, 10)), STATUS_SUCCESS);
        assert_eq!(
            table.unlock_single(owner(1), range(10, 10)),
            STATUS_RANGE_NOT_LOCKED
        );
        assert_eq!(table.unlock_all(1, 1, None), STATUS_RANGE_NOT_LOCKED);
    }

    #[test]
    fn all_locks_go_by_process_and_key() {
        let mut table = Table::<usize>::default();
        table.lock(
            Lock {
                owner: Owner { key: 5, ..owner(1) },
                ..lock(1, 0, 1, true)
            },
            None,
        );
        table.lock(lock(1, 1, 1, true), None);
        table.lock(lock(2, 2, 1, true), None);
        assert_eq!(table.unlock_all(1, 1, Some(5)), STATUS_SUCCESS);
        assert!(table.allows_read(owner(3), range(0, 1)));
        assert!(!table.allows_read(owner(3), range(1, 1)));
        assert_eq!(table.unlock_all(1, 9, None), STATUS_SUCCESS);
        assert!(!table.allows_read(owner(3), range(1, 1)));
        assert_eq!(table.unlock_all(1, 1, None), STATUS_SUCCESS);
        assert!(table.allows_read(owner(3), range(1, 1)));
        assert!(!table.allows_read(owner(3), range(2, 1)));
    }

    #[test]
    fn ranges_at_the_end_of_the_numbers() {
        assert_eq!(Range::new(u64::MAX, 1).unwrap().length, 1);
        assert_eq!(Range::new(u64::MAX, 2), Err(STATUS_INVALID_LOCK_RANGE));
        assert!(
            Range::new(0, u64::MAX)
                .unwrap()
                .overlaps(range(u64::MAX - 1, 1))
        );
        assert!(!range(0, u64::MAX).overlaps(range(u64::MAX, 1)));
        assert!(range(5, 0).overlaps(range(0, 10)));
        assert!(!range(5, 0).overlaps(range(5, 10)));
    }
}
