//! Address space for blocks.
//!
//! One reservation, inaccessible as a whole, from which blocks are cut off in
//! rising order: the pages of a block, then one page that stays inaccessible.
//! A freed block becomes inaccessible again. Addresses are not reused: the
//! reservation has room for years of a run's allocations; if it is used up,
//! allocation fails.
//!
//! A process may have `vm.max_map_count` mappings (65,530 by default), and a
//! page with a protection of its own needs one. On Linux from 6.13 on that
//! limit does not matter: a chunk of 2 MiB is made accessible as one mapping
//! and all its pages are marked as guards in the page tables; a block takes the
//! marks of its pages away and puts them back when it is freed. On older
//! kernels each live block costs two mappings. When live blocks come near the
//! limit there, the inaccessible page between neighbours is left out for
//! further ones; then an overrun is found by the pattern when the block is
//! freed, use after free still at once.
//!
//! When all blocks of a chunk have been freed, the chunk is discarded as a
//! whole, which lets the host free its page tables, too.

#![expect(unsafe_code, reason = "pages are protected and filled by address")]

use crate::host::PAGE;
use crate::host::address_map::AddressMap;
use crate::host::memory::{self, Protection};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sizes tried for the reservation, in bytes; a limit on address space
/// (`ulimit -v`) may refuse the larger ones. Wine has a byte for each page of a
/// reservation, and writes it: 4 GiB for the largest, in every process.
const RESERVATIONS: &[usize] = if cfg!(windows) {
    &[1 << 40, 64 << 30, 4 << 30]
} else {
    &[16 << 40, 1 << 40, 64 << 30, 4 << 30]
};
/// Mappings left to everything else: libraries, threads, images, and blocks
/// without an inaccessible page, whose neighbours split when they are freed.
const OTHER_MAPPINGS: usize = 5_000;
const CHUNK: usize = 2 << 20;
/// Fills what no one has written: fresh blocks of drivers.
const UNINITIALIZED: u8 = 0xA5;
/// Fills the rest of the pages around a block.
const SLACK: u8 = 0xF5;
/// How much in front of a block is filled and looked at.
const SLACK_IN_FRONT: usize = 128;

static BASE: AtomicUsize = AtomicUsize::new(0);
static SIZE: AtomicUsize = AtomicUsize::new(0);

/// True if `address` lies in the reservation. Takes no lock.
pub(super) fn contains(address: usize) -> bool {
    let base = BASE.load(Ordering::Acquire);
    base != 0 && (base..base + SIZE.load(Ordering::Relaxed)).contains(&address)
}

/// Where a block lies, before it can be touched.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) address: usize,
    start: usize,
    pages: usize,
}

impl Place {
    /// Where its pages begin.
    pub(super) fn start(self) -> usize {
        self.start
    }
    /// Bytes of its pages.
    pub(super) fn bytes(self) -> usize {
        self.pages
    }
}

/// How pages become inaccessible and accessible.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    /// Marks in the page tables, in chunks that are accessible otherwise.
    Marks,
    /// The protection of mappings.
    Protection,
}

/// # Invariants
/// `BASE..next` has been given out, `next..BASE + SIZE` never has. With
/// [`Means::Marks`], `BASE..opened` is accessible but for the marked pages.
pub(super) struct Arena {
    next: usize,
    opened: usize,
    means: Means,
    live: usize,
    /// Live blocks that may have an inaccessible page behind them.
    live_guarded: usize,
    /// Live blocks of each chunk that has any (blocks over several count in each).
    chunks: Option<AddressMap<usize>>,
    told: bool,
}

/// What is to be done with the pages of a freed block, outside of the pool's lock.
pub(super) struct Closing {
    start: usize,
    pages: usize,
    means: Means,
    /// Chunks without live blocks.
    chunks: Vec<usize>,
}

impl Arena {
    pub(super) const fn new() -> Self {
        Self {
            next: 0,
            opened: 0,
            means: Means::Protection,
            live: 0,
            live_guarded: 0,
            chunks: None,
            told: false,
        }
    }

