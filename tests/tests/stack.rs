//! How much of the kernel's stack the driver takes on the way of a request: by the unwind data of the image.
//!
//! The stack of a kernel thread has 24 KB, and what lies below a filter wants most of it.

use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::stack::{Routines, Way};
use serde_json::Value;

/// For a request, or a call of fast I/O, that nobody observes, on either way. Bytes.
const PLAIN: u32 = 256;
/// For one of which everything is observed.
const OBSERVED: u32 = 768;

/// What is on other ways: the control device, mounts, and the end of a device.
const ELSEWHERE: &[&str] = &[
    "wdm::dispatch::control",
    "fsglass::mount::",
    "wdm::fast_io::detach_device",
];
/// What is done for those who observe.
const OBSERVATION: &[&str] = &["fsglass::observe::"];

/// What the system calls for a request or a call of fast I/O.
const DOWN: &[&str] = &["wdm::dispatch::dispatch", "wdm::fast_io::"];
const UP: &[&str] = &["wdm::completion::propagating"];

fn routines() -> Routines {
    let driver = drivers::fsglass(Profile::Release);
    let read = |path: &std::path::Path| {
        std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let routines = Routines::of(&read(&driver), &read(&driver.with_extension("pdb")));
    routines.unwrap_or_else(|error| panic!("{error}"))
}

fn most(roots: &[&str], without: &[&[&str]]) -> Way {
    let way = routines().most(roots, &without.concat());
    way.unwrap_or_else(|error| panic!("{error}"))
}

/// Bytes on the stack of a filter that keeps much there (`skip_deep` of bad_drivers), and what is around them.
const DEEP: std::ops::Range<u64> = 2000..2400;

/// A run says how much of the stack a driver has had, and its routine with the most.
#[test]
#[cfg_attr(windows, ignore = "drivers run on the host's stack")]
fn a_run_says_what_a_driver_takes() {
    let taken = |driver: std::path::PathBuf, settings: &[&str]| {
        let mut arguments = vec!["run".to_owned(), "--json".to_owned(), "--driver".to_owned()];
        arguments.push(driver.display().to_string());
        arguments.extend(settings.iter().map(|word| (*word).to_owned()));
        arguments.extend(["--ops", "500", "--threads", "1"].map(str::to_owned));
        let ended = ntbox(arguments);
        ended.expect_code(0);
        let report: Value = serde_json::from_str(&ended.output)
            .unwrap_or_else(|error| panic!("{error} in\n{}", ended.output));
        let own = &report["drivers"][0]["stack"];
        let name = own[1].as_str().unwrap_or_default().to_owned();
        let deepest = report["deepest_stack"][0].as_u64().unwrap_or(0);
        (own[0].as_u64().unwrap_or(0), name, deepest)
    };
    let deep = ["--setting", "PassThrough=deep"];
    let (bytes, name, deepest) = taken(drivers::bad_drivers(Profile::Release), &deep);
    assert!(DEEP.contains(&bytes), "{bytes}: {name}");
    assert!(
        name.starts_with("bad_drivers!bad_drivers::filter::skip_deep"),
        "{name}"
    );
    assert!(deepest >= bytes, "{deepest}");
    let (bytes, name, deepest) = taken(drivers::fsglass(Profile::Release), &[]);
    // Mounts are among what is passed on.
    assert!(
        (1..=u64::from(OBSERVED)).contains(&bytes),
        "{bytes}: {name}"
    );
    assert!(name.starts_with("fsglass!"), "{name}");
    assert!(deepest >= bytes, "{deepest}");
}

#[test]
fn a_plain_request_takes_little_stack() {
    for roots in [DOWN, UP] {
        let way = most(roots, &[ELSEWHERE, OBSERVATION]);
        assert!(way.bytes <= PLAIN, "{way:#?}");
    }
}

#[test]
fn an_observed_request_takes_a_bounded_stack() {
    for roots in [DOWN, UP] {
        let way = most(roots, &[ELSEWHERE]);
        assert!(way.bytes <= OBSERVED, "{way:#?}");
    }
}
