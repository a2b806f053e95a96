//! Distributions of durations, in the buckets of the driver.

use fsglass_protocol::histogram;
use std::collections::BTreeMap;

/// How many durations fell into each bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    /// By bucket; none is 0.
    buckets: BTreeMap<usize, u64>,
    /// The longest, in ticks.
    pub longest: u64,
}

impl Histogram {
    /// Of the driver's counts: buckets with their counts, and the longest.
    #[must_use]
    pub fn new(buckets: impl Iterator<Item = (usize, u64)>, longest: u64) -> Self {
        let buckets = buckets.filter(|(_, count)| *count != 0).collect();
        Self { buckets, longest }
    }

    /// Adds one duration.
    pub fn add(&mut self, ticks: u64) {
        *self.buckets.entry(histogram::bucket(ticks)).or_default() += 1;
        self.longest = self.longest.max(ticks);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// The buckets that are not empty: least duration, the first beyond it, how many.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.buckets.iter().map(|(bucket, count)| {
            let (least, beyond) = histogram::bounds(*bucket);
            (least, beyond, *count)
        })
    }

    /// The duration, in ticks, that `share` of them do not exceed; 0 of none.
    ///
    /// It is the upper end of a bucket: never less than the true one, and at most an eighth more.
    #[must_use]
    pub fn percentile(&self, share: f64) -> u64 {
        let wanted = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (_, beyond, count) in self.iter() {
            seen += count;
            if seen >= wanted {
                return (beyond - 1).min(self.longest);
            }
        }
        0
    }

    /// What was added since `earlier`. The longest stays that of all time, because nobody knows when
    /// it was.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let left = self.buckets.iter().map(|(bucket, count)| {
            let before = earlier.buckets.get(bucket).copied().unwrap_or(0);
            (*bucket, count.saturating_sub(before))
        });
        Self::new(left, self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the durations themselves, of which there are as many as make every rank count.
    #[test]
    fn percentiles_are_at_most_an_eighth_too_high() {
        let mut random = fastrand::Rng::with_seed(7);
        for size in [1, 2, 99, 100, 101, 5000] {
            let mut all: Vec<u64> = (0..size).map(|_| 1 << random.u32(0..40)).collect();
            for ticks in &mut all {
                *ticks += random.u64(0..*ticks);
            }
            let mut histogram = Histogram::default();
            for ticks in &all {
                histogram.add(*ticks);
            }
            all.sort_unstable();
            for share in [0.0, 0.5, 0.9, 0.99, 1.0] {
                let rank = ((all.len() as f64 * share).ceil() as usize).max(1);
                let exact = all[rank - 1];
                let told = histogram.percentile(share);
                // The last bucket has no end but the longest of all.
                let error = if exact >= 1 << 36 {
                    all[all.len() - 1]
                } else {
                    exact / 8
                };
                assert!(
                    (exact..=exact + error).contains(&told),
                    "{size} {share}: {told} for {exact}"
                );
            }
        }
        assert_eq!(Histogram::default().percentile(0.5), 0);
    }

    #[test]
    fn a_difference_has_what_was_added() {
        let mut earlier = Histogram::default();
        earlier.add(5);
        earlier.add(1000);
        let mut later = earlier.clone();
        later.add(5);
        later.add(70);
        let since = later.since(&earlier);
        assert_eq!(since.count(), 2);
        assert_eq!(since.percentile(0.5), 5);
        assert_eq!(since.longest, 1000);
        assert_eq!(later.since(&later).iter().count(), 0);
    }
}
