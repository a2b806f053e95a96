//! Stamping an INF source: what `stampinf` does on Windows.
//!
//! An `.inx` file leaves two things open. `$ARCH$` becomes the architecture, and
//! `DriverVer` in the `[Version]` section gets a date and a version.

use anyhow::{Result, bail};

use crate::source_date::SourceDate;

/// The name of x86-64 in an INF.
const ARCHITECTURE: &str = "amd64";

/// Makes the INF of an INF source.
///
/// # Errors
/// When `$ARCH$` or `DriverVer` is missing: the result would install nothing, or
/// be refused.
pub fn stamp(source: &str, date: Date, version: &str) -> Result<String> {
    if !source.contains("$ARCH$") {
        bail!("no section is decorated with $ARCH$, as in [DefaultInstall.NT$ARCH$]");
    }
    let mut section = String::new();
    let mut stamped = false;
    let mut text = String::with_capacity(source.len());
    for line in source.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            section = trimmed.to_ascii_lowercase();
        }
        let is_version = section == "[version]" && is_key(trimmed, "DriverVer");
        if is_version {
            let Date { year, month, day } = date;
            let key = line.split('=').next().unwrap_or_default().trim_end();
            text.push_str(&format!("{key} = {month:02}/{day:02}/{year:04},{version}"));
            stamped = true;
        } else {
            text.push_str(&line.replace("$ARCH$", ARCHITECTURE));
        }
        // Windows' own tools expect its line ends.
        text.push_str("\r\n");
    }
    if !stamped {
        bail!("no DriverVer in the [Version] section");
    }
    Ok(text)
}

fn is_key(line: &str, key: &str) -> bool {
    let name = line.split(['=', ';']).next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case(key)
}

/// The four-part version of a driver, of a package's three-part one.
#[must_use]
pub fn driver_version(package_version: &str) -> String {
    let release = package_version.split(['-', '+']).next().unwrap_or_default();
    format!("{release}.0")
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// As in 2026.
    pub year: u64,
    /// From 1.
    pub month: u64,
    /// From 1.
    pub day: u64,
}

impl Date {
    /// The day of a moment, in UTC.
    #[must_use]
    pub fn of(moment: SourceDate) -> Self {
        Self::of_day(moment.0 / (24 * 60 * 60))
    }

    /// The date of a day counted from 1 January 1970.
    fn of_day(mut day: u64) -> Self {
        let mut year = 1970;
        while day >= days_in_year(year) {
            day -= days_in_year(year);
            year += 1;
        }
        let mut month = 1;
        while day >= days_in_month(year, month) {
            day -= days_in_month(year, month);
            month += 1;
        }
        Self {
            year,
            month,
            day: day + 1,
        }
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "[Version]\nDriverVer   = ; stamped\nCatalogFile = glass.cat\n\n\
        [DefaultInstall.NT$ARCH$.10.0...16299]\nDriverVer = untouched\n";
    const DATE: Date = Date {
        year: 2026,
        month: 3,
        day: 9,
    };

    #[test]
    fn version_and_architecture_are_filled_in() {
        let text = stamp(SOURCE, DATE, "0.1.0.0").unwrap();
        assert_eq!(
            text,
            "[Version]\r\nDriverVer = 03/09/2026,0.1.0.0\r\nCatalogFile = glass.cat\r\n\r\n\
             [DefaultInstall.NTamd64.10.0...16299]\r\nDriverVer = untouched\r\n"
        );
    }

    #[test]
    fn a_source_without_architecture_is_refused() {
        let error = stamp(&SOURCE.replace("$ARCH$", ""), DATE, "1.0.0.0").unwrap_err();
        assert!(error.to_string().contains("$ARCH$"), "{error}");
    }

    #[test]
    fn a_source_without_version_is_refused() {
        let error = stamp(&SOURCE.replace("DriverVer   =", ";"), DATE, "1.0.0.0").unwrap_err();
        assert!(error.to_string().contains("DriverVer"), "{error}");
    }

    #[test]
    fn a_preview_has_the_version_of_what_it_previews() {
        assert_eq!(driver_version("0.1.0"), "0.1.0.0");
        assert_eq!(driver_version("1.2.3-beta.4"), "1.2.3.0");
    }

    #[test]
    fn days_become_dates() {
        let date = |day| {
            let Date { year, month, day } = Date::of_day(day);
            (year, month, day)
        };
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(59), (1970, 3, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(11_322), (2000, 12, 31));
        assert_eq!(date(20_454), (2026, 1, 1));
    }
}
