//! A ring of records with many writers and one reader. Nobody waits: a record that finds no room is
//! counted as lost.
//!
//! A writer reserves words by moving the head, fills them, and publishes the record with its first
//! word, which is never 0. A thread that is interrupted between the two leaves a gap at which the
//! reader stops until it is filled; other writers go on behind it. The reader zeroes what it has
//! taken before it gives the words back, so that a word that was reserved but not published is 0.
//!
//! | from | to | ordered by |
//! |---|---|---|
//! | record written | record read | release store, acquire load of its first word |
//! | words zeroed | words written again | release store, acquire load of the tail, or of what a writer has seen of it |

use crate::atomic::{AtomicU64, Ordering};
use core::ops::Deref;

/// The words of a ring, on a processor of its own or shared: any number of writers.
///
/// `W` holds the words, all 0 in the beginning; how many there are is a power of two.
pub struct Ring<W> {
    words: W,
    /// The next word to be reserved; like the tail it only grows.
    head: AtomicU64,
    /// A tail that some writer has read: the writers look at the reader's own only when this one leaves
    /// no room, so that a reader that is at work does not take their cache line away with each record.
    seen: AtomicU64,
    lost: AtomicU64,
    /// Keeps the reader's word out of the cache line that the writers change.
    _apart: [u64; 8],
    /// The next word to be read.
    tail: AtomicU64,
}

/// What [`Ring::pop`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Popped {
    /// A record of that many bytes.
    Record(usize),
    /// Nothing, or a record that is still being written.
    Nothing,
    /// A record of that many bytes, which do not fit; it stays.
    TooLarge(usize),
    /// A record that was not to be taken; it stays.
    Refused,
}

/// A record that may be taken out.
pub struct Record<'r, W> {
    ring: &'r Ring<W>,
    tail: u64,
}

impl<W: Deref<Target = [AtomicU64]>> Record<'_, W> {
    /// A word of it, which has been published.
    #[must_use]
    pub fn word(&self, at: u64) -> u64 {
        let word = self.ring.word(self.tail + at);
        word.map_or(0, |word| word.load(Ordering::Relaxed))
    }
}

/// Bytes in a word.
const WORD: usize = size_of::<u64>();

/// The size of a record, from its first word: the low 16 bits, in bytes.
#[must_use]
pub const fn size_of_record(first: u64) -> usize {
    (first & 0xFFFF) as usize
}

impl<W: Deref<Target = [AtomicU64]>> Ring<W> {
    /// Over `words`, which are all 0; `None` unless their number is a power of two.
    #[must_use]
    pub fn new(words: W) -> Option<Self> {
        words.len().is_power_of_two().then(|| Self {
            words,
            head: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            _apart: [0; 8],
            tail: AtomicU64::new(0),
        })
    }

    fn word(&self, at: u64) -> Option<&AtomicU64> {
        let mask = self.words.len() as u64 - 1;
        self.words.get((at & mask) as usize)
    }

    /// Adds a record, or counts it as lost: whether it was added. The low 16 bits of `first` are the
    /// size of the record in bytes, a multiple of 8; `rest` is what follows, with zeros behind it.
    pub fn push(&self, first: u64, rest: impl IntoIterator<Item = u64>) -> bool {
        let size = size_of_record(first);
        let needed = (size / WORD) as u64;
        let reserved = if size.is_multiple_of(WORD) {
            self.reserve(needed)
        } else {
            None
        };
        let Some(start) = reserved else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        for (at, value) in (start + 1..start + needed).zip(rest) {
            if let Some(word) = self.word(at) {
                word.store(value, Ordering::Relaxed);
            }
        }
        if let Some(word) = self.word(start) {
            word.store(first, Ordering::Release);
        }
        true
    }

    /// Moves the head over `needed` words: where they begin, if there are so many.
    fn reserve(&self, needed: u64) -> Option<u64> {
        let mut head = self.head.load(Ordering::Relaxed);
        let mut tail = self.seen.load(Ordering::Acquire);
        loop {
            let end = head.checked_add(needed).filter(|_| needed != 0)?;
            // The tail may have overtaken a head that was read before it.
            let fits = |tail| end.saturating_sub(tail) <= self.words.len() as u64;
            if !fits(tail) {
                tail = self.tail.load(Ordering::Acquire);
                if !fits(tail) {
                    return None;
                }
                // Another writer may have stored a later one: then somebody looks once more than needed.
                self.seen.store(tail, Ordering::Release);
            }
            let moved =
                self.head
                    .compare_exchange_weak(head, end, Ordering::Relaxed, Ordering::Relaxed);
            match moved {
                Ok(start) => return Some(start),
                Err(now) => head = now,
            }
        }
    }

    /// Takes the oldest record out, if it has no more than `room` bytes and `takes` says so of it: gives its
    /// words to `put`, one after the other. There is one reader at a time.
    pub fn pop(
        &self,
        room: usize,
        takes: impl FnOnce(&Record<'_, W>) -> bool,
        mut put: impl FnMut(u64),
    ) -> Popped {
        let tail = self.tail.load(Ordering::Relaxed);
        let first = self
            .word(tail)
            .map_or(0, |word| word.load(Ordering::Acquire));
        let size = size_of_record(first);
        if size == 0 {
            return Popped::Nothing;
        }
        if size > room {
            return Popped::TooLarge(size);
        }
        let record = Record { ring: self, tail };
        if !takes(&record) {
            return Popped::Refused;
        }
        let words = (size / WORD) as u64;
        for at in 0..words {
            put(record.word(at));
        }
        let end = tail + words;
        for word in (tail..end).filter_map(|at| self.word(at)) {
            word.store(0, Ordering::Relaxed);
        }
        self.tail.store(end, Ordering::Release);
        Popped::Record(size)
    }

    /// Whether there is nothing that [`Ring::pop`] would find.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let tail = self.tail.load(Ordering::Relaxed);
        let first = self
            .word(tail)
            .map_or(0, |word| word.load(Ordering::Acquire));
        size_of_record(first) == 0
    }

    /// Records that were lost since the beginning.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
