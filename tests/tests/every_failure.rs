//! `ntbox run --every-failure`: every place that allocates fails once, and only drivers that take
//! it badly are reported.

use fsglass_tests::command::{Ended, ntbox};
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::mistakes::{Mistake, REFUSED, WITHOUT_MEMORY};
use std::path::Path;

fn run(driver: &Path, more: &[&str]) -> Ended {
    let driver = driver.display().to_string();
    let arguments = [
        "run",
        "--driver",
        &driver,
        "--ops",
        "1000",
        "--threads",
        "2",
    ];
    ntbox(arguments.iter().chain(more))
}

fn every_failure(driver: &Path, more: &[&str]) -> Ended {
    run(driver, &[&["--every-failure"], more].concat())
}

/// Load, mount and requests go on or are refused cleanly, whichever allocation fails; also those
/// that only a failure leads to.
#[test]
fn fsglass_takes_every_failure() {
    for profile in Profile::ALL {
        let ended = every_failure(&drivers::fsglass(profile), &["--setting", "AllowUnload=1"]);
        ended
            .expect_code(0)
            .expect_output("refused: ")
            .expect_output("DriverEntry returned STATUS_INSUFFICIENT_RESOURCES")
            .expect_output("IoCreateDevice from fsglass!")
            .expect_output("after the failure of ")
            .expect_output(" places can fail, ")
            .expect_output(" requests, 0 with a violation");
    }
}

/// A driver that does not expect the failure is caught, though a run without failures is clean.
#[test]
fn mistakes_that_need_a_failure_are_caught() {
    for profile in Profile::ALL {
        let driver = drivers::bad_drivers(profile);
        every_failure(&driver, &[]).expect_code(0);
        for mistake in WITHOUT_MEMORY {
            expect_caught(&driver, mistake, &[]);
        }
    }
}

/// The mistake is caught by `more` failures, and by none else.
fn expect_caught(driver: &Path, mistake: &Mistake, more: &[&str]) {
    let setting = format!("Mistake={}", mistake.name);
    let setting = ["--setting", &setting];
    run(driver, &setting).expect_code(0);
    let ended = every_failure(driver, &[&setting[..], more].concat());
    ended
        .expect_code(1)
        .expect_output(&format!("VIOLATION of {} ", mistake.rule))
        .expect_output(" with a violation");
    let placed = mistake.is_placed_by(&ended.output);
    assert!(placed, "{mistake:?}\n{}\n{}", ended.line, ended.output);
}

/// What a run finds that goes on without a failure, it finds with each failure again: that counts once.
#[test]
fn what_is_found_without_a_failure_counts_once() {
    let driver = drivers::bad_drivers(Profile::Release);
    let kept = |mistake: &str| {
        let setting = format!("Mistake={mistake}");
        every_failure(&driver, &["--keep-going", "--setting", &setting])
    };
    kept("zero-tag")
        .expect_code(1)
        .expect_output("VIOLATION of ZeroTag ")
        .expect_output(" requests, 1 with a violation");
    // What only a failure leads to is found as before.
    kept("leak-on-failure")
        .expect_code(1)
        .expect_output("VIOLATION of LeakAtUnload ")
        .expect_output("without a failure\n    went on, ");
}

/// What else Windows may refuse fails where that is asked for, and is not looked at otherwise.
#[test]
fn attachments_opens_names_and_the_registry_fail_by_option() {
    for profile in Profile::ALL {
        let driver = drivers::bad_drivers(profile);
        every_failure(&driver, &["--failures", "all"])
            .expect_code(0)
            .expect_output("IoAttachDeviceToDeviceStackSafe from bad_drivers!")
            .expect_output("ZwOpenKey from bad_drivers!")
            .expect_output("ZwQueryValueKey from bad_drivers!")
            .expect_output("IoCreateDevice from bad_drivers!");
    }
    let driver = drivers::bad_drivers(Profile::Release);
    for (kind, mistake) in REFUSED {
        expect_caught(&driver, mistake, &["--failures", kind]);
    }
    let setting = format!("Mistake={}", REFUSED[0].1.name);
    every_failure(&driver, &["--setting", &setting]).expect_code(0);
}

/// The filter goes on, or is refused cleanly, whatever fails.
#[test]
fn fsglass_takes_what_windows_may_refuse() {
    let driver = drivers::fsglass(Profile::Release);
    let more = ["--setting", "AllowUnload=1", "--failures", "all"];
    every_failure(&driver, &more)
        .expect_code(0)
        .expect_output("IoAttachDeviceToDeviceStackSafe from fsglass!")
        .expect_output(" requests, 0 with a violation");
}

/// The key of a place makes the same run again.
#[test]
fn a_run_can_be_made_again() {
    let driver = drivers::bad_drivers(Profile::Release);
    let setting = ["--setting", "Mistake=allocation-unchecked"];
    let all = every_failure(&driver, &[&setting[..], &["--json"]].concat());
    let found: serde_json::Value =
        serde_json::from_str(&all.output).unwrap_or_else(|error| panic!("{error}: {}", all.output));
    let runs = found["runs"].as_array().map_or(&[][..], Vec::as_slice);
    let broken = runs.iter().find(|run| run["outcome"] == "violation");
    let key = broken.and_then(|run| run["key"].as_str());
    let key = key.unwrap_or_else(|| panic!("no run was broken: {}", all.output));
    run(&driver, &[&setting[..], &["--fail-at", key]].concat())
        .expect_code(1)
        .expect_output("violation of PageFault ");
}
