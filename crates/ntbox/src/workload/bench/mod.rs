//! What a request costs at each level of a device stack, in one process over
//! one bottom device: the bare volume device, the first driver above it, and so
//! on. All levels take turns within each round, and the median round counts.
//!
//! | module | holds |
//! |---|---|
//! | [`by_hand`] | one request that is driven through the stack again and again |
//! | [`calls`] | what programs call: opens, reads, writes, queries |
//! | [`count`] | what each driver does for a request, counted instruction by instruction |
//! | [`device`] | a file system that completes everything at once |

pub mod by_hand;
pub mod calls;
pub mod count;
pub mod device;
mod stack;

use serde::{Serialize, Serializer};
use stack::Stack;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// One thing that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What.
    pub what: String,
    /// Threads that did it at the same time, each with a request of its own.
    pub threads: usize,
    /// Median nanoseconds for one request of a thread, at each level: the bare stack first.
    #[serde(rename = "nanoseconds", serialize_with = "tenths")]
    pub levels: Vec<f64>,
    /// Rounds of each level.
    pub rounds: usize,
    /// Requests of each thread in a round.
    pub requests: u64,
}

fn tenths<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|value| (value * 10.0).round() / 10.0))
}

impl Measured {
    /// Nanoseconds on the bare stack.
    #[must_use]
    pub fn bare(&self) -> f64 {
        self.levels.first().copied().unwrap_or_default()
    }

    /// Nanoseconds through all drivers.
    #[must_use]
    pub fn filtered(&self) -> f64 {
        self.levels.last().copied().unwrap_or_default()
    }

    /// How many times as long as on the bare stack.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        if self.bare() > 0.0 {
            self.filtered() / self.bare()
        } else {
            0.0
        }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Rounds of each level.
    pub rounds: usize,
    /// Requests of each thread in a round.
    pub requests: u64,
    /// Threads.
    pub threads: usize,
}

/// Slices of a round: the levels take turns within it, so that a machine that is busy for a
/// while is busy for all.
const SLICES: u64 = 20;

/// Lets each thread do `work` with its state from `prepare`: at a level, that many requests.
fn measure<S: Send>(
    what: &str,
    extent: Extent,
    levels: usize,
    prepare: impl Fn() -> anyhow::Result<S>,
    work: impl Fn(&mut S, usize, u64) + Sync,
) -> anyhow::Result<Measured> {
    measure_switched(what, extent, u64::MAX, levels, prepare, |_| {}, work)
}

/// As [`measure`], in slices of at most `most` requests; one thread calls `switch` with the level before all
/// of them work at it, which takes no time that counts. Neither does an eighth of a slice behind that, in which
/// the caches get what the switch has driven out of them.
fn measure_switched<S: Send>(
    what: &str,
    extent: Extent,
    most: u64,
    levels: usize,
    prepare: impl Fn() -> anyhow::Result<S>,
    switch: impl Fn(usize) + Sync,
    work: impl Fn(&mut S, usize, u64) + Sync,
) -> anyhow::Result<Measured> {
    let slices = extent.requests.div_ceil(most).max(SLICES);
    let slice = extent.requests.div_ceil(slices);
    let states: Vec<S> = (0..extent.threads)
        .map(|_| prepare())
        .collect::<Result<_, _>>()?;
    let (start, end) = (Barrier::new(extent.threads), Barrier::new(extent.threads));
    let warm_up = if most == u64::MAX { 0 } else { slice / 8 };
    let one_thread = |mut state: S, leads: bool| {
        let mut rounds = vec![vec![Duration::ZERO; levels]; extent.rounds];
        for times in &mut rounds {
            for turn in 0..slices as usize {
                // Another level begins each time, so that none profits from warm caches.
                for place in 0..levels {
                    let level = (turn + place) % levels;
                    if leads {
                        switch(level);
                    }
                    start.wait();
                    if warm_up > 0 {
                        work(&mut state, level, warm_up);
                    }
                    let begun = Instant::now();
                    work(&mut state, level, slice);
                    times[level] += begun.elapsed();
                    end.wait();
                }
            }
        }
        rounds
    };
    let of_threads: Vec<Vec<Vec<Duration>>> = std::thread::scope(|scope| {
        let one_thread = &one_thread;
        let threads: Vec<_> = states
            .into_iter()
            .enumerate()
            .map(|(number, state)| scope.spawn(move || one_thread(state, number == 0)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a measuring thread ends"))
            .collect()
    });
    let requests = slice * slices * extent.threads as u64;
    let median_of = |level: usize| {
        let of_round = |round: usize| {
            let of_all: Duration = of_threads.iter().map(|times| times[round][level]).sum();
            of_all.as_nanos() as f64 / requests as f64
        };
        let mut times: Vec<f64> = (0..extent.rounds).map(of_round).collect();
        median(&mut times)
    };
    Ok(Measured {
        what: what.to_owned(),
        threads: extent.threads,
        levels: (0..levels).map(median_of).collect(),
        rounds: extent.rounds,
        requests: slice * slices,
    })
}

/// The middle value; the mean of the two middle ones of an even number.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => 0.0,
        values if values.len() % 2 == 1 => values[middle],
        values => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn medians_are_of_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut []), 0.0);
    }

    #[test]
    fn all_levels_get_all_rounds_and_take_turns() {
        let order = Mutex::new(Vec::new());
        let extent = Extent {
            rounds: 3,
            requests: 40,
            threads: 1,
        };
        let measured = measure(
            "x",
            extent,
            3,
            || Ok(()),
            |(), level, count| {
                assert_eq!(count, 2);
                order.lock().expect("no thread has failed").push(level);
                // A host that sleeps by the tick of its clock would not tell them apart.
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_micros(level as u64 * 500) {
                    std::hint::spin_loop();
                }
            },
        );
        let measured = measured.expect("nothing to prepare");
        let order = order.into_inner().expect("no thread has failed");
        assert_eq!(order[..9], [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert_eq!(order.len() as u64, 3 * 3 * SLICES);
        let [none, one, two] = measured.levels[..] else {
            panic!("three levels")
        };
        assert!(none < one && one < two, "{:?}", measured.levels);
        assert!((measured.ratio() - two / none).abs() < 1e-9);
    }

    #[test]
    fn threads_work_side_by_side_with_a_state_each() {
        let extent = Extent {
            rounds: 2,
            requests: SLICES,
            threads: 3,
        };
        let totals = Mutex::new(Vec::new());
        struct Count<'a>(u64, &'a Mutex<Vec<u64>>);
        impl Drop for Count<'_> {
            fn drop(&mut self) {
                self.1.lock().expect("no thread has failed").push(self.0);
            }
        }
        let measured = measure(
            "x",
            extent,
            2,
            || Ok(Count(0, &totals)),
            |state, _, count| state.0 += count,
        );
        assert_eq!(measured.expect("nothing to prepare").threads, 3);
        assert_eq!(
            totals.into_inner().expect("no thread has failed"),
            [2 * 2 * SLICES; 3]
        );
    }

    #[test]
    fn what_cannot_be_prepared_is_an_error() {
        let extent = Extent {
            rounds: 1,
            requests: 1,
            threads: 2,
        };
        let prepare = || -> anyhow::Result<()> { Err(anyhow::anyhow!("no file")) };
        assert!(measure("x", extent, 1, prepare, |(), _, _| {}).is_err());
    }
}
