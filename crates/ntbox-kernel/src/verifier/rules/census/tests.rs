//! The rows are those of the published list, and what they say of the rules is so.

use super::super::{Severity, all};
use super::*;
use std::collections::{HashMap, HashSet};

/// The published list: each code or name with what stands behind it.
fn published() -> HashMap<&'static str, &'static str> {
    let lines = include_str!("published.txt").lines();
    let facts = lines.filter(|line| !line.starts_with('#'));
    let pairs = facts.map(|line| line.split_once(' ').unwrap_or((line, "")));
    pairs.collect()
}

fn rows() -> impl Iterator<Item = &'static Entry> {
    PARTS.iter().flat_map(|part| part.rows)
}

#[test]
fn there_is_one_row_for_everything_that_is_published() {
    let published = published();
    let mut seen = HashSet::new();
    for row in rows() {
        assert!(seen.insert(row.code), "{} has two rows", row.code);
        assert!(
            published.contains_key(row.code),
            "{} is not published",
            row.code
        );
    }
    let mut missing: Vec<_> = published
        .keys()
        .filter(|code| !seen.contains(*code))
        .collect();
    missing.sort_unstable();
    assert!(
        missing.is_empty(),
        "published, and without a row: {missing:?}"
    );
}

#[test]
fn severities_are_the_published_ones() {
    for (code, severity) in published() {
        let expected = match severity {
            "fatal" => Severity::FatalError,
            "non-fatal" => Severity::NonFatalError,
            "warning" => Severity::Warning,
            _ => continue,
        };
        assert_eq!(super::super::severity::of(code), Some(expected), "{code}");
    }
}

/// The codes and names under which a rule is published, as rows have them.
fn names_of(rule: &Rule) -> Vec<String> {
    let codes = rule
        .code
        .split([',', ' '])
        .filter(|part| part.contains('/'));
    codes
        .map(str::to_owned)
        .chain([rule.name.to_owned()])
        .collect()
}

#[test]
fn a_rule_of_a_published_code_is_in_its_row() {
    for rule in all() {
        let names = names_of(rule);
        for row in rows().filter(|row| names.iter().any(|name| name == row.code)) {
            let is_there = match row.state {
                State::Checked(rules) => rules.iter().any(|checked| std::ptr::eq(*checked, rule)),
                _ => rule.proof.not_applicable().is_some(),
            };
            assert!(is_there, "{} is checked by {}", row.code, rule.name);
        }
    }
}

#[test]
fn what_is_checked_has_a_bad_driver_and_what_is_not_a_reason() {
    for row in rows() {
        match row.state {
            State::Checked(rules) => {
                assert!(!rules.is_empty(), "{}", row.code);
                for rule in rules {
                    assert!(
                        rule.proof.bad_driver().is_some(),
                        "{}: {}",
                        row.code,
                        rule.name
                    );
                }
            }
            State::NotApplicable(reason) | State::NotCheckable(reason) | State::Open(reason) => {
                assert!(!reason.is_empty() && !reason.ends_with('.'), "{}", row.code);
            }
        }
    }
}
