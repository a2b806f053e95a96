//! Numbers with units, and texts of others, as people read them.

/// Bytes, with three digits: `1.23 MB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// A number, with three digits: `1.23 k`.
#[must_use]
pub fn count(count: f64) -> String {
    scaled(count, &["", "k", "M", "G", "T"])
}

/// A duration in microseconds, with three digits: `1.23 ms`.
#[must_use]
pub fn microseconds(microseconds: f64) -> String {
    scaled(microseconds * 1000.0, &["ns", "µs", "ms", "s"])
}

/// A text of others, such as a file's name, for a terminal: a control character in it would be one to that.
#[must_use]
pub fn shown(text: &str) -> String {
    let shown = text.chars().map(|character| {
        if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    });
    shown.collect()
}

fn scaled(mut value: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // What would be rounded to 1000 is told in the next unit.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        _ if value.fract() == 0.0 && unit == 0 => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    let unit = units.get(unit).copied().unwrap_or_default();
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_shown() {
        for (value, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (999.6, "1.00 kB"),
            (1234.0, "1.23 kB"),
            (99_960.0, "100 kB"),
            (5e15, "5.00 PB"),
            (5e18, "5000 PB"),
        ] {
            assert_eq!(bytes(value), text);
        }
        assert_eq!(microseconds(0.1), "100 ns");
        assert_eq!(microseconds(12.34), "12.3 µs");
        assert_eq!(microseconds(7.5e6), "7.50 s");
        assert_eq!(count(17.0), "17");
        assert_eq!(count(2.5), "2.50");
    }
}
