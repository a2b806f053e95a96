//! The clocks of the kernel, in units of 100 ns. The box may let them run faster than the host's ([`hurry`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 100 ns units from 1601-01-01 to 1970-01-01.
const UNIX_EPOCH_IN_UNITS: i64 = 116_444_736_000_000_000;
/// Units in one clock tick: 15.625 ms, the default of Windows on a PC
/// (`KeQueryTimeIncrement`).
pub const UNITS_PER_TICK: i64 = 156_250;
/// Longer spans are cut to this, about a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// How the clocks run.
#[derive(Clone, Copy)]
struct Pace {
    /// Since then.
    since: Instant,
    /// Times as fast as the host's.
    factor: u32,
    /// How much they were ahead of the host's then.
    ahead: Duration,
}

static PACE: RwLock<Option<Pace>> = RwLock::new(None);
/// There is a [`PACE`]: readers of clocks need not look before.
static HAS_PACE: AtomicBool = AtomicBool::new(false);

impl Pace {
    fn current() -> Option<Self> {
        if !HAS_PACE.load(Ordering::Acquire) {
            return None;
        }
        *PACE.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn ahead(&self) -> Duration {
        self.ahead + self.since.elapsed() * (self.factor - 1)
    }
    fn set(factor: u32) {
        let mut pace = PACE.write().unwrap_or_else(PoisonError::into_inner);
        let ahead = pace.map_or(Duration::ZERO, |pace| pace.ahead());
        *pace = Some(Self {
            since: Instant::now(),
            factor,
            ahead,
        });
        HAS_PACE.store(true, Ordering::Release);
    }
}

/// Time in the box passes as fast as the host's again when this is dropped.
#[derive(Debug)]
pub struct Hurry(());

/// Time in the box passes `factor` times as fast, at least once, as the host's: what waits for a time waits
/// that much less. What has begun to wait before is not hurried.
pub fn hurry(factor: u32) -> Hurry {
    Pace::set(factor.max(1));
    Hurry(())
}

impl Drop for Hurry {
    fn drop(&mut self) {
        Pace::set(1);
    }
}

/// How far the clocks are ahead of the host's.
fn ahead() -> i64 {
    Pace::current().map_or(0, |pace| units(pace.ahead()))
}

/// Units in `duration`.
pub fn units(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX)
}

/// The duration of `units`, which is not negative.
pub fn duration(units: u64) -> Duration {
    Duration::from_nanos(units.saturating_mul(100)).min(LONGEST)
}

/// Time since 1601-01-01 UTC (`KeQuerySystemTime`).
pub fn system_time() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UNIX_EPOCH_IN_UNITS
        .saturating_add(units(since))
        .saturating_add(ahead())
}

/// Time since the box started (`KeQueryInterruptTime`).
pub fn interrupt_time() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // Never zero, as on a machine that has come as far as loading drivers.
    units(START.get_or_init(Instant::now).elapsed()) + UNITS_PER_TICK + ahead()
}

/// How long a timeout is that begins now, in units of 100 ns: a span if negative, else a system time.
pub fn span(timeout: i64) -> u64 {
    if timeout < 0 {
        timeout.unsigned_abs()
    } else {
        timeout.saturating_sub(system_time()).max(0).unsigned_abs()
    }
}

/// When a timeout ends that begins now, which is as in [`span`].
pub fn deadline(timeout: i64) -> Instant {
    let factor = Pace::current().map_or(1, |pace| pace.factor);
    Instant::now() + duration(span(timeout)) / factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::test_process::passes_alone;

    #[test]
    fn system_time_counts_from_1601() {
        // 2020-01-01 and 2200-01-01 in 100 ns units since 1601.
        let now = system_time();
        assert!(
            now > 132_223_104_000_000_000 && now < 189_027_648_000_000_000,
            "{now}"
        );
    }

    #[test]
    fn time_that_hurries_is_ahead_and_stays_so() {
        passes_alone(
            "processor::time::tests::time_that_hurries_is_ahead_and_stays_so",
            || {
                let minute = 60 * 10_000_000;
                let (system, interrupt) = (system_time(), interrupt_time());
                let hurry = hurry(1000);
                let begun = Instant::now();
                let until = deadline(-minute);
                assert!(until <= Instant::now() + Duration::from_millis(60));
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                assert!(system_time() - system >= minute && interrupt_time() - interrupt >= minute);
                drop(hurry);
                assert!(system_time() - system >= minute && interrupt_time() - interrupt >= minute);
                let real = begun.elapsed();
                assert!(
                    units(real * 1000) >= system_time() - system - minute,
                    "{real:?}"
                );
                assert!(deadline(-minute) > Instant::now() + Duration::from_secs(50));
            },
        );
    }

    #[test]
    fn deadlines_are_relative_or_absolute() {
        let second = 10_000_000;
        let now = Instant::now();
        let relative = deadline(-second) - now;
        let absolute = deadline(system_time() + second) - now;
        for wait in [relative, absolute] {
            assert!(
                wait > Duration::from_millis(900) && wait < Duration::from_millis(1_100),
                "{wait:?}"
            );
        }
        assert!(deadline(1) <= Instant::now());
        assert!(deadline(i64::MIN) > now + Duration::from_secs(1 << 30));
    }
}
