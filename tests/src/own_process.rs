//! A test in a process of its own.
//!
//! ntbox is one kernel per process, and a violation ends it; so each scenario
//! runs in a child: the test runs itself again, alone, once for each build of
//! the driver. The child's output is shown when it fails.

use crate::drivers::{self, Profile};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Tells the child which driver it is to run.
const DRIVER: &str = "FSGLASS_TEST_DRIVER";

/// What a child prints when it has come to the end of its scenario. Without it, a child that
/// found no such test would pass.
const FINISHED: &str = "the scenario has come to its end";

/// After this a scenario counts as one that hangs: many times what any takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_mins(15);
/// How often a program is tried to be started.
const TRIES: usize = 5;

/// Runs `scenario` with the shipped and with the debug build of `fsglass.sys`, each in a process of
/// its own. To be called once, directly from a test function.
///
/// # Panics
/// If a child does not come to the end of the scenario, with all that it printed.
pub fn in_own_process(scenario: impl FnOnce(&Path)) {
    with_drivers(&[drivers::fsglass, drivers::fsglass], scenario);
}

/// As [`in_own_process`], with the drivers that `find` names.
///
/// # Panics
/// As there.
pub fn with_drivers(find: &[fn(Profile) -> PathBuf; 2], scenario: impl FnOnce(&Path)) {
    if let Some(driver) = std::env::var_os(DRIVER) {
        scenario(Path::new(&driver));
        println!("{FINISHED}");
        return;
    }
    let test = test_of(std::any::type_name_of_val(&scenario));
    for (profile, find) in Profile::ALL.into_iter().zip(find) {
        let driver = find(profile);
        let mut child = Command::new(this_program());
        child
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(DRIVER, &driver);
        let (status, output) = run(&mut child);
        let ended = status.is_some_and(|status| status.success()) && output.contains(FINISHED);
        assert!(ended, "{}", failure(test, &driver, status, &output));
    }
}

/// The test that a closure is in: `file::module::test::{{closure}}` without the file and the closure.
fn test_of(closure: &str) -> &str {
    let function = closure.split("::{{closure}}").next().unwrap_or(closure);
    function
        .split_once("::")
        .map_or(function, |(_file, test)| test)
}

fn this_program() -> PathBuf {
    std::env::current_exe()
        .unwrap_or_else(|error| panic!("the test program cannot find itself: {error}"))
}

fn failure(test: &str, driver: &Path, status: Option<ExitStatus>, output: &str) -> String {
    let mut text = match status {
        Some(status) => format!(
            "the scenario {test} failed with {} ({status}):\n",
            driver.display()
        ),
        None => format!(
            "the scenario {test} hangs with {}; it was ended:\n",
            driver.display()
        ),
    };
    text.push_str(output);
    let program = this_program();
    let _always_fits = write!(
        text,
        "\nto run it alone: {DRIVER}={} {} --exact {test} --nocapture",
        driver.display(),
        program.display()
    );
    text
}

/// Starts a program. Wine, where it is busy, does not now and then, with an error that Windows has not for that: it
/// is tried again.
///
/// # Errors
/// What the last try has ended with.
pub fn start<T>(mut spawn: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    /// ERROR_INTERNAL_ERROR.
    const NOT_STARTED: i32 = 1359;
    for _ in 1..TRIES {
        match spawn() {
            Err(error) if error.raw_os_error() == Some(NOT_STARTED) => {
                std::thread::sleep(Duration::from_millis(100));
            }
            started => return started,
        }
    }
    spawn()
}

/// Runs a command to its end: its exit status, or `None` if it was ended because it hung, and what
/// it printed on both channels, in the order of printing.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &mut Command) -> (Option<ExitStatus>, String) {
    // Both channels go to one file: pipes would have to be read while the child runs.
    let file =
        tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("no temporary file: {error}"));
    // One handle, duplicated: both channels then share one position in the file.
    let output = file
        .as_file()
        .try_clone()
        .unwrap_or_else(|error| panic!("no handle: {error}"));
    let errors = file
        .as_file()
        .try_clone()
        .unwrap_or_else(|error| panic!("no handle: {error}"));
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let mut child = start(|| command.spawn())
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => {
                let _already_ended = child.kill();
                let _status_of_killed = child.wait();
                break None;
            }
        }
    };
    let text = std::fs::read(file.path()).unwrap_or_default();
    (status, String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_started_again_where_wine_did_not() {
        let tried = |error: i32, times: usize| {
            let mut tries = 0;
            let started = start(|| {
                tries += 1;
                if tries <= times {
                    return Err(io::Error::from_raw_os_error(error));
                }
                Ok(())
            });
            (started.is_ok(), tries)
        };
        assert_eq!(tried(1359, 0), (true, 1));
        assert_eq!(tried(1359, 2), (true, 3));
        assert_eq!(tried(2, 1), (false, 1));
        assert_eq!(tried(1359, TRIES), (false, TRIES));
    }

    #[test]
    fn a_test_is_named_by_its_closure() {
        assert_eq!(test_of("attach::once::{{closure}}"), "once");
        assert_eq!(
            test_of("attach::race::once::{{closure}}::{{closure}}"),
            "race::once"
        );
        let here = test_of(std::any::type_name_of_val(&|| ()));
        assert_eq!(here, "own_process::tests::a_test_is_named_by_its_closure");
    }

    #[cfg(unix)]
    #[test]
    fn both_channels_and_the_status_arrive() {
        let (status, output) =
            run(Command::new("sh").args(["-c", "echo one; echo two >&2; echo three; exit 7"]));
        assert_eq!(status.and_then(|status| status.code()), Some(7));
        assert_eq!(output, "one\ntwo\nthree\n");
    }
}
