//! Pageable memory, which is gone while anybody is at `DISPATCH_LEVEL`.
//!
//! NT may page it out at any time. Who touches it then waits until it is read
//! in, which a thread at `DISPATCH_LEVEL` or above cannot do: the machine stops,
//! on the rare day on which the page was out. Here everything pageable is paged
//! out (made inaccessible) when a thread raises to `DISPATCH_LEVEL`, and nothing
//! is paged in while one is there. A fault asks [`touched`]: at `DISPATCH_LEVEL`
//! it is a violation, below it the thread waits until everybody has left that
//! level, as it would wait for the disk.
//!
//! A page has one protection for all threads; that others wait is what makes it
//! hold for each thread alone. A thread that has waited for [`PATIENCE`] is let
//! through, for one that stays at `DISPATCH_LEVEL` may be waiting for it: a use
//! can be missed then, none is reported wrongly.
//!
//! What is pageable: pool blocks of that kind, with
//! the verifier's option for special pool,
//! and sections of images whose names begin with `PAGE`. Pages that an MDL has
//! locked are [`pin`]ned. Hosts whose faults are not handled have none of this.
//!
//! Source: Driver Verifier "Force IRQL Checking".

#![expect(unsafe_code, reason = "pages are made accessible by address")]

use super::memory::{self, Protection};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After this long a page is read in although somebody is at `DISPATCH_LEVEL`.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_micros(20);

/// Pages that are pageable together.
struct Range {
    end: usize,
    /// When it is paged in.
    protection: Protection,
    paged_in: bool,
    pins: usize,
}

/// # Invariants
/// `evictable` are the starts of the ranges that are paged in and not pinned.
struct Ranges {
    by_start: BTreeMap<usize, Range>,
    evictable: Vec<usize>,
}

static RANGES: Mutex<Ranges> = Mutex::new(Ranges {
    by_start: BTreeMap::new(),
    evictable: Vec::new(),
});
/// Ranges that there are.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Ranges in `evictable`, and one for each thread that is about to page one in.
static EVICTABLE: AtomicUsize = AtomicUsize::new(0);
/// Threads at `DISPATCH_LEVEL` or above. One that was there before the first range is not counted.
static AT_DISPATCH: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread is counted in `AT_DISPATCH`.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// What a fault in pageable memory means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The page is there now: the instruction is to be run again.
    PagedIn,
    /// The thread runs at `DISPATCH_LEVEL` or above.
    TooHigh,
}

/// How memory is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Written.
    Write,
    /// Executed.
    Execute,
}

fn ranges() -> MutexGuard<'static, Ranges> {
    RANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True if anything is pageable.
#[inline]
fn any() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

impl Range {
    fn allows(&self, access: Access) -> bool {
        match self.protection {
            Protection::None => false,
            Protection::Read => access == Access::Read,
            Protection::ReadWrite => access != Access::Execute,
            Protection::ReadExecute => access != Access::Write,
            Protection::ReadWriteExecute => true,
        }
    }
}

impl Ranges {
    /// The range that an address lies in.
    fn at(&mut self, address: usize) -> Option<(usize, &mut Range)> {
        let (start, range) = self.by_start.range_mut(..=address).next_back()?;
        (address < range.end).then_some((*start, range))
    }

    /// Pages in; `evictable` is left to the caller. False if the host refuses.
    fn page_in(&mut self, start: usize) -> bool {
        let Some(range) = self.by_start.get_mut(&start) else {
            return false;
        };
        if !range.paged_in {
            // SAFETY: the pages of the range, to the protection that its owner gave them.
            range.paged_in = unsafe { memory::protect(start, range.end - start, range.protection) };
        }
        range.paged_in
    }

    fn may_be_evicted(&mut self, start: usize) {
        self.evictable.push(start);
        EVICTABLE.fetch_add(1, Ordering::SeqCst);
        if AT_DISPATCH.load(Ordering::SeqCst) != 0 {
            self.page_out();
        }
    }

    fn is_kept(&mut self, start: usize) {
        let before = self.evictable.len();
        self.evictable.retain(|evictable| *evictable != start);
        EVICTABLE.fetch_sub(before - self.evictable.len(), Ordering::SeqCst);
    }

    /// Pages out everything that may be.
    fn page_out(&mut self) {
        EVICTABLE.fetch_sub(self.evictable.len(), Ordering::SeqCst);
        for start in self.evictable.drain(..) {
            let Some(range) = self.by_start.get_mut(&start) else {
                continue;
            };
            // Where the host refuses (no mapping left to split) it stays: a use is missed, no more.
            // SAFETY: the pages of the range; who touches them meets `touched`.
            range.paged_in =
                !unsafe { memory::protect(start, range.end - start, Protection::None) };
        }
    }
}

/// Makes whole pages pageable; they are accessible with `protection` now.
pub fn add(start: usize, bytes: usize, protection: Protection) {
    let mut ranges = ranges();
    let range = Range {
        end: start + bytes,
        protection,
        paged_in: true,
        pins: 0,
    };
    ranges.by_start.insert(start, range);
    COUNT.fetch_add(1, Ordering::SeqCst);
    ranges.may_be_evicted(start);
}

