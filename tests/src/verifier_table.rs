//! `docs/verifier.md`: the rules, and what shows that each is caught.
//!
//! Made from the registry of rules and from the table of mistakes. The suite of bad drivers
//! expects of each run the report line that the document shows.

use crate::mistakes::{ALL, Mistake};
use ntbox::verifier::rules::census::{self, Entry, State};
use ntbox::verifier::rules::{self, Family, Rule, Severity};
use std::fmt::Write;

/// The families, in the order of the registry.
const FAMILIES: [Family; 7] = [
    Family::IrpLife,
    Family::Pending,
    Family::Irql,
    Family::Devices,
    Family::Files,
    Family::PoolAndLocks,
    Family::Faults,
];

const HEAD: &str = "\
# What the verifier checks

`ntbox` looks for the rules of Driver Verifier and of DDI compliance that a file-system filter can
break, under their published names. `ntbox rules` lists them, with `--json` for programs.

A rule is worth what its check is worth. `bad_drivers.sys` (`tests/bad_drivers`) is a correct filter
that makes one mistake when its registry value `Mistake` says so; `tests/tests/bad_drivers.rs` makes
each of them in both builds, expects the report line below and the place in the source, and expects
no report without a mistake.

```sh
./dev ntbox run --driver target/x86_64-pc-windows-msvc/release/bad_drivers.sys --setting Mistake=complete-twice
```

The pages are those of the Windows driver documentation. This file is written by
`FSGLASS_BLESS=1 cargo test -p fsglass-tests --test verifier_table`.
";

/// The whole document.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for family in FAMILIES {
        add_family(&mut text, family);
    }
    add_references(&mut text);
    add_census(&mut text);
    text
}

/// The first line of the report about this mistake.
///
/// # Panics
/// If no rule has the name that the mistake expects.
#[must_use]
pub fn report_line(mistake: &Mistake) -> String {
    let rule = rule_of(mistake);
    format!("ntbox: {} of {} ({})", rule.kind(), rule.name, rule.code)
}

/// The rule that names this mistake as its proof, or else the one with the name.
///
/// # Panics
/// As [`report_line`].
#[must_use]
pub fn rule_of(mistake: &Mistake) -> &'static Rule {
    let proved = rules::all().find(|rule| rule.proof.bad_driver() == Some(mistake.name));
    proved
        .or_else(|| rules::all().find(|rule| rule.name == mistake.rule))
        .unwrap_or_else(|| panic!("there is no rule {}", mistake.rule))
}

// Writing to a string does not fail.
fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{line}");
}

fn add_family(text: &mut String, family: Family) {
    let title = family.to_string();
    let (first, rest) = title.split_at(1);
    line(text, format_args!("\n## {}{rest}\n", first.to_uppercase()));
    line(
        text,
        format_args!("| rule | code | reported when | mistake | report line, place |"),
    );
    line(text, format_args!("|---|---|---|---|---|"));
    let checked =
        rules::all().filter(|rule| rule.family == family && rule.proof.not_applicable().is_none());
    for rule in checked {
        let made: Vec<&Mistake> = ALL
            .iter()
            .filter(|mistake| std::ptr::eq(rule_of(mistake), rule))
            .collect();
        let mistakes = joined(&made, |mistake| format!("`{}`", mistake.name));
        let (name, code, source) = (rule.name, rule.code, rule.source);
        let places = joined(&made, place_of);
        let reports = format!("`ntbox: {} of {name} ({code})`<br>{places}", rule.kind());
        let code = severity(rule)
            .map_or_else(|| code.to_owned(), |severity| format!("{code}, {severity}"));
        line(
            text,
            format_args!(
                "| **{name}** | {code} | {}.<br>Found by: {}.<br>Page: `{source}` | {mistakes} | {reports} |",
                rule.checks, rule.detected_by
            ),
        );
    }
}

/// The severity, of those that do not stop Windows.
fn severity(rule: &Rule) -> Option<Severity> {
    rule.severity()
        .filter(|severity| *severity != Severity::FatalError)
}

fn joined(mistakes: &[&Mistake], say: impl Fn(&Mistake) -> String) -> String {
    let parts: Vec<String> = mistakes.iter().map(|mistake| say(mistake)).collect();
    parts.join("<br>")
}

fn place_of(mistake: &Mistake) -> String {
    mistake.routine().map_or_else(String::new, |routine| {
        format!("`{routine}` in `{}`", mistake.file)
    })
}

fn add_references(text: &mut String) {
    line(
        text,
        format_args!(
            "\n## The known mistakes of the reference filters\n\n\
             | mistake of sfilter and filespy | setting | caught as |\n|---|---|---|"
        ),
    );
    for (number, what) in (1..).zip(REFERENCES) {
        let made: Vec<&Mistake> = ALL
            .iter()
            .filter(|mistake| mistake.reference == Some(number))
            .collect();
        let settings = joined(&made, |mistake| format!("`{}`", mistake.name));
        let caught = joined(&made, |mistake| mistake.rule.to_owned());
        line(
            text,
            format_args!("| {number}. {what} | {settings} | {caught} |"),
        );
    }
}

