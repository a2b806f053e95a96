//! How much of the kernel's stack the driver takes on the way of a request: by the unwind data of the image.
//!
//! The stack of a kernel thread has 24 KB, and what lies below a filter wants most of it.

use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::stack::{Routines, Way};

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
