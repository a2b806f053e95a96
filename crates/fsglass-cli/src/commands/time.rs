//! Times as people read them.

use std::time::{Duration, SystemTime};

/// Seconds from 1601, where Windows begins to count, to 1970.
const SECONDS_1601_TO_1970: u64 = 11_644_473_600;
const PER_SECOND: u64 = 10_000_000;

/// A time of Windows (100 ns since 1601), in UTC to the second. One before 1970 makes no sense here.
pub fn text(time: u64) -> Option<String> {
    let seconds = (time / PER_SECOND).checked_sub(SECONDS_1601_TO_1970)?;
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    // The formatter knows four digits of the year.
    (seconds < 253_402_300_800).then(|| humantime::format_rfc3339_seconds(time).to_string())
}

/// This moment, in UTC.
pub fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(
            text(116_444_736_000_000_000).as_deref(),
            Some("1970-01-01T00:00:00Z")
        );
        assert_eq!(
            text(133_801_632_000_000_000).as_deref(),
            Some("2025-01-01T00:00:00Z")
        );
    }

    #[test]
    fn what_is_no_time_is_not_shown() {
        assert_eq!(text(0), None);
        assert_eq!(text(u64::MAX), None);
    }
}
