//! `ntbox run --keep-going`: violations are collected, and the run goes on where it can.

use fsglass_tests::command::{Ended, ntbox};
use fsglass_tests::drivers::{self, Profile};
use serde_json::Value;

fn run(mistake: Option<&str>, more: &[&str]) -> Ended {
    let driver = drivers::bad_drivers(Profile::Release);
    let mut arguments = vec!["run".to_owned(), "--keep-going".to_owned()];
    arguments.extend(["--driver".to_owned(), driver.display().to_string()]);
    arguments.extend(["--ops", "2000", "--threads", "2"].map(str::to_owned));
    arguments.extend(more.iter().map(|more| (*more).to_owned()));
    if let Some(mistake) = mistake {
        arguments.extend(["--setting".to_owned(), format!("Mistake={mistake}")]);
    }
    ntbox(arguments)
}

#[test]
fn a_correct_driver_is_clean() {
    run(None, &[])
        .expect_code(0)
        .expect_output("violations           0");
}

/// A mistake that is made with every request is reported once and counted.
#[test]
fn violations_are_counted_and_the_run_goes_on() {
    let ended = run(Some("complete-under-spin-lock"), &["--json"]);
    ended.expect_code(1);
    let report: Value = serde_json::from_str(&ended.output)
        .unwrap_or_else(|error| panic!("{error}: {}", ended.output));
    assert_eq!(
        report["requests"].as_u64().map(|count| count > 1000),
        Some(true)
    );
    let broken = &report["violations_by_rule"][0];
    assert_eq!(broken["rule"], "SpinLockSafe");
    assert!(broken["count"].as_u64() > Some(10), "{broken}");
    assert_eq!(broken["places"][0]["report"]["code"], "0xC4/DDI");
    assert!(
        broken["places"][0]["report"]["request"]["history"].is_array(),
        "{broken}"
    );
    let text = run(Some("complete-under-spin-lock"), &[]);
    text.expect_code(1)
        .expect_output("ntbox: violation of SpinLockSafe (0xC4/DDI)")
        .expect_output("Violations by rule\n");
    assert_eq!(text.output.matches("what happened to it").count(), 1);
}

/// A driver that is said to have left something is not said to have left nothing.
#[test]
fn what_was_left_is_not_forgotten_at_the_end() {
    let ended = run(Some("leak-at-unload"), &[]);
    ended
        .expect_code(1)
        .expect_output("ntbox: violation of LeakAtUnload")
        .expect_output("bad_drivers  unloaded, with ");
    assert!(!ended.output.contains("nothing left behind"), "{ended:?}");
    run(None, &[]).expect_output("bad_drivers  unloaded, nothing left behind");
}

/// What is published as a warning is told, and makes no run unclean.
#[test]
fn a_warning_is_told_and_is_no_violation() {
    let ended = run(Some("copied-without-routine"), &["--json"]);
    ended.expect_code(0);
    let report: Value = serde_json::from_str(&ended.output)
        .unwrap_or_else(|error| panic!("{error}: {}", ended.output));
    assert_eq!(report["violations"], 0);
    assert!(report["warnings"].as_u64() > Some(0), "{report}");
    assert_eq!(report["violations_by_rule"][0]["severity"], "warning");
}

/// A rule that is switched off is not told, and one that nobody has named is not known.
#[test]
fn rules_are_switched_off_by_name() {
    let off = ["--verify", "standard,-SpinLockSafe"];
    run(Some("complete-under-spin-lock"), &off)
        .expect_code(0)
        .expect_output("violations           0");
    run(None, &["--verify", "standard,-SpinLokSafe"])
        .expect_code(2)
        .expect_output("there is no option or rule 'SpinLokSafe'; the nearest are SpinLockSafe");
    run(None, &["--verify", "standard,-PageFault"])
        .expect_code(2)
        .expect_output("PageFault cannot be switched off");
}

/// A fault cannot be gone on from.
#[test]
fn a_fault_ends_the_run() {
    run(Some("use-after-free"), &[])
        .expect_code(1)
        .expect_output("violation of UseAfterFree ");
}
