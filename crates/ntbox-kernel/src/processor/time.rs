//! The clocks of the kernel, in units of 100 ns.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 100 ns units from 1601-01-01 to 1970-01-01.
const UNIX_EPOCH_IN_UNITS: i64 = 116_444_736_000_000_000;
/// Units in one clock tick: 15.625 ms, the default of Windows on a PC
/// (`KeQueryTimeIncrement`).
pub const UNITS_PER_TICK: i64 = 156_250;
/// Longer spans are cut to this, about a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

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
    UNIX_EPOCH_IN_UNITS.saturating_add(units(since))
}

/// Time since the box started (`KeQueryInterruptTime`).
pub fn interrupt_time() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // Never zero, as on a machine that has come as far as loading drivers.
    units(START.get_or_init(Instant::now).elapsed()) + UNITS_PER_TICK
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
    Instant::now() + duration(span(timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

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
