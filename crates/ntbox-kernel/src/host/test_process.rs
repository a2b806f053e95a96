//! Tests that end their process, or change what is global to it, run in one
//! of their own.

#![expect(unsafe_code, reason = "the process ends in the middle of a test")]

use std::process::Output;

/// Tells the process which test it runs alone.
const ALONE: &str = "NTBOX_TEST_ALONE";

/// Runs `f` in a process of its own and returns what came out of it; exit code
/// 0 if `f` returned. `test` is the full name of the test that calls this.
pub(crate) fn alone(test: &str, f: impl FnOnce()) -> Output {
    if std::env::var(ALONE).is_ok_and(|alone| alone == test) {
        f();
        // As a program that returns from `main`.
        // SAFETY: the test process has nothing else to do.
        unsafe { libc::exit(0) };
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

/// True in Wine, where this test is left out, and says why.
pub(crate) fn is_left_out_in_wine(test: &str, why: &str) -> bool {
    let is_left_out = is_in_wine();
    if is_left_out {
        // Past what the test harness keeps to itself: nobody reads that of a test that passes.
        crate::host::write_raw(false, &format!("skipped: {test}: {why}\n"));
    }
    is_left_out
}

/// Wine's version of ntdll exports its name.
fn is_in_wine() -> bool {
    #[cfg(windows)]
    {
        use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
        // SAFETY: a terminated name of a library that every process has.
        let ntdll = unsafe { GetModuleHandleA(c"ntdll.dll".as_ptr().cast()) };
        // SAFETY: a loaded library and a terminated name.
        unsafe { GetProcAddress(ntdll, c"wine_get_version".as_ptr().cast()) }.is_some()
    }
    #[cfg(not(windows))]
    false
}
