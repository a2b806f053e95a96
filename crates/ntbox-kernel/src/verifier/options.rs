//! What is looked for and what is injected: switches like Driver Verifier's, and single rules.
//!
//! [`on`] is one relaxed load, so that a check asks at the place where it would
//! look. The set is chosen before drivers are loaded; changing it under a
//! driver misses what was done before, and reports nothing that is not there.

use super::rules::{self, Rule, RuleSet};
use crate::host;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

/// A set of switches, with the rules that are not reported though their switch is on, and those
/// that are because they were named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    switches: u32,
    off: RuleSet,
    named: RuleSet,
}

impl Options {
    /// Nothing: for benchmarks.
    pub const NONE: Self = Self::switches(0);
    /// Each block on pages of its own; freed ones and freed requests are never used again.
    pub const SPECIAL_POOL: Self = Self::switches(1);
    /// Pageable memory is inaccessible while a thread is at `DISPATCH_LEVEL`
    /// ([`pageable`](crate::host::pageable)).
    pub const FORCE_IRQL: Self = Self::switches(1 << 1);
    /// What a driver allocated is known until it is freed; the rest is a leak at unload.
    pub const POOL_TRACKING: Self = Self::switches(1 << 2);
    /// The rules of requests, devices and completion.
    pub const IO: Self = Self::switches(1 << 3);
    /// The order in which locks are taken.
    pub const DEADLOCK: Self = Self::switches(1 << 4);
    /// A share of the drivers' allocations fails.
    pub const LOW_RESOURCES: Self = Self::switches(1 << 5);
    /// Every request is pended below and completed elsewhere.
    pub const FORCE_PENDING: Self = Self::switches(1 << 6);
    /// What happened to each request is kept for the report.
    pub const IRP_LOGGING: Self = Self::switches(1 << 7);
    /// Routines are called as they document it: IRQL, pairing, arguments.
    pub const DDI: Self = Self::switches(1 << 8);
    /// A driver that touches a request after it has given it away, while it is still there.
    /// Part of the checks of requests, which are on with it.
    pub const FENCE: Self = Self::switches(1 << 9 | Self::IO.switches);

    /// Every check but the slow one ([`Options::FENCE`]), and nothing that is injected.
    pub const STANDARD: Self = Self::SPECIAL_POOL
        .with(Self::FORCE_IRQL)
        .with(Self::POOL_TRACKING)
        .with(Self::IO)
        .with(Self::DEADLOCK)
        .with(Self::IRP_LOGGING)
        .with(Self::DDI);
    /// Everything.
    pub const ALL: Self = Self::STANDARD
        .with(Self::FENCE)
        .with(Self::LOW_RESOURCES)
        .with(Self::FORCE_PENDING);

    const fn switches(switches: u32) -> Self {
        Self {
            switches,
            off: RuleSet::NONE,
            named: RuleSet::NONE,
        }
    }

    /// True if all switches of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.switches & other.switches == other.switches
    }
    /// The switches of both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self {
            switches: self.switches | other.switches,
            ..self
        }
    }
    /// Without the switches of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self {
            switches: self.switches & !other.switches,
            ..self
        }
    }
    /// With a rule reported, or not.
    #[must_use]
    fn with_rule(self, rule: &Rule, reported: bool) -> Self {
        Self {
            off: self.off.with(rule, !reported),
            named: self
                .named
                .with(rule, reported && !rule.is_reported_by_default()),
            ..self
        }
    }
    /// True if a breach of the rule is reported.
    pub fn reports(&self, rule: &Rule) -> bool {
        !self.off.contains(rule) && (rule.is_reported_by_default() || self.named.contains(rule))
    }
    /// With the entry of a list: a switch, a rule, or one of them with `-` before it.
    fn with_entry(self, entry: &str) -> Result<Self, String> {
        let (name, on) = match entry.strip_prefix('-') {
            Some(name) => (name, false),
            None => (entry, true),
        };
        let sets = [
            ("standard", Self::STANDARD),
            ("all", Self::ALL),
            ("none", Self::NONE),
        ];
        let switch = sets.iter().chain(&NAMES).find(|(known, _)| *known == name);
        if let Some((_, switch)) = switch {
            return Ok(if on {
                self.with(*switch)
            } else {
                self.without(*switch)
            });
        }
        let named: Vec<_> = rules::all().filter(|rule| rule.name == name).collect();
        if named.is_empty() {
            return Err(unknown(name));
        }
        if !on && named.iter().all(|rule| rule.is_a_fault()) {
            return Err(format!(
                "{name} cannot be switched off: it is a fault, after which nothing goes on"
            ));
        }
        Ok(named
            .iter()
            .fold(self, |options, rule| options.with_rule(rule, on)))
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

/// `standard`, `all`, `none`, or a list with commas of switches and rules, which may begin with one
/// of those; `-` before a name switches it off. A list that begins so goes on from `standard`.
impl FromStr for Options {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let begin = if text.starts_with('-') {
            Self::STANDARD
        } else {
            Self::NONE
        };
        text.split(',').try_fold(begin, Self::with_entry)
    }
}

/// Names that an error offers.
const OFFERED: usize = 3;