    /// Finds a place for a block of `bytes`; [`Arena::open`] then makes it accessible. None if
    /// the reservation is used up.
    pub(super) fn place(&mut self, bytes: usize) -> Option<Place> {
        if self.next == 0 {
            self.begin()?;
        }
        let pages = pages_of(bytes)?;
        let guard = if self.live < self.live_guarded {
            PAGE
        } else {
            0
        };
        if guard == 0 && !self.told {
            self.told = true;
            let limit = self.live_guarded;
            let text = format!(
                "ntbox: over {limit} live pool blocks: overruns of more are found when they are freed\n"
            );
            crate::host::write_raw(false, &text);
        }
        let end = BASE.load(Ordering::Relaxed) + SIZE.load(Ordering::Relaxed);
        let start = self.next;
        let next = start
            .checked_add(pages + guard)
            .filter(|next| *next <= end)?;
        if self.means == Means::Marks && next > self.opened {
            self.open_chunks(next)?;
        }
        self.next = next;
        self.live += 1;
        let chunks = self.chunks.get_or_insert_default();
        for chunk in chunks_of(start, pages) {
            *chunks.entry(chunk).or_default() += 1;
        }
        for left in start / CHUNK..next / CHUNK {
            if !chunks.contains_key(&left) {
                // All its blocks were freed while it was the one in use.
                // SAFETY: no live block lies in the chunk, and none will.
                let _ = unsafe { memory::discard(left * CHUNK, CHUNK) };
            }
        }
        let address = address_in(start, pages, bytes);
        Some(Place {
            address,
            start,
            pages,
        })
    }

    /// Reserves, and tries which means the host has.
    fn begin(&mut self) -> Option<()> {
        self.next = reserve()?;
        // A whole chunk is opened at a time.
        self.next = self.next.next_multiple_of(CHUNK);
        self.opened = self.next;
        self.means = Means::Marks;
        self.live_guarded = usize::MAX;
        if self.open_chunks(self.next + 1).is_none() {
            self.means = Means::Protection;
            self.live_guarded = memory::mapping_limit().saturating_sub(OTHER_MAPPINGS) / 2;
        }
        Some(())
    }

    /// Makes everything up to `next` accessible, but marked.
    fn open_chunks(&mut self, next: usize) -> Option<()> {
        let bytes = (next - self.opened).next_multiple_of(CHUNK);
        // SAFETY: the pages were never given out (invariant), here and below.
        if !unsafe { memory::protect(self.opened, bytes, Protection::ReadWrite) } {
            return None;
        }
        // SAFETY: as above.
        if !unsafe { memory::mark(self.opened, bytes) } {
            // SAFETY: as above.
            let _ = unsafe { memory::discard(self.opened, bytes) };
            return None;
        }
        self.opened += bytes;
        Some(())
    }

    /// What makes the pages of a place accessible; it is called outside of the pool's lock.
    pub(super) fn opener(&self) -> fn(Place, bool) -> bool {
        match self.means {
            Means::Marks => open_marked,
            Means::Protection => open_protected,
        }
    }

    /// Takes a block out of the count. What is returned makes its pages inaccessible for good.
    pub(super) fn free(&mut self, address: usize, bytes: usize) -> Closing {
        let start = address / PAGE * PAGE;
        let pages = pages_of(bytes).expect("the size was allocated");
        self.live -= 1;
        let mut empty = Vec::new();
        let chunks = self.chunks.get_or_insert_default();
        for chunk in chunks_of(start, pages) {
            let Some(live) = chunks.get_mut(&chunk) else {
                continue;
            };
            *live -= 1;
            if *live == 0 {
                chunks.remove(&chunk);
                if chunk < self.next / CHUNK && chunk * CHUNK >= BASE.load(Ordering::Relaxed) {
                    empty.push(chunk);
                }
            }
        }
        Closing {
            start,
            pages,
            means: self.means,
            chunks: empty,
        }
    }
}

