//! What is counted of one operation.
//!
//! Counters have one writer at a time, or many. Where the way in sees to it that there is one (a door that
//! one thread at a time is inside), an addition is a load and a store; counters that many write to at the
//! same time are added to with interlocked operations. Readers look at any time. A request that succeeds
//! and was not pended costs two additions: one when it is passed on, one in the histogram; the sum of that
//! is how many have completed.

use crate::atomic::{AtomicU64, Ordering};
use core::array;
use fsglass_protocol::OperationRecord;
use fsglass_protocol::histogram::{self, BUCKETS};

/// Who adds to counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writers {
    /// One at a time, each after the one before.
    One,
    /// Any number at the same time.
    Many,
}

/// How a request, or a call of fast I/O, came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The NTSTATUS.
    pub status: u32,
    /// `IoStatus.Information`, which is not counted.
    pub information: u64,
    /// Bytes transferred; 0 for what transfers none.
    pub bytes: u64,
    /// How long it took, in ticks.
    pub ticks: u64,
    /// Whether a driver below returned STATUS_PENDING.
    pub pended: bool,
    /// Whether it completed at DISPATCH_LEVEL.
    pub at_dispatch: bool,
    /// Fast I/O that the driver below declined.
    pub declined: bool,
}

/// The counters, with `N` buckets: as many as the histogram has, but in models. Zeroed memory is all of
/// them at 0.
#[cfg_attr(not(feature = "model"), derive(zerocopy::FromZeros))]
pub struct Counters<const N: usize = BUCKETS> {
    started: AtomicU64,
    bytes: AtomicU64,
    /// By the severity in the two highest bits of a status; success is what remains.
    by_severity: [AtomicU64; 3],
    pended: AtomicU64,
    at_dispatch: AtomicU64,
    declined: AtomicU64,
    longest: AtomicU64,
    buckets: [AtomicU64; N],
}

impl<const N: usize> Counters<N> {
    /// All 0.
    #[must_use]
    pub fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            started: zero(),
            bytes: zero(),
            by_severity: array::from_fn(|_| zero()),
            pended: zero(),
            at_dispatch: zero(),
            declined: zero(),
            longest: zero(),
            buckets: array::from_fn(|_| zero()),
        }
    }

    /// A request is passed on.
    pub fn start(&self, writers: Writers) {
        add(&self.started, 1, writers, Ordering::Relaxed);
    }

    /// Requests that were passed on and have not come back.
    #[must_use]
    pub fn below(&self) -> u64 {
        // Completions first: of those that are seen, the start is seen too.
        let buckets = self.buckets.iter();
        let buckets = buckets.map(|bucket| bucket.load(Ordering::Acquire));
        let completed = buckets.fold(0, u64::wrapping_add);
        self.started.load(Ordering::Relaxed).wrapping_sub(completed)
    }

    /// It came back.
    pub fn complete(&self, outcome: &Outcome, writers: Writers) {
        let add = |counter, amount| add(counter, amount, writers, Ordering::Relaxed);
        if outcome.bytes != 0 {
            add(&self.bytes, outcome.bytes);
        }
        let severity = (outcome.status >> 30) as usize;
        // Success has none.
        if let Some(counter) = severity
            .checked_sub(1)
            .and_then(|at| self.by_severity.get(at))
        {
            add(counter, 1);
        }
        for (counter, counts) in [
            (&self.pended, outcome.pended),
            (&self.at_dispatch, outcome.at_dispatch),
            (&self.declined, outcome.declined),
        ] {
            if counts {
                add(counter, 1);
            }
        }
        if outcome.ticks > self.longest.load(Ordering::Relaxed) {
            match writers {
                Writers::One => self.longest.store(outcome.ticks, Ordering::Relaxed),
                Writers::Many => {
                    self.longest.fetch_max(outcome.ticks, Ordering::Relaxed);
                }
            }
        }
        if let Some(bucket) = self.buckets.get(histogram::bucket(outcome.ticks)) {
            // Last, with what is above: who sees it completed sees it whole.
            self::add(bucket, 1, writers, Ordering::Release);
        }
    }
}

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self::new()
    }
}

fn add(counter: &AtomicU64, amount: u64, writers: Writers, order: Ordering) {
    match writers {
        Writers::One => {
            let sum = counter.load(Ordering::Relaxed).wrapping_add(amount);
            counter.store(sum, order);
        }
        Writers::Many => {
            counter.fetch_add(amount, order);
        }
    }
}

/// Several counters of the same operation, added up while requests go on.
#[derive(zerocopy::FromZeros)]
pub struct Sum<const N: usize = BUCKETS> {
    /// All but the operation and the number of buckets.
    pub record: OperationRecord,
    /// Requests per bucket.
    pub buckets: [u64; N],
}

impl<const N: usize> Sum<N> {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            record: OperationRecord::default(),
            buckets: [0; N],
        }
    }

    /// Adds up, anew.
    ///
    /// Completions are read before starts: a request that completes in between is in both or in the
    /// starts alone, so that there are never more completed than started.
    pub fn gather<'c>(&mut self, all: impl Iterator<Item = &'c Counters<N>> + Clone) {
        self.buckets.fill(0);
        let mut completed = 0;
        for counters in all.clone() {
            for (total, bucket) in self.buckets.iter_mut().zip(&counters.buckets) {
                let count = bucket.load(Ordering::Acquire);
                *total = total.wrapping_add(count);
                completed += count;
            }
        }
        let mut longest = 0;
        let mut read = [0_u64; 8];
        for counters in all {
            let [informational, warnings, errors] = &counters.by_severity;
            let fields = [
                &counters.started,
                &counters.bytes,
                informational,
                warnings,
                errors,
                &counters.pended,
                &counters.at_dispatch,
                &counters.declined,
            ];
            for (total, field) in read.iter_mut().zip(fields) {
                // A driver below may tell any number of bytes.
                *total = total.wrapping_add(field.load(Ordering::Relaxed));
            }
            longest = longest.max(counters.longest.load(Ordering::Relaxed));
        }
        let [
            started,
            bytes,
            informational,
            warnings,
            errors,
            pended,
            at_dispatch,
            declined,
        ] = read.map(Into::into);
        self.record = OperationRecord {
            started,
            completed: completed.into(),
            bytes,
            informational,
            warnings,
            errors,
            pended,
            at_dispatch,
            declined,
            longest: longest.into(),
            ..OperationRecord::default()
        };
    }

    /// The buckets that are not empty.
    pub fn occupied(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let buckets = self.buckets.iter().copied().enumerate();
        buckets.filter(|&(_, count)| count != 0)
    }
}

impl<const N: usize> Default for Sum<N> {
    fn default() -> Self {
        Self::new()
    }
}
