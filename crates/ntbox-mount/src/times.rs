//! Times: NT counts 100 nanoseconds from 1601 on, and has none before.

use crate::errors::Result;
use fuser::{Errno, TimeOrNow};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds between the two beginnings.
const EPOCHS: i64 = 11_644_473_600;
/// Units of a second.
const PER_SECOND: i64 = 10_000_000;
/// Nanoseconds of a unit.
pub const GRANULARITY: Duration = Duration::from_nanos(100);

/// The time of an NT time.
pub fn to_host(time: i64) -> SystemTime {
    let since = time - EPOCHS * PER_SECOND;
    let seconds = Duration::from_secs(since.div_euclid(PER_SECOND).unsigned_abs());
    let rest = Duration::from_nanos(since.rem_euclid(PER_SECOND).unsigned_abs() * 100);
    if since >= 0 {
        UNIX_EPOCH + seconds + rest
    } else {
        UNIX_EPOCH - seconds + rest
    }
}

/// The NT time of a time. Zero and less have another meaning there, and cannot be set.
///
/// # Errors
/// EINVAL: before 1601, or too late.
pub fn to_nt(time: SystemTime) -> Result<i64> {
    let units = |duration: Duration| {
        i64::try_from(duration.as_nanos().div_ceil(100)).map_err(|_| Errno::EINVAL)
    };
    let since = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos() / 100).map_err(|_| Errno::EINVAL)?,
        Err(before) => -units(before.duration())?,
    };
    let time = since.checked_add(EPOCHS * PER_SECOND);
    Ok(time.filter(|time| *time > 0).ok_or(Errno::EINVAL)?)
}

/// The NT time that a program sets.
///
/// # Errors
/// As [`to_nt`].
pub fn asked(time: Option<TimeOrNow>) -> Result<i64> {
    match time {
        None => Ok(0),
        Some(TimeOrNow::Now) => to_nt(SystemTime::now()),
        Some(TimeOrNow::SpecificTime(time)) => to_nt(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_in_units_of_100_nanoseconds() {
        for (seconds, nanoseconds) in [(0, 0), (1_700_000_000, 123_456_789), (4_000_000_000, 99)] {
            let time = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
            let there = to_nt(time).unwrap();
            let whole = UNIX_EPOCH + Duration::new(seconds, nanoseconds / 100 * 100);
            assert_eq!(to_host(there), whole);
        }
        let before = UNIX_EPOCH - Duration::new(1000, 500);
        assert_eq!(to_host(to_nt(before).unwrap()), before);
        assert_eq!(to_nt(UNIX_EPOCH), Ok(116_444_736_000_000_000));
    }

    #[test]
    fn there_is_no_time_before_1601() {
        let first = UNIX_EPOCH - Duration::from_secs(EPOCHS.unsigned_abs());
        assert_eq!(to_nt(first), Err(Errno::EINVAL.into()));
        assert_eq!(to_nt(first + GRANULARITY), Ok(1));
        assert_eq!(asked(None), Ok(0));
        assert!(asked(Some(TimeOrNow::Now)).unwrap() > 133_000_000_000_000_000);
    }
}