/// Ends what [`add`] began for the ranges in these pages; they are accessible.
pub fn remove(start: usize, bytes: usize) {
    if !any() {
        return;
    }
    let mut ranges = ranges();
    while let Some((&first, _)) = ranges.by_start.range(start..start + bytes).next() {
        ranges.page_in(first);
        ranges.is_kept(first);
        ranges.by_start.remove(&first);
        COUNT.fetch_sub(1, Ordering::SeqCst);
    }
}

/// True if what lies at `address` may be paged out: it is pageable, and no MDL has locked it.
pub fn may_be_out(address: usize) -> bool {
    any()
        && ranges()
            .at(address)
            .is_some_and(|(_, range)| range.pins == 0)
}

/// Keeps what lies in `bytes` from `start` paged in until [`unpin`], as
/// `MmProbeAndLockPages` does.
pub fn pin(start: usize, bytes: usize) {
    change_pins(start, bytes, true);
}

/// Ends a [`pin`]; nothing for what was not pageable then.
pub fn unpin(start: usize, bytes: usize) {
    change_pins(start, bytes, false);
}

fn change_pins(start: usize, bytes: usize, pin: bool) {
    if !any() || bytes == 0 {
        return;
    }
    let mut ranges = ranges();
    let mut address = start;
    while address < start + bytes {
        let Some((first, range)) = ranges.at(address) else {
            address = ranges
                .by_start
                .range(address..)
                .next()
                .map_or(usize::MAX, |(start, _)| *start);
            continue;
        };
        address = range.end;
        match (pin, range.pins) {
            (true, pins) => {
                range.pins += 1;
                if pins == 0 {
                    ranges.page_in(first);
                    ranges.is_kept(first);
                }
            }
            (false, 0) => {}
            (false, pins) => {
                range.pins -= 1;
                if pins == 1 {
                    ranges.may_be_evicted(first);
                }
            }
        }
    }
}

/// Keeps a buffer paged in while the host's kernel reads or writes it: it would fail, not wait.
pub struct Pinned(usize, usize);

/// [`pin`]s a buffer until the guard is dropped.
pub fn pinned(buffer: &[u8]) -> Pinned {
    let (start, bytes) = (buffer.as_ptr().addr(), buffer.len());
    pin(start, bytes);
    Pinned(start, bytes)
}

impl Drop for Pinned {
    fn drop(&mut self) {
        unpin(self.0, self.1);
    }
}

/// To be called by a thread whose level has passed `DISPATCH_LEVEL`, upwards or downwards.
#[inline]
pub fn crossed(upwards: bool) {
    if upwards {
        if any() {
            raised();
        }
    } else if COUNTED.get() {
        COUNTED.set(false);
        AT_DISPATCH.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cold]
fn raised() {
    COUNTED.set(true);
    AT_DISPATCH.fetch_add(1, Ordering::SeqCst);
    // A thread that pages in counts itself first and looks at `AT_DISPATCH` then: one of the two
    // sees the other.
    if EVICTABLE.load(Ordering::SeqCst) != 0 {
        ranges().page_out();
    }
}

/// Called for a fault of this thread. `None`: the page is not pageable, or the access is wrong
/// at any level. `too_high`: the thread runs at `DISPATCH_LEVEL` or above. It holds none of this
/// module's locks, as it touches nothing pageable there.
pub fn touched(address: usize, access: Access, too_high: bool) -> Option<Touched> {
    if !any() {
        return None;
    }
    let begun = Instant::now();
    loop {
        let mut ranges = ranges();
        let (start, range) = ranges.at(address)?;
        if !range.allows(access) {
            return None;
        }
        if too_high {
            return Some(Touched::TooHigh);
        }
        if range.paged_in {
            return Some(Touched::PagedIn);
        }
        EVICTABLE.fetch_add(1, Ordering::SeqCst);
        if AT_DISPATCH.load(Ordering::SeqCst) == 0 || begun.elapsed() >= PATIENCE {
            let paged_in = ranges.page_in(start);
            ranges.evictable.push(start);
            return paged_in.then_some(Touched::PagedIn);
        }
        EVICTABLE.fetch_sub(1, Ordering::SeqCst);
        drop(ranges);
        std::thread::sleep(PAUSE);
    }
}

/// Calls `look` while what lies in `bytes` from `start` is paged in, for the box itself, at any
/// level: what it looks at for a report or a check is nobody's mistake. Nobody can page it out
/// meanwhile. False, without a call, if nothing is pageable there.
///
/// `look` must not touch pageable memory: it is called with this module's lock.
pub fn look(start: usize, bytes: usize, look: impl FnOnce() -> bool) -> bool {
    if !any() {
        return false;
    }
    let mut ranges = ranges();
    let mut found = false;
    let mut address = start;
    while address < start + bytes {
        let Some((first, range)) = ranges.at(address) else {
            break;
        };
        address = range.end;
        found = true;
        if !range.paged_in && ranges.page_in(first) {
            ranges.evictable.push(first);
            EVICTABLE.fetch_add(1, Ordering::SeqCst);
        }
    }
    found && look()
}

#[cfg(all(test, any(target_os = "linux", windows), target_arch = "x86_64"))]
#[path = "pageable_tests.rs"]
mod tests;
