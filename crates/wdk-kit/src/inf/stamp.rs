//! Stamping an INF source: what `stampinf` does on Windows.
//!
//! An `.inx` file leaves three things open. `$ARCH$` becomes the architecture, `DriverVer` in the
//! `[Version]` section gets a date and a version, and a `CatalogFile` belongs beside it.

use anyhow::{Result, bail};

use crate::source_date::SourceDate;

/// The name of x86-64 in an INF.
const ARCHITECTURE: &str = "amd64";

/// Makes the INF of an INF source.
///
/// # Errors
/// When `$ARCH$` or the `[Version]` section is missing: the result would install nothing, or be
/// refused.
pub fn stamp(source: &str, date: Date, version: &str) -> Result<String> {
    if !source.contains("$ARCH$") {
        bail!("no section is decorated with $ARCH$, as in [DefaultInstall.NT$ARCH$]");
    }
    let Date { year, month, day } = date;
    let stamp = format!("{month:02}/{day:02}/{year:04},{version}");
    let source = with_directive(source, "DriverVer", &stamp)?;
    let mut section = String::new();
    let mut text = String::with_capacity(source.len());
    for line in source.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            section = trimmed.to_ascii_lowercase();
        }
        let is_version = section == "[version]" && is_key(trimmed, "DriverVer");
        if is_version {
            let key = line.split('=').next().unwrap_or_default().trim_end();
            text.push_str(&format!("{key} = {stamp}"));
        } else {
            text.push_str(&line.replace("$ARCH$", ARCHITECTURE));
        }
        // Windows' own tools expect its line ends.
        text.push_str("\r\n");
    }
    Ok(text)
}

/// An INF or INF source that names its catalog: the one that it names, or else this one.
///
/// # Errors
/// When the `[Version]` section is missing.
pub fn with_catalog(source: &str, catalog: &str) -> Result<String> {
    with_directive(source, "CatalogFile", catalog)
}

/// The source with a directive in its `[Version]` section, unless there is one.
fn with_directive(source: &str, key: &str, value: &str) -> Result<String> {
    let mut section = String::new();
    let mut header = None;
    for (index, line) in source.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.to_ascii_lowercase();
            if section == "[version]" {
                header = header.or(Some(index));
            }
        } else if section == "[version]" && is_key(line, key) {
            return Ok(source.to_owned());
        }
    }
    let Some(header) = header else {
        bail!("no [Version] section");
    };
    let mut lines: Vec<_> = source.lines().map(str::to_owned).collect();
    lines.insert(header + 1, format!("{key} = {value}"));
    Ok(lines.join("\n") + "\n")
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
        [DefaultInstall.NT$ARCH$.10.0...18362]\nDriverVer = untouched\n";
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
             [DefaultInstall.NTamd64.10.0...18362]\r\nDriverVer = untouched\r\n"
        );
    }

    #[test]
    fn a_source_without_architecture_is_refused() {
        let error = stamp(&SOURCE.replace("$ARCH$", ""), DATE, "1.0.0.0").unwrap_err();
        assert!(error.to_string().contains("$ARCH$"), "{error}");
    }

    #[test]
    fn what_a_source_does_not_say_is_added_to_its_version_section() {
        let bare = "; Glass\n[Version]\nClass = Sample\n[Other.NT$ARCH$]\nCatalogFile = other\n";
        let text = stamp(bare, DATE, "1.0.0.0").unwrap();
        assert!(
            text.contains("[Version]\r\nDriverVer = 03/09/2026,1.0.0.0\r\n"),
            "{text}"
        );
        let named = with_catalog(bare, "glass.cat").unwrap();
        assert!(
            named.contains("[Version]\nCatalogFile = glass.cat\n"),
            "{named}"
        );
        assert_eq!(with_catalog(&named, "another.cat").unwrap(), named);
    }

    #[test]
    fn a_source_without_a_version_section_is_refused() {
        let source = SOURCE.replace("[Version]", "[Strings]");
        for error in [
            stamp(&source, DATE, "1.0.0.0").unwrap_err(),
            with_catalog(&source, "glass.cat").unwrap_err(),
        ] {
            assert!(error.to_string().contains("[Version]"), "{error}");
        }
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
