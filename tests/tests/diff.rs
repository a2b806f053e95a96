//! Transparency, the whole of it: programs of random operations, and every choice of the file
//! system for small ones, give an originator the same with the filter as without it. And what is
//! not the same is found, and shrunk to few operations.
//!
//! The counts here are for every run of the tests; `./dev ntbox diff --driver … --rounds N` does more.

use fsglass_tests::command::{Ended, ntbox};
use fsglass_tests::drivers::{self, Profile};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

fn fsglass(profile: Profile) -> String {
    drivers::fsglass(profile).display().to_string()
}

fn bad_drivers() -> String {
    drivers::bad_drivers(Profile::Release).display().to_string()
}

fn diff(arguments: &[&str]) -> Ended {
    ntbox([&["diff"], arguments].concat())
}

/// The JSON that the command printed, between lines of other channels.
fn json(ended: &Ended) -> Value {
    let text = &ended.output;
    let from = text.find("{\n").unwrap_or(0);
    let to = text.rfind("\n}").map_or(text.len(), |end| end + 2);
    serde_json::from_str(&text[from..to]).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// C5, C9, C12, C16, D1, D4, F1: nothing that an originator observes is changed, by the shipped and
/// by the debug build, alone and stacked twice, when it can be unloaded and when it stays.
#[test]
fn random_programs_see_no_filter() {
    for profile in Profile::ALL {
        let driver = fsglass(profile);
        for setting in ["AllowUnload=1", "AllowUnload=0"] {
            diff(&["--driver", &driver, "--setting", setting, "--rounds", "4"]).expect_code(0);
        }
    }
}

/// The same with a seed that nobody has tried; a failure prints it, and the command that repeats it.
#[test]
fn a_new_program_sees_no_filter() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    let seed = (now % 1_000_000).to_string();
    let driver = fsglass(Profile::Release);
    let setting = ["--setting", "AllowUnload=1"];
    let rounds = ["--rounds", "3", "--seed", &seed];
    diff(&[&["--driver", &driver], &setting[..], &rounds].concat()).expect_code(0);
}

/// The same when every request is pended below and completed elsewhere.
#[test]
fn programs_whose_requests_all_pend_see_no_filter() {
    let driver = fsglass(Profile::Release);
    let verify = ["--verify", "standard,force-pending"];
    diff(&[&["--driver", &driver, "--rounds", "3"], &verify[..]].concat()).expect_code(0);
}

/// F1: with a filter that has no fast I/O below it or above it, every call is an IRP, and the
/// results are those of fast I/O.
#[test]
fn programs_see_no_stack_of_different_filters() {
    let (glass, other) = (fsglass(Profile::Release), bad_drivers());
    for [lower, upper] in [[&glass, &other], [&other, &glass]] {
        diff(&["--driver", lower, "--driver", upper, "--rounds", "3"]).expect_code(0);
    }
}

/// What breaks no rule and is noticed all the same is found, is shrunk to few operations, and is
/// there again when the command that the report names is given.
#[test]
fn what_programs_notice_is_found_and_shrunk() {
    let driver = bad_drivers();
    for opaque in ["information", "synchronous", "create"] {
        let setting = format!("Opaque={opaque}");
        let arguments = [
            "--driver",
            &driver,
            "--once",
            "--setting",
            &setting,
            "--json",
        ];
        let ended = diff(&arguments);
        ended.expect_code(1);
        let report = json(&ended);
        let found = &report["found"];
        let steps = found["steps"].as_array().map_or(0, Vec::len);
        assert!((1..=5).contains(&steps), "{steps} operations: {report:#}");
        assert!(found["operations"].as_u64() > Some(2000), "{report:#}");
        assert!(found["again"].is_string(), "{report:#}");

        // The command line of the report, without its first word.
        let replay = found["replay"].as_str().unwrap_or_default();
        let again = ntbox(replay.split(' ').skip(1));
        again.expect_code(1).expect_output("differences   1");
        let kept = found["steps"][0]["place"].as_str().unwrap_or("no place");
        again.expect_output(&format!("({kept})"));
        // It is the driver's doing: without the setting the same operations show nothing.
        let without = replay.replace(&format!("--setting {setting}"), "");
        ntbox(without.split_whitespace().skip(1)).expect_code(0);
    }
}

