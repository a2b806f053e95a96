//! A trace as one page: what was asked, how long it took, what was busy, slow, or failed.
//!
//! | module | holds |
//! |---|---|
//! | this | what is counted of a trace |
//! | [`charts`] | pictures of it |
//! | [`page`] | the page |

pub mod charts;
pub mod page;
#[cfg(test)]
mod tests;

use crate::histogram::Histogram;
use crate::trace::event::{Event, Volume};
use fsglass_protocol::Operation;
use fsglass_protocol::trace::flags;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// How many of the slowest requests are kept.
const SLOWEST: usize = 25;

/// A slice of time in which requests are counted together, in units of 100 ns.
const SLICE: u64 = 100_000;

/// What was counted of some requests.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// How many there were.
    pub requests: u64,
    /// Bytes that they transferred.
    pub bytes: u64,
    /// Those that completed with an error or a warning.
    pub failed: u64,
    /// Those for which a driver below returned STATUS_PENDING.
    pub pended: u64,
    /// How long they took, in nanoseconds.
    pub durations: Histogram,
    /// The same, added up.
    pub nanoseconds: u128,
}

impl Totals {
    /// Counts one.
    pub fn add(&mut self, event: &Event) {
        self.requests += 1;
        // A damaged file may say any number.
        self.bytes = self.bytes.saturating_add(event.bytes());
        self.failed += u64::from(event.failed());
        self.pended += u64::from(event.has(flags::PENDED));
        self.durations.add(event.nanoseconds);
        self.nanoseconds += u128::from(event.nanoseconds);
    }
}

/// What was counted of a trace.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// All requests.
    pub all: Totals,
    /// When the first was passed on, and when the last one completed: 100 ns since 1601.
    pub span: Option<(u64, u64)>,
    /// By operation.
    pub operations: BTreeMap<Operation, Totals>,
    /// By name of the volume, as people know it.
    pub volumes: BTreeMap<String, Totals>,
    /// By who asked, and how: see [`kind`].
    pub kinds: BTreeMap<&'static str, Totals>,
    /// By process.
    pub processes: BTreeMap<u32, Totals>,
    /// By file, as far as names are known.
    pub files: HashMap<(Rc<Volume>, String), Totals>,
    /// The slowest, the slowest first.
    pub slowest: Vec<Event>,
    /// By status and operation.
    pub failures: BTreeMap<(u32, Operation), u64>,
    /// How many were passed on in each slice.
    slices: BTreeMap<u64, u64>,
}

/// Who asked, and how: a program by a request or by fast I/O, or the memory manager and the cache manager.
#[must_use]
pub fn kind(operation: Operation) -> &'static str {
    if operation.is_fast() {
        "fast I/O"
    } else if operation != operation.plain() {
        "paging I/O"
    } else if operation.is_filter() {
        "FsFilter operations"
    } else {
        "requests"
    }
}

impl Summary {
    /// The processes, those whose requests took most time first.
    #[must_use]
    pub fn by_process(&self) -> Vec<(u32, &Totals)> {
        let mut processes: Vec<_> = self.processes.iter().map(|(id, of)| (*id, of)).collect();
        processes.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.nanoseconds));
        processes
    }

    /// Counts one.
    pub fn add(&mut self, event: Event) {
        self.all.add(&event);
        let end = event.time.saturating_add(event.nanoseconds / 100);
        let span = self.span.get_or_insert((event.time, end));
        *span = (span.0.min(event.time), span.1.max(end));
        *self.slices.entry(event.time / SLICE).or_default() += 1;
        self.operations
            .entry(event.operation)
            .or_default()
            .add(&event);
        self.kinds
            .entry(kind(event.operation))
            .or_default()
            .add(&event);
        let process = event.record.process.get();
        self.processes.entry(process).or_default().add(&event);
        let volume = event.volume.short().to_owned();
        self.volumes.entry(volume).or_default().add(&event);
        if !event.name.is_empty() {
            let file = (Rc::clone(&event.volume), event.name.clone());
            self.files.entry(file).or_default().add(&event);
        }
        if event.failed() {
            let kind = (event.status(), event.operation);
            *self.failures.entry(kind).or_default() += 1;
        }
        self.keep_slow(event);
    }

    fn keep_slow(&mut self, event: Event) {
        let slower = |known: &Event| known.nanoseconds >= event.nanoseconds;
        let place = self.slowest.partition_point(slower);
        if place < SLOWEST {
            self.slowest.insert(place, event);
            self.slowest.truncate(SLOWEST);
        }
    }

    /// Seconds from the first request to the end of the last.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.span
            .map_or(0.0, |(first, last)| (last - first) as f64 / 1e7)
    }

    /// The operations, the most frequent first.
    #[must_use]
    pub fn mix(&self) -> Vec<(Operation, &Totals)> {
        let mut mix: Vec<_> = self.operations.iter().map(|(one, of)| (*one, of)).collect();
        mix.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.requests));
        mix
    }

    /// The files with the most requests.
    #[must_use]
    pub fn busiest(&self, most: usize) -> Vec<(&Volume, &str, &Totals)> {
        let mut files: Vec<_> = self
            .files
            .iter()
            .map(|((volume, name), totals)| (&**volume, name.as_str(), totals))
            .collect();
        // By name where they are equal: the same trace gives the same page.
        files.sort_by_key(|(volume, name, totals)| {
            (std::cmp::Reverse(totals.requests), volume.short(), *name)
        });
        files.truncate(most);
        files
    }

    /// Requests per second over time, in at most `most` steps: seconds since the beginning, and the
    /// rate from there on.
    #[must_use]
    pub fn rates(&self, most: u64) -> Vec<(f64, f64)> {
        let (Some(first), Some(last)) = (self.slices.keys().next(), self.slices.keys().last())
        else {
            return Vec::new();
        };
        let together = (last - first + 1).div_ceil(most.max(1));
        let seconds = together as f64 * SLICE as f64 / 1e7;
        let steps = (last - first) / together + 1;
        let step = |number: u64| {
            let from = first + number * together;
            let requests: u64 = self
                .slices
                .range(from..from + together)
                .map(|(_, requests)| requests)
                .sum();
            (number as f64 * seconds, requests as f64 / seconds)
        };
        (0..steps).map(step).collect()
    }
}