fn unknown(name: &str) -> String {
    let switches = NAMES.iter().map(|(known, _)| *known);
    let every = ["standard", "all", "none"]
        .into_iter()
        .chain(switches.clone());
    let near = nearest(every.chain(rules::all().map(|rule| rule.name)), name);
    let switches: Vec<_> = switches.collect();
    format!(
        "there is no option or rule '{name}'; the nearest are {}. A list begins with standard, all or none, \
         and has the options {}, or rules of `ntbox rules`, each switched off with - before its name",
        near.join(", "),
        switches.join(", ")
    )
}

/// The few of `known` that `name` may have been meant to be, the likeliest first.
pub fn nearest<'a>(known: impl Iterator<Item = &'a str>, name: &str) -> Vec<&'a str> {
    let mut near: Vec<_> = known.collect();
    near.sort_by_cached_key(|known| distance(&known.to_lowercase(), &name.to_lowercase()));
    near.dedup();
    near.truncate(OFFERED);
    near
}

/// How many letters must be added, left out or exchanged to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, of_a) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, of_b) in b.chars().enumerate() {
            let exchanged = diagonal + usize::from(of_a != of_b);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

/// As it is written on the command line.
impl fmt::Display for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = [
            ("none", Self::NONE),
            ("standard", Self::STANDARD),
            ("all", Self::ALL),
        ];
        let set = whole.iter().find(|(_, set)| set.switches == self.switches);
        let mut names: Vec<String> = match set {
            Some((name, _)) => vec![(*name).to_owned()],
            None => self.switch_names(),
        };
        names.extend(self.off.rules().map(|rule| format!("-{}", rule.name)));
        names.extend(self.named.rules().map(|rule| rule.name.to_owned()));
        names.dedup();
        formatter.write_str(&names.join(","))
    }
}

impl Options {
    /// What `standard` says in one word is not listed.
    fn switch_names(self) -> Vec<String> {
        let standard = self.contains(Self::STANDARD).then_some("standard");
        let single = NAMES.iter().filter(|(_, option)| {
            self.contains(*option) && (standard.is_none() || !Self::STANDARD.contains(*option))
        });
        let names = standard.into_iter().chain(single.map(|(name, _)| *name));
        names.map(str::to_owned).collect()
    }
}

static CHOSEN: AtomicU32 = AtomicU32::new(Options::STANDARD.switches);
/// All of it, for who reports; [`CHOSEN`] is what checks ask.
static WHOLE: RwLock<Options> = RwLock::new(Options::STANDARD);

/// Chooses; [`Options::STANDARD`] before the first call.
pub fn set(options: Options) {
    *WHOLE.write().unwrap_or_else(PoisonError::into_inner) = options;
    CHOSEN.store(options.switches, Ordering::Relaxed);
}

/// The switches that were chosen.
#[inline]
pub fn chosen() -> Options {
    Options::switches(CHOSEN.load(Ordering::Relaxed))
}

/// True if a breach of the rule is reported.
pub fn reports(rule: &Rule) -> bool {
    WHOLE
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .reports(rule)
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
    fn an_unknown_name_is_refused_with_the_nearest() {
        let error = "standard,forcepending".parse::<Options>().unwrap_err();
        for part in [
            "'forcepending'",
            "nearest are force-pending",
            "special-pool",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let error = "standard,-DobleCompletion".parse::<Options>().unwrap_err();
        assert!(error.contains("nearest are DoubleCompletion"), "{error}");
        assert!("".parse::<Options>().is_err());
    }

    #[test]
    fn every_rule_but_faults_can_be_switched_off() {
        for rule in rules::all() {
            let text = format!("standard,-{}", rule.name);
            let mut of_the_name = rules::all().filter(|other| other.name == rule.name);
            let parsed = text.parse::<Options>();
            if of_the_name.all(Rule::is_a_fault) {
                assert!(
                    parsed.unwrap_err().contains("cannot be switched off"),
                    "{text}"
                );
                continue;
            }
            let options = parsed.expect(&text);
            assert!(
                !options.reports(rule) && options.contains(Options::STANDARD),
                "{text}"
            );
            assert_eq!(options.to_string(), text);
            let mut others = rules::all().filter(|other| other.name != rule.name);
            let default = Options::STANDARD;
            assert!(others.all(|rule| options.reports(rule) == default.reports(rule)));
            let again = format!("{text},{}", rule.name)
                .parse::<Options>()
                .expect(&text);
            assert!(again.reports(rule), "{text}");
        }
    }

    #[test]
    fn a_rule_of_static_analysis_alone_is_reported_when_it_is_named() {
        let rule = &rules::PLAIN_COMPLETION_ROUTINE;
        assert!(!Options::ALL.reports(rule));
        let named = format!("standard,{}", rule.name);
        let options: Options = named.parse().expect("a list");
        assert!(options.reports(rule));
        assert_eq!(options.to_string(), named);
    }

    #[test]
    fn a_list_that_begins_with_a_minus_goes_on_from_standard() {
        let options: Options = "-deadlock,-MdlState".parse().expect("a list");
        let expected = Options::STANDARD.without(Options::DEADLOCK);
        assert_eq!(options.switches, expected.switches);
        assert!(!options.reports(&rules::MDL_STATE));
    }
}
