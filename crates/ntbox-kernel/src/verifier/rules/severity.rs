//! How bad a breach is, as the documentation has it.
//!
//! The I/O verification errors (bug check 0xC9) from 0x200 on have a severity on their page; all
//! other bug checks stop Windows.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad a breach is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing goes on after it.
    FatalError,
    /// A mistake that Windows may survive.
    NonFatalError,
    /// Told, and no violation: it decides about no exit code.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::FatalError => "fatal error",
            Self::NonFatalError => "non-fatal error",
            Self::Warning => "warning",
        })
    }
}

/// I/O verification errors that are not fatal.
const NON_FATAL: &[u16] = &[
    0x20E, 0x20F, 0x210, 0x211, 0x212, 0x213, 0x214, 0x215, 0x216, 0x217, 0x218, 0x219, 0x21A,
    0x21B, 0x21F, 0x220, 0x225, 0x228, 0x22A, 0x22B, 0x22D, 0x22E, 0x22F, 0x230, 0x232, 0x233,
    0x234, 0x235, 0x236, 0x23B, 0x23D, 0x23E, 0x249, 0x24C, 0x300, 0x301, 0x302, 0x306, 0x307,
    0x310, 0x311, 0x312,
];

/// Those that are warnings.
const WARNINGS: &[u16] = &[0x21C, 0x238, 0x239];

/// Of the first code of `code`, as a rule has it; none if that is no bug check.
pub(super) fn of(code: &str) -> Option<Severity> {
    if !code.starts_with("0x") {
        return None;
    }
    let first = code.split([',', ' ']).next().unwrap_or_default();
    let number = first.strip_prefix("0xC9/");
    let number = number.and_then(|number| u16::from_str_radix(number, 16).ok());
    Some(match number {
        Some(number) if NON_FATAL.contains(&number) => Severity::NonFatalError,
        Some(number) if WARNINGS.contains(&number) => Severity::Warning,
        _ => Severity::FatalError,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_those_of_the_page() {
        for (code, severity) in [
            ("0xC9/21C", Some(Severity::Warning)),
            ("0xC9/23D, 0xC9/24C", Some(Severity::NonFatalError)),
            ("0xC9/226", Some(Severity::FatalError)),
            (
                "0x44 MULTIPLE_IRP_COMPLETE_REQUESTS",
                Some(Severity::FatalError),
            ),
            ("DDI compliance", None),
        ] {
            assert_eq!(of(code), severity, "{code}");
        }
    }
}
