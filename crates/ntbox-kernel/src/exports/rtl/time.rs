//! Times as fields.
//!
//! Source: `RtlTimeToTimeFields`, `RtlTimeFieldsToTime` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::TIME_FIELDS;
use crate::processor::irql;

const UNITS_PER_MILLISECOND: i64 = 10_000;
const MILLISECONDS_PER_DAY: i64 = 86_400_000;
const UNITS_PER_SECOND: i64 = 10_000_000;
/// Days from 1601-01-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 134_774;
/// 1601-01-01 was a Monday.
const FIRST_WEEKDAY: i64 = 1;

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1601-01-01 to the first day of `year`.
fn days_before_year(year: i64) -> i64 {
    let past = year - 1601;
    past * 365 + past / 4 - past / 100 + past / 400
}

fn fields_of(time: i64) -> TIME_FIELDS {
    let milliseconds = time / UNITS_PER_MILLISECOND;
    let (days, rest) = (
        milliseconds / MILLISECONDS_PER_DAY,
        milliseconds % MILLISECONDS_PER_DAY,
    );
    let mut year = 1601 + days / 366;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let (mut day, mut month) = (days - days_before_year(year), 1);
    while day >= days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    TIME_FIELDS {
        Year: year as i16,
        Month: month as i16,
        Day: (day + 1) as i16,
        Hour: (rest / 3_600_000) as i16,
        Minute: (rest / 60_000 % 60) as i16,
        Second: (rest / 1000 % 60) as i16,
        Milliseconds: (rest % 1000) as i16,
        Weekday: ((days + FIRST_WEEKDAY) % 7) as i16,
    }
}

fn time_of(fields: &TIME_FIELDS) -> Option<i64> {
    let (year, month) = (i64::from(fields.Year), i64::from(fields.Month));
    if !(1601..=30_827).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let in_range = (1..=days_in_month(year, month)).contains(&i64::from(fields.Day))
        && (0..24).contains(&fields.Hour)
        && (0..60).contains(&fields.Minute)
        && (0..60).contains(&fields.Second)
        && (0..1000).contains(&fields.Milliseconds);
    if !in_range {
        return None;
    }
    let months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    let days = days_before_year(year) + months + i64::from(fields.Day) - 1;
    let seconds =
        i64::from(fields.Hour) * 3600 + i64::from(fields.Minute) * 60 + i64::from(fields.Second);
    let milliseconds =
        days * MILLISECONDS_PER_DAY + seconds * 1000 + i64::from(fields.Milliseconds);
    Some(milliseconds * UNITS_PER_MILLISECOND)
}

/// `RtlTimeToTimeFields`.
pub unsafe extern "win64" fn to_fields(time: *const i64, fields: *mut TIME_FIELDS) {
    // SAFETY: the driver passes a `LARGE_INTEGER`.
    let time = unsafe { time.read_unaligned() };
    // SAFETY: the driver passes the memory of the fields.
    unsafe { fields.write(fields_of(time)) };
}

/// `RtlTimeFieldsToTime`: false if a field is out of range. The weekday is not looked at.
pub unsafe extern "win64" fn from_fields(fields: *const TIME_FIELDS, time: *mut i64) -> u8 {
    // SAFETY: the driver passes fields.
    let Some(value) = time_of(unsafe { &*fields }) else {
        return 0;
    };
    // SAFETY: the driver passes a `LARGE_INTEGER`.
    unsafe { time.write_unaligned(value) };
    1
}

/// `RtlTimeToSecondsSince1970`: false if the time is not between 1970 and 2105.
pub unsafe extern "win64" fn to_seconds_since_1970(time: *const i64, seconds: *mut u32) -> u8 {
    irql::require("RtlTimeToSecondsSince1970", 0);
    // SAFETY: the driver passes a `LARGE_INTEGER`.
    let since_1601 = unsafe { time.read_unaligned() }.div_euclid(UNITS_PER_SECOND);
    let Ok(value) = u32::try_from(since_1601 - DAYS_TO_1970 * 86_400) else {
        return 0;
    };
    // SAFETY: the driver passes a `ULONG`.
    unsafe { seconds.write_unaligned(value) };
    1
}

/// `RtlSecondsSince1970ToTime`.
pub unsafe extern "win64" fn from_seconds_since_1970(seconds: u32, time: *mut i64) {
    irql::require("RtlSecondsSince1970ToTime", 0);
    let value = (DAYS_TO_1970 * 86_400 + i64::from(seconds)) * UNITS_PER_SECOND;
    // SAFETY: the driver passes a `LARGE_INTEGER`.
    unsafe { time.write_unaligned(value) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(fields: &TIME_FIELDS) -> [i16; 8] {
        [
            fields.Year,
            fields.Month,
            fields.Day,
            fields.Hour,
            fields.Minute,
            fields.Second,
            fields.Milliseconds,
            fields.Weekday,
        ]
    }

    #[test]
    fn known_times_have_their_fields() {
        for (time, expected) in [
            (0, [1601, 1, 1, 0, 0, 0, 0, 1]),
            (116_444_736_000_000_000, [1970, 1, 1, 0, 0, 0, 0, 4]),
            // 2000-02-29 12:34:56.789, a Tuesday.
            (125_963_012_967_890_000, [2000, 2, 29, 12, 34, 56, 789, 2]),
            // 2024-12-31, a Tuesday.
            (133_800_768_000_000_000, [2024, 12, 31, 0, 0, 0, 0, 2]),
        ] {
            let fields = fields_of(time);
            assert_eq!(parts(&fields), expected);
            assert_eq!(time_of(&fields), Some(time));
        }
    }

    #[test]
    fn every_day_converts_both_ways() {
        for day in 0..400 * 366 {
            let time = day * MILLISECONDS_PER_DAY * UNITS_PER_MILLISECOND;
            assert_eq!(time_of(&fields_of(time)), Some(time));
        }
    }

    #[test]
    fn fields_out_of_range_are_refused() {
        let fields = fields_of(0);
        for wrong in [
            TIME_FIELDS {
                Year: 1600,
                ..fields
            },
            TIME_FIELDS {
                Month: 13,
                ..fields
            },
            TIME_FIELDS {
                Month: 2,
                Day: 29,
                ..fields
            },
            TIME_FIELDS { Hour: 24, ..fields },
        ] {
            assert_eq!(time_of(&wrong), None);
        }
    }

    #[test]
    fn seconds_since_1970() {
        let (mut time, mut seconds) = (0, 0);
        // SAFETY: local variables, here and below.
        unsafe { from_seconds_since_1970(1_000_000_000, &raw mut time) };
        assert_eq!(
            // SAFETY: as above.
            unsafe { to_seconds_since_1970(&raw const time, &raw mut seconds) },
            1
        );
        assert_eq!(seconds, 1_000_000_000);
        time = 0;
        assert_eq!(
            // SAFETY: as above.
            unsafe { to_seconds_since_1970(&raw const time, &raw mut seconds) },
            0
        );
    }
}
