//! The rules of InfVerif that concern a file-system filter's INF.
//!
//! A filter is a *primitive driver*: it is bound to no device, its INF has no
//! `[Manufacturer]`, and `[DefaultInstall]` is both the way in and the install section.
//! InfVerif runs on Windows only; [`check`] applies the published rules, under the published
//! numbers, as far as such an INF can break them. Rules about devices, user-mode drivers,
//! network and display classes, `Include` and `Needs` are not here, and neither are those
//! whose criterion is a list that is not published. Where a description leaves open what exactly
//! is refused, the page of the section or directive decides, and the stricter reading is taken.
//! An INF with sections for several ranges of Windows is held to the rules of the newest as a
//! whole.
//!
//! Passing is no proof that InfVerif passes. Failing is a reason to look.
//!
//! Source: "INF validation errors and warnings", "InfVerif /h", "Creating a new primitive
//! driver", "Driver package isolation" of the driver documentation.

mod files;
mod primitive;
mod registry;
mod sections;
mod services;
mod version;
mod view;

use std::fmt;

use super::document::Document;
use view::{Inf, Target};

/// What the INF promises, which decides on the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// An isolated driver package, `InfVerif /w`; what it accepts, `/h` accepts too.
    Windows,
    /// A declarative one, `InfVerif /k`: systems before driver isolation.
    Declarative,
}

/// How much a rule weighs in a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The rule does not apply.
    None,
    /// A hint at a mistake.
    Warning,
    /// The INF is refused.
    Error,
}

/// A rule of InfVerif.
pub struct Rule {
    /// Its published number.
    pub code: u16,
    /// What is true of an INF that keeps it.
    pub rule: &'static str,
    declarative: Level,
    windows: Level,
    check: fn(&Inf<'_>) -> Vec<Place>,
}

/// Where a rule is broken, and what is found there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    line: usize,
    detail: String,
}

/// A rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The number of the rule.
    pub code: u16,
    /// How much it weighs.
    pub level: Level,
    /// The line of the INF.
    pub line: usize,
    /// What is true of an INF that keeps it.
    pub rule: &'static str,
    /// What was found instead.
    pub detail: String,
}

impl Rule {
    /// A rule that is an error in both modes.
    const fn new(code: u16, rule: &'static str, check: fn(&Inf<'_>) -> Vec<Place>) -> Self {
        Self::weighing(code, rule, Level::Error, Level::Error, check)
    }

    const fn weighing(
        code: u16,
        rule: &'static str,
        declarative: Level,
        windows: Level,
        check: fn(&Inf<'_>) -> Vec<Place>,
    ) -> Self {
        Self {
            code,
            rule,
            declarative,
            windows,
            check,
        }
    }

    /// How much the rule weighs in a mode.
    #[must_use]
    pub fn level(&self, mode: Mode) -> Level {
        match mode {
            Mode::Windows => self.windows,
            Mode::Declarative => self.declarative,
        }
    }
}

/// Every rule.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        sections::RULES,
        primitive::RULES,
        version::RULES,
        files::RULES,
        services::RULES,
        registry::RULES,
    ]
    .into_iter()
    .flatten()
}

/// The rules that an INF breaks, by line.
#[must_use]
pub fn check(document: &Document, mode: Mode) -> Vec<Finding> {
    let inf = Inf::new(document);
    let mut findings = Vec::new();
    for rule in rules() {
        let level = rule.level(mode);
        if level == Level::None {
            continue;
        }
        let mut places = (rule.check)(&inf);
        places.sort();
        places.dedup();
        findings.extend(places.into_iter().map(|Place { line, detail }| Finding {
            code: rule.code,
            level,
            line,
            rule: rule.rule,
            detail,
        }));
    }
    findings.sort_by_key(|finding| (finding.line, finding.code));
    findings
}

/// The major and minor version and the build of the oldest Windows that an INF is for: the oldest of its
/// `[DefaultInstall…]`, zeros where one is for any. None if there is none, or none that can be read.
#[must_use]
pub fn oldest_windows(document: &Document) -> Option<(u32, u32, u32)> {
    let inf = Inf::new(document);
    let targets = inf
        .installs
        .iter()
        .filter_map(|install| Target::parse(install.decoration));
    targets.map(|target| target.oldest).min()
}

impl Place {
    fn new(line: usize, detail: impl Into<String>) -> Self {
        Self {
            line,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            level,
            line,
            rule,
            detail,
        } = self;
        write!(
            formatter,
            "{line}: {level} {code}: {detail}; the rule: {rule}"
        )
    }
}

#[cfg(test)]
pub(crate) mod tests;
