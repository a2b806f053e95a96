//! Byte-range locks: POSIX advises, NT forbids.
//!
//! A lock of NT keeps others from reading and writing, which one of POSIX does not. So a range is locked where no
//! data can be: NT counts bytes of a lock without a sign, those of a file with one, and byte `n` of a file is locked
//! as byte 2⁶³ + `n`. All programs of the mount meet there, and the drivers see each lock.
//!
//! An owner of POSIX may lock a range again in another way, and give back a part of it; NT knows a lock by its exact
//! range. What an owner has is given back and asked for anew as needed, each piece with a key of its own. NT does not
//! change a lock: between the two somebody else may get it who waits for it, and the owner has lost it, as with
//! `flock` on Linux. Nothing finds circles of owners that wait for each other.

use crate::errors::{Failed, Result};
use crate::open_files::OpenFile;
use crate::signals;
use fuser::Errno;
use ntbox_kernel::nt::{STATUS_LOCK_NOT_GRANTED, Status};
use ntbox_kernel::user::locks::Range;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// First byte that no file has.
const BEHIND_ALL: u64 = 1 << 63;
/// How often a wait looks whether it is to end, in units of 100 ns.
const LOOK: i64 = 500_000;

/// A lock as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whose.
    pub owner: u64,
    /// Its first byte.
    pub start: u64,
    /// Its last byte.
    pub end: u64,
    /// Exclusive, shared, or none.
    pub exclusive: Option<bool>,
    /// Who asks, for who wants to know.
    pub process: u32,
}

/// A lock that is held.
#[derive(Clone)]
struct Held {
    owner: u64,
    start: u64,
    end: u64,
    exclusive: bool,
    process: u32,
    key: u32,
    /// The file that it was asked for by, which stays open with it.
    file: Arc<OpenFile>,
}

impl Held {
    fn range(&self) -> Range {
        Range {
            offset: (BEHIND_ALL + self.start).cast_signed(),
            length: (self.end - self.start + 1).cast_signed(),
            key: self.key,
        }
    }
    fn overlaps(&self, asked: &Asked) -> bool {
        self.start <= asked.end && asked.start <= self.end
    }
    /// What is left of it in front of a range and behind it, and what lies in the range.
    fn cut(&self, asked: &Asked) -> (Vec<(u64, u64)>, (u64, u64)) {
        let mut outside = Vec::new();
        if self.start < asked.start {
            outside.push((self.start, asked.start - 1));
        }
        if asked.end < self.end {
            outside.push((asked.end + 1, self.end));
        }
        let inside = (self.start.max(asked.start), self.end.min(asked.end));
        (outside, inside)
    }
}

/// The locks that are held, by the number of the file.
#[derive(Default)]
pub struct Locks {
    held: Mutex<HashMap<u64, Vec<Held>>>,
    next_key: AtomicU32,
    stopping: AtomicBool,
}

impl Locks {
    fn held(&self) -> MutexGuard<'_, HashMap<u64, Vec<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who keeps a lock from being given, if anybody does.
    pub fn in_the_way(&self, node: u64, asked: &Asked) -> Option<(u64, u64, bool, u32)> {
        let all = self.held();
        let held = all.get(&node)?.iter().find(|held| {
            held.owner != asked.owner
                && held.overlaps(asked)
                && (held.exclusive || asked.exclusive == Some(true))
        })?;
        Some((held.start, held.end, held.exclusive, held.process))
    }

    /// Takes a lock, changes it, or gives it back, without waiting.
    ///
    /// # Errors
    /// EAGAIN: another owner has it.
    pub fn set(&self, file: &Arc<OpenFile>, asked: &Asked) -> Result<()> {
        let mut all = self.held();
        let locks = all.entry(file.node).or_default();
        let result = self.change(locks, file, asked);
        if locks.is_empty() {
            all.remove(&file.node);
        }
        result
    }

    fn change(&self, locks: &mut Vec<Held>, file: &Arc<OpenFile>, asked: &Asked) -> Result<()> {
        let own: Vec<Held> = locks
            .extract_if(.., |held| held.owner == asked.owner && held.overlaps(asked))
            .collect();
        for held in &own {
            held.file.locks().unlock(held.range())?;
        }
        for held in &own {
            for (start, end) in held.cut(asked).0 {
                // Lost if somebody waits for it, as the module says.
                if let Ok(kept) = self.take(&held.file, held, (start, end)) {
                    locks.push(kept);
                }
            }
        }
        let Some(exclusive) = asked.exclusive else {
            return Ok(());
        };
        let wanted = self.new_lock(file, asked, exclusive);
        match wanted.file.locks().lock(wanted.range(), exclusive) {
            Ok(()) => {
                locks.push(wanted);
                Ok(())
            }
            Err(status) => {
                for held in &own {
                    if let Ok(kept) = self.take(&held.file, held, held.cut(asked).1) {
                        locks.push(kept);
                    }
                }
                Err(status.into())
            }
        }
    }

    fn new_lock(&self, file: &Arc<OpenFile>, asked: &Asked, exclusive: bool) -> Held {
        Held {
            owner: asked.owner,
            start: asked.start,
            end: asked.end,
            exclusive,
            process: asked.process,
            key: self.next_key.fetch_add(1, Ordering::Relaxed),
            file: Arc::clone(file),
        }
    }

    /// Locks a part of what was held.
    fn take(&self, file: &Arc<OpenFile>, like: &Held, (start, end): (u64, u64)) -> Result<Held> {
        let part = Held {
            start,
            end,
            key: self.next_key.fetch_add(1, Ordering::Relaxed),
            file: Arc::clone(file),
            ..like.clone()
        };
        part.file.locks().lock(part.range(), part.exclusive)?;
        Ok(part)
    }

    /// Takes a lock as soon as it is free. The request stays outstanding until then.
    ///
    /// # Errors
    /// EINTR: the thread that waits is to do something else, or the mount ends.
    pub fn wait(&self, file: &Arc<OpenFile>, asked: &Asked, thread: u32) -> Result<()> {
        match self.set(file, asked) {
            Err(error) if error == Failed::from(Status(STATUS_LOCK_NOT_GRANTED)) => {}
            result => return result,
        }
        // What the owner has of the range would keep it from itself.
        let none = Asked {
            exclusive: None,
            ..*asked
        };
        self.set(file, &none)?;
        let wanted = self.new_lock(file, asked, asked.exclusive == Some(true));
        let started = file.locks().start_lock(wanted.range(), wanted.exclusive);
        let mut request = started.ok_or(Errno::EBADF)?;
        while !request.finishes_within(LOOK) {
            if self.stopping.load(Ordering::Acquire) || signals::interrupts(thread) {
                request.cancel();
                break;
            }
        }
        file.locks().ended(request.wait())?;
        self.held().entry(file.node).or_default().push(wanted);
        Ok(())
    }

    /// Gives back all that an owner has of a file.
    pub fn release(&self, node: u64, owner: u64) {
        let mut all = self.held();
        let Some(locks) = all.get_mut(&node) else {
            return;
        };
        for held in locks.extract_if(.., |held| held.owner == owner) {
            // A handle that has gone has taken its locks with it.
            let _gone = held.file.locks().unlock(held.range());
        }
        if locks.is_empty() {
            all.remove(&node);
        }
    }

    /// Ends all waits, and gives everything back.
    pub fn end(&self) {
        self.stopping.store(true, Ordering::Release);
        let all = std::mem::take(&mut *self.held());
        for held in all.into_values().flatten() {
            let _gone = held.file.locks().unlock(held.range());
        }
    }
}
