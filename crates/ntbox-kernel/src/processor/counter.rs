//! The performance counter, in counts of 100 ns as on Windows 10 and later.
//!
//! Where the processor's time stamp counter goes on at the same pace in all of its states, it is read and
//! scaled, as Windows does: that costs a driver which reads it for each request a few nanoseconds, as it does
//! there. Elsewhere it is the host's clock.

#![expect(unsafe_code, reason = "the time stamp counter is an instruction")]

use super::time;
use std::sync::Once;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts per second (`KeQueryPerformanceCounter`), as Windows 10 has them.
pub const FREQUENCY: i64 = 10_000_000;

/// How long the pace is measured, at the first reading: a host's clock that is off by 50 ns at both ends
/// makes that 25 millionths.
const MEASURED: Duration = Duration::from_millis(4);

/// Bits behind the point of a scale.
const FRACTION: u32 = 40;

/// From time stamps to counts.
struct Scale {
    /// A time stamp, and the counter at that moment.
    from: (u64, i64),
    /// Counts in 2^40 time stamps.
    counts: u64,
}

impl Scale {
    fn at(&self, stamp: u64) -> i64 {
        // Processors' stamps may be a little apart: nothing is before the beginning.
        let since = u128::from(stamp.saturating_sub(self.from.0));
        let counts = (since * u128::from(self.counts)) >> FRACTION;
        self.from.1.saturating_add(counts as i64)
    }

    #[cfg(target_arch = "x86_64")]
    fn measure() -> Option<Self> {
        if !is_steady() {
            return None;
        }
        let counter = time::interrupt_time();
        let (begun, from) = together();
        while begun.elapsed() < MEASURED {
            std::hint::spin_loop();
        }
        let (ended, to) = together();
        let stamps = u128::from(to.checked_sub(from)?.max(1));
        let counts = (ended.duration_since(begun).as_nanos() << FRACTION) / (100 * stamps);
        Some(Self {
            from: (from, counter),
            counts: u64::try_from(counts).ok()?,
        })
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn measure() -> Option<Self> {
        None
    }
}

/// The host's clock and a time stamp, of the same moment: of several tries the one that was not interrupted.
#[cfg(target_arch = "x86_64")]
fn together() -> (Instant, u64) {
    let one = |_| {
        let (before, now, after) = (stamp(), Instant::now(), stamp());
        (after.saturating_sub(before), now, before)
    };
    let tries = (0..8).map(one).min_by_key(|(apart, ..)| *apart);
    tries.map_or_else(
        || (Instant::now(), stamp()),
        |(apart, now, before)| (now, before + apart / 2),
    )
}

#[cfg(target_arch = "x86_64")]
fn stamp() -> u64 {
    // SAFETY: every x64 processor has the instruction, and programs may use it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn stamp() -> u64 {
    0
}

/// "Invariant TSC", in the leaf for power management.
#[cfg(target_arch = "x86_64")]
fn is_steady() -> bool {
    use std::arch::x86_64::__cpuid;
    const LEAVES: u32 = 0x8000_0000;
    const POWER: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    __cpuid(LEAVES).eax >= POWER && __cpuid(POWER).edx & INVARIANT != 0
}

/// The scale, once it is measured: its counts are 0 until then, and stay so where there is none.
static STAMP: AtomicU64 = AtomicU64::new(0);
static COUNTER: AtomicI64 = AtomicI64::new(0);
static COUNTS: AtomicU64 = AtomicU64::new(0);

/// A reading (`KeQueryPerformanceCounter`): the same on all processors.
#[inline]
pub fn performance_counter() -> i64 {
    match COUNTS.load(Ordering::Acquire) {
        0 => first_or_clock(),
        counts => {
            let from = (
                STAMP.load(Ordering::Relaxed),
                COUNTER.load(Ordering::Relaxed),
            );
            Scale { from, counts }.at(stamp())
        }
    }
}

/// Measures the scale, or reads the host's clock where there is none. In the convention of drivers, so that
/// a routine that they call keeps no registers for it.
#[cold]
extern "win64" fn first_or_clock() -> i64 {
    static MEASURE: Once = Once::new();
    MEASURE.call_once(|| {
        if let Some(scale) = Scale::measure() {
            STAMP.store(scale.from.0, Ordering::Relaxed);
            COUNTER.store(scale.from.1, Ordering::Relaxed);
            COUNTS.store(scale.counts, Ordering::Release);
        }
    });
    if COUNTS.load(Ordering::Acquire) == 0 {
        time::interrupt_time()
    } else {
        performance_counter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_at_the_pace_of_the_clock_and_never_back() {
        performance_counter();
        let begun = Instant::now();
        let from = performance_counter();
        // Not before the counter was read, and not after: whenever this thread is interrupted.
        let latest = begun.elapsed();
        let mut last = from;
        while begun.elapsed() < Duration::from_millis(50) {
            let now = performance_counter();
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
        let least = begun.elapsed() - latest;
        let counted = performance_counter() - from;
        let most = begun.elapsed();
        let (least, most) = (time::units(least), time::units(most));
        assert!(
            (least - least / 100..=most + most / 100).contains(&counted),
            "{counted} is not from {least} to {most}"
        );
    }

    #[test]
    fn stamps_are_scaled() {
        let scale = Scale {
            from: (1000, 7),
            // 2.5 GHz: 250 stamps a count.
            counts: (1 << FRACTION) / 250,
        };
        assert_eq!(scale.at(1000), 7);
        assert_eq!(scale.at(900), 7, "a processor that is a little behind");
        assert_eq!(scale.at(1000 + 250 * 12 + 1), 7 + 12);
        // Twenty years.
        let years = 20 * 365 * 86_400 * 2_500_000_000_u64;
        let counts = (years / 250) as i64;
        assert!(scale.at(1000 + years).abs_diff(counts + 7) < 1 << 30);
    }
}
