//! However the command ends, none of its temporary directories stays behind.

#![cfg(unix)]

use fsglass_tests::command::ntbox_command;
use fsglass_tests::drivers::{self, Profile};
use std::fs::{self, DirEntry};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// The command with `bad_drivers`, and a place for its temporary directories.
fn command(name: &str, more: &[&str]) -> (Command, TempDir) {
    let place = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
    let driver = drivers::bad_drivers(Profile::Release);
    let mut command = ntbox_command([name, "--driver"]);
    command.arg(driver).args(more).env("TMPDIR", place.path());
    (command, place)
}

/// What is in it.
fn left_in(place: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The command ends with `code`, and nothing is left.
fn leaves_nothing(name: &str, more: &[&str], code: i32) {
    let (mut command, place) = command(name, more);
    let ended = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert_eq!(ended.status.code(), Some(code), "{command:?}: {ended:?}");
    let left = left_in(place.path());
    assert!(left.is_empty(), "{command:?}: {left:?}");
}

#[test]
fn a_run_that_ends_well_leaves_nothing() {
    leaves_nothing("run", &["--ops", "200"], 0);
    leaves_nothing("diff", &["--ops", "200", "--rounds", "1", "--once"], 0);
}

#[test]
fn a_violation_leaves_nothing() {
    let pending = [
        "--setting",
        "Mistake=pending-not-propagated",
        "--ops",
        "2000",
    ];
    leaves_nothing("run", &pending, 1);
    leaves_nothing("diff", &[&pending[..], &["--rounds", "1"]].concat(), 1);
    leaves_nothing("demo", &["--setting", "Mistake=pending-not-propagated"], 1);
    leaves_nothing("run", &[&pending[..], &["--every-failure"]].concat(), 1);
}

/// A fault of the driver, one of ntbox, and a run in which nothing moves any more.
#[test]
fn what_ends_in_the_middle_leaves_nothing() {
    let few = ["--ops", "200"];
    leaves_nothing(
        "run",
        &[&few[..], &["--setting", "Mistake=page-fault"]].concat(),
        1,
    );
    let scribbles = ["--setting", "Stuck=close-scribbles", "--seed", "5"];
    leaves_nothing("run", &[&few[..], &scribbles].concat(), 3);
    let stuck = ["--setting", "Stuck=read-waits", "--patience", "2"];
    leaves_nothing("run", &[&few[..], &stuck].concat(), 1);
}

/// A process that is ended if the test is.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // One that has ended already needs no more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who ends the command by a signal sees that it was that, and finds nothing.
#[test]
fn a_signal_leaves_nothing() {
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let (named, place) = command("run", &["--ops", "100000000"]);
        // Whoever runs the tests may ignore signals, and what it starts does so, too.
        let mut command = Command::new("env");
        command
            .arg(format!("--default-signal={signal}"))
            .arg(named.get_program())
            .args(named.get_args())
            .env("TMPDIR", place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut child = Ended(child);
        // It works: there is something to leave.
        let in_directory = |path| fs::read_dir(path).into_iter().flatten().flatten();
        let has_files = |volumes: DirEntry| {
            let disk = volumes.path().join("C");
            in_directory(disk).next().is_some()
        };
        while !in_directory(place.path().to_owned()).any(has_files) {
            sleep(Duration::from_millis(20));
        }
        let id = child.0.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "kill -s {signal}");
        let status = child
            .0
            .wait()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert_eq!(status.signal(), Some(number), "{status}");
        let left = left_in(place.path());
        assert!(left.is_empty(), "{signal}: {left:?}");
    }
}