fn open_marked(place: Place, executable: bool) -> bool {
    if executable && !open_protected(place, true) {
        return false;
    }
    // SAFETY: the pages were given out to the caller alone.
    unsafe { memory::unmark(place.start, place.pages) }
}

fn open_protected(place: Place, executable: bool) -> bool {
    let protection = if executable {
        Protection::ReadWriteExecute
    } else {
        Protection::ReadWrite
    };
    // SAFETY: the pages were given out to the caller alone.
    unsafe { memory::protect(place.start, place.pages, protection) }
}

impl Closing {
    /// Makes the pages inaccessible for good. If the host refuses (no mapping left to split),
    /// they stay accessible: a use is missed, no more.
    pub(super) fn close(self) {
        // SAFETY: the pages of one block, which its owner has given up.
        let marked = self.means == Means::Marks && unsafe { memory::mark(self.start, self.pages) };
        if !marked {
            // SAFETY: as above.
            let _ = unsafe { memory::discard(self.start, self.pages) };
        }
        for chunk in self.chunks {
            // SAFETY: no live block lies in the chunk, and none will.
            let _ = unsafe { memory::discard(chunk * CHUNK, CHUNK) };
        }
    }
}

/// The chunks that pages lie in.
fn chunks_of(start: usize, pages: usize) -> std::ops::RangeInclusive<usize> {
    start / CHUNK..=(start + pages - 1) / CHUNK
}

fn reserve() -> Option<usize> {
    let (base, size) = RESERVATIONS
        .iter()
        .find_map(|size| Some((memory::reserve(*size)?, *size)))?;
    SIZE.store(size, Ordering::Relaxed);
    BASE.store(base, Ordering::Release);
    Some(base)
}

/// Bytes of the pages under a block, without the guard.
fn pages_of(bytes: usize) -> Option<usize> {
    // A block of no bytes has an address of its own all the same.
    Some(bytes.max(1).checked_add(PAGE - 1)? / PAGE * PAGE)
}

/// Where a block lies in its pages: at their end, aligned as NT aligns it.
fn address_in(start: usize, pages: usize, bytes: usize) -> usize {
    if bytes >= PAGE {
        start
    } else {
        start + pages - bytes.max(1).next_multiple_of(16)
    }
}

/// Where the filled bytes around a block begin and end.
fn surroundings(address: usize, bytes: usize) -> (usize, usize) {
    let start = address / PAGE * PAGE;
    let end = start + pages_of(bytes).expect("the size was allocated");
    (start.max(address.saturating_sub(SLACK_IN_FRONT)), end)
}

/// Fills a new block and what lies around it in its pages.
///
/// # Safety
/// The block is new and its pages are writable.
pub(super) unsafe fn fill(address: usize, bytes: usize, uninitialized: bool) {
    let (start, end) = surroundings(address, bytes);
    let put = |from: usize, to: usize, byte: u8| {
        // SAFETY: the range lies in the pages of the block.
        unsafe { std::ptr::write_bytes(from as *mut u8, byte, to - from) };
    };
    put(start, address, SLACK);
    put(address + bytes, end, SLACK);
    if uninitialized {
        put(address, address + bytes, UNINITIALIZED);
    }
}

/// The damaged byte nearest to a block, as an offset from its start; behind
/// the block is looked at first.
///
/// # Safety
/// The block is live.
pub(super) unsafe fn find_damage(address: usize, bytes: usize) -> Option<isize> {
    let (start, end) = surroundings(address, bytes);
    // SAFETY: the ranges lie in the pages of the live block and outside the block itself.
    let behind = unsafe {
        std::slice::from_raw_parts((address + bytes) as *const u8, end - address - bytes)
    };
    // SAFETY: as above.
    let before = unsafe { std::slice::from_raw_parts(start as *const u8, address - start) };
    if let Some(offset) = behind.iter().position(|byte| *byte != SLACK) {
        return Some((bytes + offset) as isize);
    }
    let offset = before.iter().rposition(|byte| *byte != SLACK)?;
    Some(offset as isize - before.len() as isize)
}
