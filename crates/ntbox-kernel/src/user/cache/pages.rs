//! The pages of one stream that the cache holds, and which of them have to be written.
//!
//! What lies behind the end of the file is zero in every page. A page is dirty until somebody has taken it to write it,
//! and is being written until that one says how it went; if it was changed meanwhile it is dirty again.

use super::super::paging::PAGE;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pages that one paging request transfers at most.
pub(super) const MOST: u64 = 16;

type Page = [u8; PAGE];

/// A page that begins with `bytes`.
fn page_of(bytes: &[u8]) -> Box<Page> {
    let mut page = Box::new([0; PAGE]);
    for (to, from) in page.iter_mut().zip(bytes) {
        *to = *from;
    }
    page
}

/// Bytes of the stream, by their places in it.
pub(super) type Bytes = Range<u64>;

/// Pages that lie side by side.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first byte, a multiple of a page.
    pub(super) offset: u64,
    /// What they hold.
    pub(super) bytes: Vec<u8>,
}

/// What is to be read before the cache can do what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The first byte, a multiple of a page.
    pub(super) offset: u64,
    /// How many pages.
    pub(super) pages: u64,
    /// What was taken away from the cache when this was asked: of what is read, only that may be entered which nothing
    /// has been taken away from since.
    generation: u64,
}

/// The cache of a stream.
#[derive(Debug)]
pub(super) struct Pages {
    pages: BTreeMap<u64, Box<Page>>,
    /// Those that have to be written.
    dirty: BTreeSet<u64>,
    /// Those that are being written from the cache.
    taken: BTreeSet<u64>,
    /// Those that are being written from a view.
    shown: BTreeSet<u64>,
    size: u64,
    /// From here on the stream was never written, and is not read.
    valid: u64,
    generation: u64,
}

/// What the next cache begins to count its generations with, so that nothing that was read for one enters another.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Bytes behind the end of what was written that are zeroed page by page, when something is written behind them.
const MOST_ZEROED: u64 = 1 << 24;

/// Behind everything that a stream can have.
const END: u64 = i64::MAX as u64;

fn pages_of(bytes: &Bytes) -> Range<u64> {
    bytes.start / PAGE as u64..bytes.end.div_ceil(PAGE as u64)
}

/// Where a page and `bytes` meet: from its begin, and from theirs.
fn meet(number: u64, bytes: &Bytes) -> (Range<usize>, usize) {
    let begin = number * PAGE as u64;
    let first = bytes.start.max(begin);
    let last = bytes.end.min(begin + PAGE as u64).max(first);
    let inside = (first - begin) as usize..(last - begin) as usize;
    (inside, (first - bytes.start) as usize)
}

