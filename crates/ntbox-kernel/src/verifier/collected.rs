//! Violations that did not end the run: warnings, and all of them with `--keep-going`.
//!
//! What a check reports is kept here and its call returns, as in a unit test.
//! Of each rule the first violation at each place in a driver is kept in full, the others are
//! counted: a mistake that is made with every request would otherwise fill the memory.
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
    /// Where, in the order of the first time; not more than [`MOST`].
    pub places: Vec<Place>,
}

/// A place where a rule was broken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// How often.
    pub count: u64,
    /// The report of the first time: text, or the object of `--json`.
    #[serde(serialize_with = "as_object")]
    pub report: String,
    #[serde(skip)]
    at: usize,
}

/// Places of one rule that are told apart; those beyond are counted with the rule alone.
pub const MOST: usize = 50;

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

/// Counts a violation at the place `at` in a driver; true for the first of its rule there, for which `brief` is kept
/// until [`complete`] brings the rest.
pub(super) fn add(rule: &'static Rule, at: usize, brief: impl FnOnce() -> String) -> bool {
    let mut kept = kept();
    let known = kept
        .iter()
        .position(|kept| kept.rule == rule.name && kept.code == rule.code);
    let index = known.unwrap_or(kept.len());
    if known.is_none() {
        kept.push(Collected {
            rule: rule.name.to_owned(),
            code: rule.code.to_owned(),
            severity: rule.severity(),
            count: 0,
            places: Vec::new(),
        });
    }
    let Some(broken) = kept.get_mut(index) else {
        return false;
    };
    broken.count += 1;
    if let Some(place) = broken.places.iter_mut().find(|place| place.at == at) {
        place.count += 1;
        return false;
    }
    let room = broken.places.len() < MOST;
    if room {
        broken.places.push(Place {
            count: 1,
            report: brief(),
            at,
        });
    }
    room
}

/// The whole report of the first violation of a rule at a place.
pub(super) fn complete(rule: &'static Rule, at: usize, report: String) {
    let mut kept = kept();
    let of_rule = kept
        .iter_mut()
        .find(|kept| kept.rule == rule.name && kept.code == rule.code);
    let place = of_rule.and_then(|broken| broken.places.iter_mut().find(|place| place.at == at));
    if let Some(place) = place {
        place.report = report;
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
    let places = kept.iter().flat_map(|kept| &kept.places);
    let reports: String = places.map(|place| place.report.clone() + "\n").collect();
    let counts: String = kept
        .iter()
        .map(|kept| {
            let severity = kept.severity.map(|severity| format!(", {severity}"));
            let severity = severity.unwrap_or_default();
            let places = match kept.places.len() {
                1 => String::new(),
                MOST => format!(", at {MOST} places or more"),
                places => format!(", at {places} places"),
            };
            format!(
                "  {:>9}  {} ({}){severity}{places}\n",
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
                let broken = |rule, message: &str, site| {
                    report(Violation {
                        rule,
                        message: message.to_owned(),
                        irp: None,
                        sites: vec![("called", site)],
                    });
                };
                broken(&rules::BAD_FREE, "one", 1);
                broken(&rules::MDL_STATE, "two", 1);
                broken(&rules::BAD_FREE, "three", 1);
                broken(&rules::BAD_FREE, "four", 2);
                for site in 10..20 + MOST {
                    broken(&rules::MDL_STATE, "everywhere", site);
                }
                let kept = so_far();
                let counts: Vec<_> = kept
                    .iter()
                    .map(|kept| (kept.rule.as_str(), kept.count))
                    .collect();
                assert_eq!(counts, [("BadFree", 3), ("MdlState", 11 + MOST as u64)]);
                let places: Vec<_> = kept[0]
                    .places
                    .iter()
                    .map(|place| (place.count, place.report.contains("four")))
                    .collect();
                assert_eq!(places, [(2, false), (1, true)]);
                assert_eq!(kept[1].places.len(), MOST);
                let last = with_last("{\"violation\":{\"rule\":\"PageFault\"}}", true);
                let object: Value = serde_json::from_str(&last).expect("JSON");
                assert_eq!(object["violation"]["rule"], "PageFault");
                assert_eq!(object["collected"][0]["count"], 3);
                let first = &object["collected"][0]["places"][0]["report"];
                assert_eq!(first["message"], "one");
                let text = text(&kept);
                assert!(text.contains("3  BadFree (0xC2 BAD_POOL_CALLER"), "{text}");
                assert!(text.contains(", at 2 places\n"), "{text}");
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
