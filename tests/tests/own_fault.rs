//! A run in which ntbox itself fails ends with a report of what it was doing, and an exit code of its own.

use fsglass_tests::command::{Ended, ntbox, ntbox_command};
use fsglass_tests::drivers::{self, Profile};
use serde_json::Value;
use std::fs::OpenOptions;

/// With a driver that writes over what the I/O manager keeps in a file object.
fn scribbled(command: &str, more: &[&str]) -> Ended {
    let driver = drivers::bad_drivers(Profile::Release).display().to_string();
    let usual = [
        command,
        "--driver",
        &driver,
        "--setting",
        "Stuck=close-scribbles",
    ];
    ntbox(usual.iter().chain(more))
}

#[cfg_attr(
    windows,
    ignore = "faults that are no driver's are the host's to handle there"
)]
#[test]
fn what_no_rule_sees_is_told_as_a_failure_of_ntbox() {
    let ended = scribbled("run", &["--ops", "200", "--seed", "5"]);
    ended
        .expect_code(3)
        .expect_output("ntbox: ntbox itself has failed: it reads 0x41414141")
        .expect_output(" (crates/ntbox-kernel/src/io_manager/vpb.rs:")
        .expect_output("\n  threads:\n    thread ")
        .expect_output("  seed 5\n  the same again: ")
        .expect_output("Stuck=close-scribbles --ops 200 --seed 5");
    assert!(!ended.output.contains("violation of"), "{}", ended.output);
}

#[cfg_attr(
    windows,
    ignore = "faults that are no driver's are the host's to handle there"
)]
#[test]
fn it_is_told_as_json_too() {
    let ended = scribbled("run", &["--json", "--ops", "200"]);
    ended.expect_code(3);
    let told: Value = serde_json::from_str(&ended.output)
        .unwrap_or_else(|error| panic!("{error}: {}", ended.output));
    let failed = told["failed"].as_str().unwrap_or_default();
    assert!(failed.starts_with("it reads 0x41414141"), "{told}");
    assert!(
        told["at"].to_string().contains("io_manager/vpb.rs:"),
        "{told}"
    );
    assert!(
        told["threads"].is_array() && told["replay"].is_string(),
        "{told}"
    );
}

/// The processes that these commands start say it to them.
#[cfg_attr(
    windows,
    ignore = "faults that are no driver's are the host's to handle there"
)]
#[test]
fn it_is_handed_on_by_commands_that_start_processes() {
    for (command, more) in [
        ("diff", &["--ops", "200", "--rounds", "1"][..]),
        ("run", &["--every-failure", "--ops", "200"]),
    ] {
        scribbled(command, more)
            .expect_code(3)
            .expect_output("io_manager/vpb.rs:")
            .expect_output("Stuck=close-scribbles");
    }
}

/// A panic that anybody can have: nothing can be written where clients are told the address.
#[cfg(target_os = "linux")]
#[test]
fn a_panic_is_told_as_a_failure_of_ntbox() {
    let full = OpenOptions::new().write(true).open("/dev/full");
    let full = full.unwrap_or_else(|error| panic!("/dev/full: {error}"));
    let arguments = [
        "run",
        "--bare",
        "--json",
        "--ops",
        "10",
        "--client",
        "127.0.0.1:0",
    ];
    let ended = ntbox_command(arguments).stderr(full).output();
    let ended = ended.unwrap_or_else(|error| panic!("ntbox: {error}"));
    let output = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(3), "{output}");
    let told: Value =
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"));
    let failed = told["failed"].as_str().unwrap_or_default();
    assert!(
        failed.starts_with("panicked at ") && failed.contains("stderr"),
        "{told}"
    );
    assert!(
        told["at"]
            .to_string()
            .contains("crates/ntbox/src/command/run.rs:"),
        "{told}"
    );
}