/// A driver that makes requests wait is excepted when it is said that it may.
#[test]
fn a_filter_that_may_pend_may_wait_too() {
    let driver = bad_drivers();
    let arguments = [
        "--driver",
        &driver,
        "--once",
        "--setting",
        "Opaque=synchronous",
    ];
    diff(&[&arguments[..], &["--rounds", "1"]].concat()).expect_code(1);
    diff(&[&arguments[..], &["--rounds", "1", "--may-pend"]].concat()).expect_code(0);
}

/// A program that waits does not see that a filter waits, too: what is found is of an asynchronous handle.
#[test]
fn a_filter_may_wait_for_what_a_synchronous_handle_asks_for() {
    let driver = bad_drivers();
    for seed in ["1", "2", "3", "4"] {
        let setting = ["--setting", "Opaque=synchronous", "--json"];
        let base = ["--driver", &driver, "--once", "--seed", seed];
        let ended = diff(&[&base, &setting[..]].concat());
        ended.expect_code(1);
        let report = json(&ended);
        let steps = report["found"]["steps"].as_array();
        let steps = steps.map_or(&[][..], Vec::as_slice);
        let opens = |step: &&Value| {
            step["operation"]
                .as_str()
                .is_some_and(|text| text.contains(" as handle "))
        };
        // The handle that the difference is seen at is opened last.
        let opened = steps.iter().rfind(opens);
        let is_synchronous = |step: &Value| step.to_string().contains(", synchronous");
        assert!(
            opened.is_some_and(|step| !is_synchronous(step)),
            "{report:#}"
        );
    }
}

/// A create is waited for by its service: a program does not see that a filter waits for it, too.
#[test]
fn a_filter_may_wait_for_creates() {
    let driver = bad_drivers();
    let setting = ["--setting", "Right=create-waits"];
    let base = ["--driver", &driver, "--once"];
    diff(&[&base, &setting[..], &["--rounds", "3"]].concat()).expect_code(0);
    let small = ["--systematic", "--requests", "1"];
    diff(&[&base, &setting[..], &small].concat()).expect_code(0);
}

/// What is injected into a read is injected into the one that a filter sends in its place.
#[test]
fn an_injected_failure_follows_the_filter_s_own_read() {
    let driver = bad_drivers();
    let setting = ["--setting", "Right=own-read", "--may-pend"];
    let base = ["--driver", &driver, "--once", "--rounds", "3"];
    diff(&[&base, &setting[..]].concat()).expect_code(0);
}

/// A driver whose device has a name cannot be there twice: the other comparison is made.
#[test]
fn a_driver_with_a_named_device_is_compared_once() {
    let driver = bad_drivers();
    let setting = ["--setting", "Right=named-device"];
    let base = ["--driver", &driver, "--rounds", "1", "--ops", "300"];
    for more in [&[][..], &["--systematic", "--requests", "1"]] {
        let more: &[&str] = more;
        let base = match more {
            [] => &base[..],
            _ => &base[..2],
        };
        let ended = diff(&[base, &setting, more].concat());
        ended
            .expect_code(0)
            .expect_output("not run       bad_drivers twice: ")
            .expect_output("STATUS_OBJECT_NAME_COLLISION")
            .expect_output("(--once does not try it)")
            .expect_output("differences   0\nviolations    0");
        // Nothing is left out that was not asked for.
        let once = diff(&[base, &setting, more, &["--once"]].concat());
        once.expect_code(0);
        assert!(!once.output.contains("not run"), "{once:?}");
    }
}

