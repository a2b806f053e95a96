//! Faults and panics of the box itself, each in a process of its own.

use super::{FAILED, OwnFault, keep_ready, tell_own};
use crate::host::{exit_now, test_process, write_raw};
use crate::pe_image::describe_own;
use std::process::Output;

fn alone(name: &str, f: impl FnOnce()) -> Output {
    let told = || {
        tell_own(tell);
        super::prepare_thread();
        f();
    };
    test_process::alone(&format!("processor::fault::own_tests::{name}"), told)
}

fn tell(fault: &OwnFault) -> ! {
    let at: Vec<String> = fault.at.iter().filter_map(|at| describe_own(*at)).collect();
    write_raw(false, &format!("told: {}\n{}\n", fault.what, at.join("\n")));
    exit_now(FAILED)
}

fn expect(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(FAILED), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn a_panic_is_told() {
    let output = alone("a_panic_is_told", || panic!("a thing that cannot be"));
    expect(&output, &["told: panicked at ", "a thing that cannot be"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_fault_is_told_with_where_it_happened() {
    #[inline(never)]
    #[expect(unsafe_code, reason = "faults")]
    fn reads_what_is_not_there() -> u8 {
        let address = std::hint::black_box(0x1234_5678_9000_usize);
        let byte: *const u8 = std::ptr::without_provenance(address);
        // SAFETY: it is not, which is what the test is about.
        unsafe { byte.read_volatile() }
    }
    let output = alone("a_fault_is_told_with_where_it_happened", || {
        std::hint::black_box(reads_what_is_not_there());
    });
    expect(
        &output,
        &[
            "told: it reads 0x123456789000, where it may not",
            "a_fault_is_told_with_where_it_happened::reads_what_is_not_there (",
            "src/processor/fault/own_tests.rs:",
            "own_tests::a_fault_is_told_with_where_it_happened::{{closure}} (",
        ],
    );
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a signal")]
fn raise(signal: i32) {
    // SAFETY: a signal for this thread.
    unsafe { libc::raise(signal) };
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_was_sent_is_told_as_that() {
    let name = "a_signal_that_was_sent_is_told_as_that";
    let output = alone(name, || raise(libc::SIGSEGV));
    expect(&output, &["told: it was sent the signal 11 (SIGSEGV)"]);
}

/// As the host's library does when it finds its heap spoiled.
#[cfg(target_os = "linux")]
#[test]
fn an_abort_is_told() {
    let output = alone("an_abort_is_told", || raise(libc::SIGABRT));
    expect(&output, &["told: it was sent the signal 6 (SIGABRT)"]);
}

/// Whoever reports may meet what was spoiled.
#[test]
fn what_is_ready_is_written_if_the_report_fails() {
    fn fails(_: &OwnFault) -> ! {
        keep_ready(false, "what is ready\n".to_owned());
        panic!("the report cannot be made")
    }
    let name = "processor::fault::own_tests::what_is_ready_is_written_if_the_report_fails";
    let output = test_process::alone(name, || {
        tell_own(fails);
        panic!("the first");
    });
    expect(&output, &["what is ready"]);
}
