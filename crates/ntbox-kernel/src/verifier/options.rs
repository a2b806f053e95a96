//! What is looked for and what is injected: switches like Driver Verifier's.
//!
//! [`on`] is one relaxed load, so that a check asks at the place where it would
//! look. The set is chosen before drivers are loaded; changing it under a
//! driver misses what was done before, and reports nothing that is not there.

use crate::host;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

/// A set of switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options(u32);

impl Options {
    /// Nothing: for benchmarks.
    pub const NONE: Self = Self(0);
    /// Each block on pages of its own; freed ones and freed requests are never used again.
    pub const SPECIAL_POOL: Self = Self(1);
    /// Pageable memory is inaccessible while a thread is at `DISPATCH_LEVEL`
    /// ([`pageable`](crate::host::pageable)).
    pub const FORCE_IRQL: Self = Self(1 << 1);
    /// What a driver allocated is known until it is freed; the rest is a leak at unload.
    pub const POOL_TRACKING: Self = Self(1 << 2);
    /// The rules of requests, devices and completion.
    pub const IO: Self = Self(1 << 3);
    /// The order in which locks are taken.
    pub const DEADLOCK: Self = Self(1 << 4);
    /// A share of the drivers' allocations fails.
    pub const LOW_RESOURCES: Self = Self(1 << 5);
    /// Every request is pended below and completed elsewhere.
    pub const FORCE_PENDING: Self = Self(1 << 6);
    /// What happened to each request is kept for the report.
    pub const IRP_LOGGING: Self = Self(1 << 7);
    /// Routines are called as they document it: IRQL, pairing, arguments.
    pub const DDI: Self = Self(1 << 8);
    /// A driver that touches a request after it has given it away, while it is still there.
    /// Part of the checks of requests, which are on with it.
    pub const FENCE: Self = Self(1 << 9 | Self::IO.0);

    /// Every check but the slow one ([`Options::FENCE`]), and nothing that is injected.
    pub const STANDARD: Self = Self(
        Self::SPECIAL_POOL.0
            | Self::FORCE_IRQL.0
            | Self::POOL_TRACKING.0
            | Self::IO.0
            | Self::DEADLOCK.0
            | Self::IRP_LOGGING.0
            | Self::DDI.0,
    );
    /// Everything.
    pub const ALL: Self =
        Self(Self::STANDARD.0 | Self::FENCE.0 | Self::LOW_RESOURCES.0 | Self::FORCE_PENDING.0);

    /// True if all switches of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Without the switches of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Each switch with its name on the command line.
pub const NAMES: [(&str, Options); 10] = [
    ("special-pool", Options::SPECIAL_POOL),
    ("force-irql", Options::FORCE_IRQL),
    ("pool-tracking", Options::POOL_TRACKING),
    ("io", Options::IO),
    ("deadlock", Options::DEADLOCK),
    ("low-resources", Options::LOW_RESOURCES),
    ("force-pending", Options::FORCE_PENDING),
    ("irp-logging", Options::IRP_LOGGING),
    ("ddi", Options::DDI),
    ("fence", Options::FENCE),
];

/// `standard`, `all`, `none`, or names with commas between, of which the first may be one of those.
impl FromStr for Options {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut options = Self::NONE;
        for name in text.split(',') {
            options = options.with(match name {
                "standard" => Self::STANDARD,
                "all" => Self::ALL,
                "none" => Self::NONE,
                _ => NAMES
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, option)| *option)
                    .ok_or_else(|| unknown(name))?,
            });
        }
        Ok(options)
    }
}

fn unknown(name: &str) -> String {
    let names: Vec<_> = NAMES.iter().map(|(known, _)| *known).collect();
    format!(
        "there is no option '{name}': it is standard, all, none, or a list of {}",
        names.join(", ")
    )
}

/// As it is written on the command line.
impl fmt::Display for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = [
            ("none", Self::NONE),
            ("standard", Self::STANDARD),
            ("all", Self::ALL),
        ];
        if let Some((name, _)) = whole.iter().find(|(_, options)| options == self) {
            return formatter.write_str(name);
        }
        // What `standard` says in one word is not listed.
        let standard = self.contains(Self::STANDARD).then_some("standard");
        let single = NAMES.iter().filter(|(_, option)| {
            self.contains(*option) && (standard.is_none() || !Self::STANDARD.contains(*option))
        });
        let names: Vec<_> = standard
            .into_iter()
            .chain(single.map(|(name, _)| *name))
            .collect();
        formatter.write_str(&names.join(","))
    }
}

static CHOSEN: AtomicU32 = AtomicU32::new(Options::STANDARD.0);

/// Chooses; [`Options::STANDARD`] before the first call.
pub fn set(options: Options) {
    CHOSEN.store(options.0, Ordering::Relaxed);
}

/// What was chosen.
#[inline]
pub fn chosen() -> Options {
    Options(CHOSEN.load(Ordering::Relaxed))
}

/// True if the switch is on. One relaxed load.
#[inline]
pub fn on(option: Options) -> bool {
    chosen().contains(option)
}

/// True if pageable memory is made inaccessible: [`Options::FORCE_IRQL`], where faults are handled.
pub fn pages_out() -> bool {
    host::TAKES_FAULTS && on(Options::FORCE_IRQL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_as_they_are_written() {
        for text in [
            "none",
            "standard",
            "all",
            "io",
            "special-pool,pool-tracking,ddi",
            "standard,force-pending",
        ] {
            assert_eq!(text.parse::<Options>().unwrap().to_string(), text);
        }
        let every = NAMES.map(|(name, _)| name).join(",");
        assert_eq!(every.parse(), Ok(Options::ALL));
    }

    #[test]
    fn standard_injects_nothing_and_is_not_slow() {
        let left_out = [
            Options::LOW_RESOURCES,
            Options::FORCE_PENDING,
            Options::FENCE,
        ];
        for (name, option) in NAMES {
            let left_out = left_out.contains(&option);
            assert_eq!(Options::STANDARD.contains(option), !left_out, "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_there_are() {
        let error = "standard,forcepending".parse::<Options>().unwrap_err();
        assert!(error.contains("'forcepending'"), "{error}");
        assert!(
            error.contains("special-pool") && error.contains("standard"),
            "{error}"
        );
        assert!("".parse::<Options>().is_err());
    }
}