impl Pages {
    /// None, of a stream of `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        Self {
            pages: BTreeMap::new(),
            dirty: BTreeSet::new(),
            taken: BTreeSet::new(),
            shown: BTreeSet::new(),
            size,
            valid: size,
            generation: GENERATION.fetch_add(1 << 32, Ordering::Relaxed),
        }
    }

    /// The page is not here, and is not known to be zero.
    fn is_missing(&self, number: u64) -> bool {
        number * (PAGE as u64) < self.valid && !self.pages.contains_key(&number)
    }

    /// As many pages from `number` on as are missing side by side, of those of `wanted`.
    fn missing(&self, number: u64, wanted: &Range<u64>) -> Missing {
        let end = wanted.end.min(number + MOST);
        let pages = (number..end).take_while(|number| self.is_missing(*number));
        Missing {
            offset: number * PAGE as u64,
            pages: pages.count() as u64,
            generation: self.generation,
        }
    }

    /// The first pages of `bytes` that would have to be read; none if all are here.
    pub(super) fn first_missing(&self, bytes: &Bytes) -> Option<Missing> {
        let wanted = pages_of(&(bytes.start..bytes.end.min(self.size)));
        let first = wanted.clone().find(|number| self.is_missing(*number))?;
        Some(self.missing(first, &wanted))
    }

    /// Copies from `offset` on, to the end of the stream; how many bytes these are.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Missing> {
        let end = self.size.min(offset.saturating_add(buffer.len() as u64));
        let bytes = offset..end.max(offset);
        if let Some(missing) = self.first_missing(&bytes) {
            return Err(missing);
        }
        for number in pages_of(&bytes) {
            let (inside, from) = meet(number, &bytes);
            let Some(part) = buffer.get_mut(from..from + inside.len()) else {
                continue;
            };
            match self.pages.get(&number).map(|page| &page[inside]) {
                Some(found) => part.copy_from_slice(found),
                None => part.fill(0),
            }
        }
        Ok((bytes.end - bytes.start) as usize)
    }

    /// The page that has to be read before `bytes` can be written: one that is written in part.
    pub(super) fn missing_for_write(&self, bytes: &Bytes) -> Option<Missing> {
        let part = |number: &u64| meet(*number, bytes).0.len() != PAGE && self.is_missing(*number);
        let number = pages_of(bytes).find(part)?;
        Some(self.missing(number, &(number..number + 1)))
    }

    /// Copies `data` to `offset`, as far as the stream goes, in pages that are dirty then. What was never written in front
    /// of it is zero from now on.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Missing> {
        let bytes = offset..self.size.min(offset.saturating_add(data.len() as u64));
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(missing) = self.missing_for_write(&bytes) {
            return Err(missing);
        }
        if bytes.start.saturating_sub(self.valid) < MOST_ZEROED {
            for number in self.valid.div_ceil(PAGE as u64)..bytes.start / PAGE as u64 {
                self.pages.entry(number).or_insert_with(|| page_of(&[]));
                self.dirty.insert(number);
            }
        }
        for number in pages_of(&bytes) {
            let (inside, from) = meet(number, &bytes);
            let page = self.pages.entry(number).or_insert_with(|| page_of(&[]));
            page[inside.clone()].copy_from_slice(&data[from..from + inside.len()]);
            self.dirty.insert(number);
        }
        self.valid = self.valid.max(bytes.end);
        Ok(())
    }

    /// Enters what was read for `missing`. False if something was taken away meanwhile: it is asked again.
    pub(super) fn enter(&mut self, missing: Missing, data: &[u8]) -> bool {
        if missing.generation != self.generation {
            return false;
        }
        let first = missing.offset / PAGE as u64;
        let there = self.size.saturating_sub(missing.offset) as usize;
        let mut parts = data.get(..there).unwrap_or(data).chunks(PAGE);
        for number in first..first + missing.pages {
            let part = parts.next().unwrap_or(&[]);
            self.pages.entry(number).or_insert_with(|| page_of(part));
        }
        true
    }

    /// Takes pages within `bytes` that have to be written, at most as many as one request transfers. Those that are
    /// being written are left out.
    pub(super) fn take_dirty(&mut self, bytes: &Bytes) -> Option<Run> {
        let wanted = pages_of(bytes);
        let mut waiting = self.dirty.range(wanted.clone());
        let first = *waiting.find(|number| !self.is_under_way(number))?;
        let mut run = Run {
            offset: first * PAGE as u64,
            bytes: Vec::new(),
        };
        for number in first..wanted.end.min(first + MOST) {
            match self.pages.get(&number) {
                Some(page) if !self.is_under_way(&number) && self.dirty.remove(&number) => {
                    run.bytes.extend_from_slice(&**page);
                    self.taken.insert(number);
                }
                _ => break,
            }
        }
        Some(run)
    }

    /// Pages that were taken are written, or are not.
    pub(super) fn written(&mut self, run: &Run, success: bool) {
        for number in pages_of(&(run.offset..run.offset + run.bytes.len() as u64)) {
            let was_taken = self.taken.remove(&number) || self.shown.remove(&number);
            if was_taken && !success && self.pages.contains_key(&number) {
                self.dirty.insert(number);
            }
        }
    }

    /// The page at `offset` holds `page` now, which is written from a view of it: [`written`](Self::written) says how that
    /// went. None if it is being written already.
    pub(super) fn show(&mut self, offset: u64, page: &Page) -> Option<Run> {
        let number = offset / PAGE as u64;
        if self.is_under_way(&number) {
            return None;
        }
        if let Some(there) = self.pages.get_mut(&number) {
            there.copy_from_slice(page);
            self.zero_behind(self.size);
        }
        self.dirty.remove(&number);
        self.shown.insert(number);
        self.generation += 1;
        self.valid = self.valid.max(self.size.min(offset + PAGE as u64));
        Some(Run {
            offset,
            bytes: page.to_vec(),
        })
    }

    fn is_under_way(&self, number: &u64) -> bool {
        self.taken.contains(number) || self.shown.contains(number)
    }

    /// A page within `bytes` has to be written, or is being written.
    pub(super) fn is_dirty(&self, bytes: &Bytes) -> bool {
        self.dirty.range(pages_of(bytes)).next().is_some() || self.is_being_written(bytes)
    }

    /// A page within `bytes` is being written.
    pub(super) fn is_being_written(&self, bytes: &Bytes) -> bool {
        let shown = self.shown.range(pages_of(bytes)).next();
        shown.is_some() || self.is_taken(bytes)
    }

    /// A page within `bytes` is being written from the cache.
    pub(super) fn is_taken(&self, bytes: &Bytes) -> bool {
        self.taken.range(pages_of(bytes)).next().is_some()
    }

    /// How many bytes the stream has.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How many pages have to be written.
    pub(super) fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// The stream has `size` bytes now.
    pub(super) fn set_size(&mut self, size: u64) {
        if size < self.size {
            self.take_away(&(size.next_multiple_of(PAGE as u64)..END));
            self.zero_behind(size);
            self.valid = self.valid.min(size);
        }
        self.size = size;
    }

    /// Zeroes what lies behind `end`. What is being written with something else there is written once more, since the
    /// stream may have become larger again by then.
    fn zero_behind(&mut self, end: u64) {
        for (number, page) in self.pages.range_mut(end / PAGE as u64..) {
            let (inside, _) = meet(*number, &(end..END));
            page[inside].fill(0);
            if self.taken.contains(number) || self.shown.contains(number) {
                self.dirty.insert(*number);
            }
        }
    }

    /// Pages that `bytes` touch are no longer here, whatever they hold; but those that are being written, which are newer
    /// than what could be read.
    pub(super) fn take_away(&mut self, bytes: &Bytes) {
        let gone = pages_of(bytes);
        let (taken, shown) = (&self.taken, &self.shown);
        let stays = |number: &u64| {
            taken.contains(number) || shown.contains(number) || !gone.contains(number)
        };
        self.pages.retain(|number, _| stays(number));
        self.dirty.retain(stays);
        self.generation += 1;
    }

    /// `data` was written around the cache, at `offset`. Pages that are as the file was are no longer here; others hold it
    /// too, and one that was being written with what it held before is written once more.
    pub(super) fn written_around(&mut self, offset: u64, data: &[u8]) {
        let bytes = offset..offset + data.len() as u64;
        self.change_around(&bytes, |room, from| {
            room.copy_from_slice(&data[from..from + room.len()]);
        });
    }

    /// As [`written_around`](Self::written_around), of bytes that were made zero.
    pub(super) fn zeroed_around(&mut self, bytes: &Bytes) {
        self.change_around(bytes, |room, _| room.fill(0));
    }

    /// `change` makes a part of a page that holds some of `bytes`, from that place of them on, what the file is.
    fn change_around(&mut self, bytes: &Bytes, change: impl Fn(&mut [u8], usize)) {
        let (dirty, taken, shown) = (&self.dirty, &self.taken, &self.shown);
        let gone = pages_of(bytes);
        self.pages.retain(|number, _| {
            let is_changed = dirty.contains(number) || taken.contains(number);
            is_changed || shown.contains(number) || !gone.contains(number)
        });
        for (number, page) in self.pages.range_mut(gone) {
            let (inside, from) = meet(*number, bytes);
            change(&mut page[inside], from);
            self.dirty.insert(*number);
        }
        self.generation += 1;
        self.valid = self.valid.max(bytes.end);
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
