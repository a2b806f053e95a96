//! Violations that did not end the run: warnings, and all of them with `--keep-going`.
//!
//! What a check reports is kept here and its call returns, as in a unit test.
//! The first violation of each rule is kept in full, the others are counted:
//! a mistake that is made with every request would otherwise fill the memory.
//! A fault or a bug check still ends the run, with what was kept so far.

use super::rules::{Rule, Severity};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

/// A rule that was broken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Collected {
    /// Its name.
    pub rule: String,
    /// Its code.
    pub code: String,
    /// How bad it is, where that is published.
    pub severity: Option<Severity>,
    /// How often.
    pub count: u64,
    /// The report of the first time: text, or the object of `--json`.
    #[serde(serialize_with = "as_object")]
    pub first: String,
}

impl Collected {
    /// True if it decides about no exit code.
    pub fn is_warning(&self) -> bool {
        self.severity == Some(Severity::Warning)
    }
}

/// How often rules were broken, warnings left out.
pub fn violations(kept: &[Collected]) -> u64 {
    let violations = kept.iter().filter(|kept| !kept.is_warning());
    violations.map(|kept| kept.count).sum()
}

fn as_object<S: serde::Serializer>(first: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let object: Option<Value> = serde_json::from_str(first).ok();
    match object {
        Some(mut object) => object["violation"].take().serialize(serializer),
        None => first.serialize(serializer),
    }
}

static KEPT: Mutex<Vec<Collected>> = Mutex::new(Vec::new());
static KEEPS: AtomicBool = AtomicBool::new(false);

/// Chooses whether violations are collected.
pub(super) fn set(keeps: bool) {
    KEEPS.store(keeps, Ordering::Relaxed);
}

/// True if a violation does not end the run.
pub(super) fn keeps() -> bool {
    KEEPS.load(Ordering::Relaxed)
}

fn kept() -> MutexGuard<'static, Vec<Collected>> {
    KEPT.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Counts a violation; true for the first of its rule, for which `brief` is kept until
/// [`complete`] brings the rest.
pub(super) fn add(rule: &'static Rule, brief: impl FnOnce() -> String) -> bool {
    let mut kept = kept();
    let known = |kept: &&mut Collected| kept.rule == rule.name && kept.code == rule.code;
    if let Some(known) = kept.iter_mut().find(known) {
        known.count += 1;
        return false;
    }
    kept.push(Collected {
        rule: rule.name.to_owned(),
        code: rule.code.to_owned(),
        severity: rule.severity(),
        count: 1,
        first: brief(),
    });
    true
}

/// The whole report of the first violation of a rule.
pub(super) fn complete(rule: &'static Rule, report: String) {
    let mut kept = kept();
    let known = |kept: &&mut Collected| kept.rule == rule.name && kept.code == rule.code;
    if let Some(known) = kept.iter_mut().find(known) {
        known.first = report;
    }
}

/// What was kept so far, in the order of the first violation of each rule. Never waits: a thread
/// that ends the process asks, and the one that holds the lock may be stopped.
pub fn so_far() -> Vec<Collected> {
    match KEPT.try_lock() {
        Ok(kept) => kept.clone(),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner().clone(),
        Err(std::sync::TryLockError::WouldBlock) => vec![],
    }
}

/// The reports in full and the counts, for people; empty if nothing was kept.
pub fn text(kept: &[Collected]) -> String {
    if kept.is_empty() {
        return String::new();
    }
    let reports: String = kept.iter().map(|kept| kept.first.clone() + "\n").collect();
    let counts: String = kept
        .iter()
        .map(|kept| {
            let severity = kept.severity.map(|severity| format!(", {severity}"));
            let severity = severity.unwrap_or_default();
            format!(
                "  {:>9}  {} ({}){severity}\n",
                kept.count, kept.rule, kept.code
            )
        })
        .collect();
    format!("{reports}Violations by rule\n{counts}")
}

/// The object of a violation that ended the run, with what was kept before it.
pub(super) fn with_last(last: &str, json: bool) -> String {
    let kept = so_far();
    if kept.is_empty() {
        return last.to_owned();
    }
    if !json {
        return format!("{}\n{last}", text(&kept));
    }
    let (Ok(last), Ok(kept)) = (
        serde_json::from_str::<Value>(last),
        serde_json::to_value(&kept),
    ) else {
        return last.to_owned();
    };
    let mut object = last;
    object["collected"] = kept;
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::super::{Configuration, Violation, configure, report, rules};
    use super::*;
    use crate::host::test_process::passes_alone;

    #[test]
    fn violations_are_counted_and_the_first_one_kept() {
        passes_alone(
            "verifier::collected::tests::violations_are_counted_and_the_first_one_kept",
            || {
                let configuration = Configuration {
                    json: true,
                    keep_going: true,
                    ..Configuration::default()
                };
                configure(configuration);
                let broken = |rule, message: &str| {
                    report(Violation {
                        rule,
                        message: message.to_owned(),
                        irp: None,
                        sites: vec![],
                    });
                };
                broken(&rules::BAD_FREE, "one");
                broken(&rules::MDL_STATE, "two");
                broken(&rules::BAD_FREE, "three");
                let kept = so_far();
                let counts: Vec<_> = kept
                    .iter()
                    .map(|kept| (kept.rule.as_str(), kept.count))
                    .collect();
                assert_eq!(counts, [("BadFree", 2), ("MdlState", 1)]);
                assert!(kept[0].first.contains("one"), "{}", kept[0].first);
                let last = with_last("{\"violation\":{\"rule\":\"PageFault\"}}", true);
                let object: Value = serde_json::from_str(&last).expect("JSON");
                assert_eq!(object["violation"]["rule"], "PageFault");
                assert_eq!(object["collected"][0]["count"], 2);
                assert_eq!(object["collected"][0]["first"]["message"], "one");
                assert!(text(&kept).contains("2  BadFree (0xC2 BAD_POOL_CALLER"));
            },
        );
    }

    #[test]
    fn a_warning_ends_no_run_and_is_no_violation() {
        passes_alone(
            "verifier::collected::tests::a_warning_ends_no_run_and_is_no_violation",
            || {
                configure(Configuration::default());
                report(Violation {
                    rule: &rules::COPIED_WITHOUT_ROUTINE,
                    message: "a copy for nothing".to_owned(),
                    irp: None,
                    sites: vec![],
                });
                let kept = so_far();
                assert_eq!(kept.len(), 1);
                assert_eq!(violations(&kept), 0);
                let text = text(&kept);
                let first = "ntbox: warning of CopiedWithoutCompletionRoutine (0xC9/21C)";
                assert!(text.starts_with(first), "{text}");
                assert!(text.contains("(0xC9/21C), warning"), "{text}");
            },
        );
    }

    #[test]
    fn a_rule_that_is_switched_off_is_not_told() {
        passes_alone(
            "verifier::collected::tests::a_rule_that_is_switched_off_is_not_told",
            || {
                configure(Configuration {
                    options: "standard,-BadFree".parse().expect("options"),
                    ..Configuration::default()
                });
                report(Violation {
                    rule: &rules::BAD_FREE,
                    message: "nobody hears of it".to_owned(),
                    irp: None,
                    sites: vec![],
                });
                assert!(so_far().is_empty());
            },
        );
    }
}