/// In the order of their numbers.
const REFERENCES: [&str; 8] = [
    "Unload with an oplock or directory notification out returns into freed code",
    "The list of volumes is freed twice when a later allocation fails during enumeration",
    "Lookaside lists are deleted twice, or before the detach that still uses them",
    "A pre-created device leaks when the allocation of the mount's context fails",
    "The mount that is posted to a work item is neither marked nor returned as STATUS_PENDING",
    "The name of a volume is freed before its device is detached",
    "A synchronising completion routine propagates PendingReturned",
    "Directory notification is made synchronous, or an oplock request pended",
];

const CENSUS: &str = "
## The census: what is published, and what becomes of it

Each sub-code of bug check 0xC9, each of 0xC4, each WDM rule of DDI compliance, and the other bug checks that a
file-system filter can cause. A row is *checked*, by rules each of which a bad driver breaks, several rows by one rule where it
is one mistake at different calls; *not applicable*, because
no file-system filter can break it, or because it is about what the box does not have; *not checkable*, because no
check could tell; or *open*: nobody checks it yet, and the row says what that would take. A test holds the rows complete
against a list of what is published (`crates/ntbox-kernel/src/verifier/rules/census/published.txt`): all sub-codes and rules of
the first three parts; of the other bug checks those that may concern a filter.
";

fn add_census(text: &mut String) {
    text.push_str(CENSUS);
    let counts = census::PARTS.map(|part| Counts::of(part.rows));
    line(
        text,
        format_args!(
            "\n| | rows | checked | not applicable | not checkable | open |\n|---|---|---|---|---|---|"
        ),
    );
    for (part, counts) in census::PARTS.iter().zip(counts) {
        let Counts {
            checked,
            not_applicable,
            not_checkable,
            open,
        } = counts;
        let title = part.title;
        let rows = part.rows.len();
        line(
            text,
            format_args!(
                "| {title} | {rows} | {checked} | {not_applicable} | {not_checkable} | {open} |"
            ),
        );
    }
    for part in &census::PARTS {
        line(
            text,
            format_args!(
                "\n### {}\n\nPage: `{}`\n\n| published | state | by, or why not |\n|---|---|---|",
                part.title, part.page
            ),
        );
        for row in part.rows {
            let (state, why) = match row.state {
                State::Checked(rules) => {
                    let names: Vec<_> = rules
                        .iter()
                        .map(|rule| format!("**{}**", rule.name))
                        .collect();
                    ("checked", names.join(", "))
                }
                State::NotApplicable(reason) => ("not applicable", reason.to_owned()),
                State::NotCheckable(reason) => ("not checkable", reason.to_owned()),
                State::Open(reason) => ("open", reason.to_owned()),
            };
            line(text, format_args!("| {} | {state} | {why} |", row.code));
        }
    }
}

/// Rows of a part by their state.
#[derive(Default)]
struct Counts {
    checked: usize,
    not_applicable: usize,
    not_checkable: usize,
    open: usize,
}

impl Counts {
    fn of(rows: &[Entry]) -> Self {
        let mut counts = Self::default();
        for row in rows {
            *match row.state {
                State::Checked(_) => &mut counts.checked,
                State::NotApplicable(_) => &mut counts.not_applicable,
                State::NotCheckable(_) => &mut counts.not_checkable,
                State::Open(_) => &mut counts.open,
            } += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_and_every_mistake_is_told_once() {
        let text = document();
        for rule in rules::all() {
            let row = format!("| **{}** | {}", rule.name, rule.code);
            let told = usize::from(rule.proof.bad_driver().is_some());
            assert_eq!(text.matches(&row).count(), told, "{row}");
        }
        for mistake in ALL {
            let name = format!("`{}`", mistake.name);
            let expected = 1 + usize::from(mistake.reference.is_some());
            assert_eq!(text.matches(&name).count(), expected, "{name}");
        }
    }

    #[test]
    fn the_report_line_has_the_code_of_the_rule_that_is_broken() {
        let of = |name: &str| {
            let mistake = ALL.iter().find(|mistake| mistake.name == name);
            report_line(mistake.expect("a mistake of that name"))
        };
        let slack = of("pool-overrun-in-slack");
        assert_eq!(
            slack,
            "ntbox: violation of PoolOverrun (0xC1 SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION)"
        );
        assert_ne!(of("pool-overrun"), slack);
        assert!(of("reference-list-freed-twice").contains("(0xC2 "));
    }
}
