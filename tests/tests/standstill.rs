//! A run in which nothing moves any more ends, and says who is at fault: of a driver that runs in a circle, that
//! waits for what nobody signals, or that keeps a request, wherever it does so.

use fsglass_tests::command::{Ended, ntbox};
use fsglass_tests::drivers::{self, Profile};
use serde_json::Value;

/// With a driver that stays there, and is given little time for it.
fn run(stuck: &str, more: &[&str]) -> Ended {
    let driver = drivers::bad_drivers(Profile::Release);
    let mut arguments = vec!["run".to_owned(), "--driver".to_owned()];
    arguments.push(driver.display().to_string());
    arguments.extend(["--setting".to_owned(), format!("Stuck={stuck}")]);
    let usual = ["--ops", "200", "--threads", "2", "--patience", "8"];
    arguments.extend(usual.iter().chain(more).map(|more| (*more).to_owned()));
    ntbox(arguments)
}

#[test]
fn an_entry_that_runs_in_a_circle_is_named() {
    run("entry-runs", &[])
        .expect_code(1)
        .expect_output("ntbox: loading bad_drivers: no request has finished for 8 seconds")
        .expect_output("bad_drivers runs and does not come to an end: bad_drivers!bad_drivers::stuck::run_in_a_circle (tests/bad_drivers/src/stuck.rs:")
        .expect_output("the same again: ");
}

#[test]
fn an_entry_that_waits_is_named_with_what_it_waits_for() {
    run("entry-waits", &[])
        .expect_code(1)
        .expect_output("ntbox: loading bad_drivers: ")
        .expect_output(" waits for event 0x")
        .expect_output("at bad_drivers!bad_drivers::kernel::wait_for (tests/bad_drivers/src/")
        .expect_output("called at bad_drivers!bad_drivers::stuck::");
}

/// Its last call is a jump, which leaves no return address behind it.
#[test]
fn an_entry_that_stays_in_the_kernel_is_named_with_the_routine() {
    run("entry-stalls", &[])
        .expect_code(1)
        .expect_output("ntbox: loading bad_drivers: ")
        .expect_output(" is in KeStallExecutionProcessor")
        .expect_output("called at bad_drivers!bad_drivers::");
}

#[test]
fn a_lock_that_is_waited_for_is_named_with_who_holds_it() {
    let ended = run("entry-locked-out", &[]);
    let waits = " waits for the lock at 0x";
    ended.expect_code(1).expect_output(waits);
    let behind = ended.output.split(waits).nth(1).unwrap_or_default();
    let address = behind.split(' ').next().unwrap_or_default();
    ended
        .expect_output(&format!(
            "      holds resource 0x{address}, acquired at bad_drivers!bad_drivers::stuck::acquire (tests/bad_drivers/src/stuck.rs:"
        ))
        .expect_output("called at bad_drivers!bad_drivers::stuck::keep_lock");
}

#[test]
fn an_unload_that_runs_in_a_circle_is_named() {
    run("unload-runs", &[])
        .expect_code(1)
        .expect_output("ntbox: unloading bad_drivers: ")
        .expect_output("bad_drivers!bad_drivers::stuck::run_in_a_circle");
}

#[test]
fn a_dispatch_routine_that_waits_is_named_with_its_request() {
    run("read-waits", &[])
        .expect_code(1)
        .expect_output(r"a device of \FileSystem\bad_drivers has IRP_MJ_READ and has neither completed nor passed it on")
        .expect_output("called at bad_drivers!bad_drivers::stuck::read_waits (tests/bad_drivers/src/stuck.rs:");
}

#[test]
fn a_request_that_is_kept_is_told_with_all_that_happened_to_it() {
    run("read-kept", &[])
        .expect_code(1)
        .expect_output(r"a device of \FileSystem\bad_drivers has IRP_MJ_READ and has neither completed nor passed it on")
        .expect_output("dispatch routine returned \\FileSystem\\bad_drivers STATUS_PENDING");
}

#[test]
fn it_is_told_as_json_too() {
    let ended = run("entry-runs", &["--json"]);
    ended.expect_code(1);
    let told: Value = serde_json::from_str(&ended.output)
        .unwrap_or_else(|error| panic!("{error}: {}", ended.output));
    let fault = told["at_fault"][0].as_str().unwrap_or_default();
    assert!(fault.contains("run_in_a_circle"), "{told}");
    assert!(
        told["threads"]
            .as_array()
            .is_some_and(|threads| !threads.is_empty()),
        "{told}"
    );
}

/// With a driver that waits for reads, and programs that cancel what is held below.
fn run_with_waits(more: &[&str]) -> Ended {
    let driver = drivers::bad_drivers(Profile::Release);
    let driver = driver.display().to_string();
    let usual = [
        "run",
        "--driver",
        &driver,
        "--setting",
        "Opaque=reads",
        "--workload",
        "copy:tests/bad_drivers/src",
        "--threads",
        "2",
        "--patience",
        "8",
    ];
    ntbox([&usual[..], more].concat())
}

/// The one that waits is the one that would cancel: that is said, and not asked of a driver that may wait.
#[test]
fn a_cancel_that_is_waited_for_is_told_and_left_out_by_option() {
    run_with_waits(&[])
        .expect_code(1)
        .expect_output("    perhaps: thread ")
        .expect_output(", while IRP_MJ_READ is held below until the same thread cancels it; with --may-pend none is")
        .expect_output(", held until it is cancelled");
    run_with_waits(&["--may-pend"]).expect_code(0);
}

/// As long as anything moves, nobody is accused.
#[test]
fn a_driver_that_comes_to_its_end_is_not_accused() {
    let driver = drivers::bad_drivers(Profile::Release).display().to_string();
    let arguments = [
        "run",
        "--driver",
        &driver,
        "--ops",
        "200",
        "--patience",
        "8",
    ];
    ntbox(arguments).expect_code(0);
}
