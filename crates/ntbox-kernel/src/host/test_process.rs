//! Tests that end their process, or change what is global to it, run in one
//! of their own.

use std::process::Output;

/// Tells the process which test it runs alone.
const ALONE: &str = "NTBOX_TEST_ALONE";

/// Runs `f` in a process of its own and returns what came out of it; exit code
/// 0 if `f` returned. `test` is the full name of the test that calls this.
pub(crate) fn alone(test: &str, f: impl FnOnce()) -> Output {
    if std::env::var(ALONE).is_ok_and(|alone| alone == test) {
        f();
        std::process::exit(0);
    }
    let this = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new(this);
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ALONE, test);
    command.output().unwrap()
}

/// As [`alone`], for an `f` that checks by itself and returns.
pub(crate) fn passes_alone(test: &str, f: impl FnOnce()) {
    let output = alone(test, f);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