/// A violation ends the comparison with its report.
#[test]
fn a_violation_is_reported_by_its_side() {
    let setting = "Mistake=pending-not-propagated";
    diff(&["--driver", &bad_drivers(), "--setting", setting])
        .expect_code(1)
        .expect_output("violation of PendingReturnedNotPropagated (0xC9/228)")
        .expect_output("violations    1");
}

/// Violations are collected, on each side and in every choice for small programs, and decide about
/// the exit code; a rule that is switched off, or one that is published as a warning, does not.
#[test]
fn violations_are_collected_and_switched_off() {
    let driver = bad_drivers();
    let base = [
        "--driver", &driver, "--once", "--rounds", "1", "--ops", "300",
    ];
    let small = [
        "--driver",
        &driver,
        "--once",
        "--systematic",
        "--requests",
        "1",
    ];
    for arguments in [&base[..], &small] {
        let setting = ["--setting", "Mistake=zero-tag"];
        let collected = diff(&[arguments, &setting, &["--keep-going"]].concat());
        collected
            .expect_code(1)
            .expect_output("ntbox: violation of ZeroTag (0xC2/9B BAD_POOL_CALLER)")
            .expect_output("Violations by rule\n");
        assert!(
            !collected.output.contains("violations    0"),
            "{collected:?}"
        );
        let off = ["--verify", "standard,-ZeroTag"];
        diff(&[arguments, &setting, &off].concat())
            .expect_code(0)
            .expect_output("violations    0");
        let setting = ["--setting", "Mistake=copied-without-routine"];
        diff(&[arguments, &setting].concat())
            .expect_code(0)
            .expect_output("ntbox: warning of CopiedWithoutCompletionRoutine (0xC9/21C)")
            .expect_output("violations    0");
    }
}

/// C2, C5, C7: every way of completing two requests that overlap, in every combination, and all of
/// them were tried: the states that completion routines saw are counted.
#[test]
fn every_choice_for_small_programs_is_the_same() {
    let driver = fsglass(Profile::Release);
    let setting = ["--setting", "AllowUnload=1"];
    let ended = diff(
        &[
            &["--driver", &driver, "--systematic", "--json"],
            &setting[..],
        ]
        .concat(),
    );
    ended.expect_code(0);
    let report = json(&ended);
    assert_eq!(report["difference_count"], 0, "{report:#}");
    let possible = report["possible"].as_u64().unwrap_or(0);
    assert!(possible > 1500, "{report:#}");
    let sides = report["sides"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(sides.len(), 3, "{report:#}");
    for (below, side) in sides.iter().enumerate() {
        assert_eq!(side["combinations"], possible, "{report:#}");
        // As many filters as there should be, above the file system.
        assert_eq!(
            side["stack"].as_array().map_or(0, Vec::len),
            below + 1,
            "{report:#}"
        );
    }
    let states = report["states"].as_array().map_or(&[][..], Vec::as_slice);
    let seen = |pending: bool, dispatch: bool, ended: &str| {
        states.iter().any(|entry| {
            let state = &entry[0];
            state["pending_returned"] == pending
                && state["at_dispatch"] == dispatch
                && state["ended"] == ended
        })
    };
    for pending in [false, true] {
        for dispatch in [false, true] {
            for ended in ["success", "warning", "error"] {
                assert!(
                    seen(pending, dispatch, ended),
                    "{pending} {dispatch} {ended}: {report:#}"
                );
            }
        }
    }
    assert!(seen(true, false, "cancelled"), "{report:#}");
}

/// The systematic comparison finds what is different, and says for which choices.
#[test]
fn a_difference_in_a_small_program_is_found() {
    let driver = bad_drivers();
    let arguments = [
        "--driver",
        &driver,
        "--once",
        "--setting",
        "Opaque=information",
    ];
    diff(&[&arguments[..], &["--systematic", "--requests", "1"]].concat())
        .expect_code(1)
        .expect_output("a difference: Read Now");
}
