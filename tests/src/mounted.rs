//! A volume of ntbox as a directory of the host (`ntbox mount`), for programs that nobody here wrote.

use crate::command;
use crate::own_process::start;
use serde_json::Value;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long something is waited for that takes no time, also on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// Says that there is no FUSE here, so that these tests do nothing: for machines that cannot have it.
const WITHOUT: &str = "FSGLASS_WITHOUT_FUSE";

/// Whether a test that mounts is to do nothing: where somebody has said so, or the machine has no FUSE. Where it has one
/// that cannot be used, the test fails, and says what to do.
///
/// # Panics
/// As described.
#[must_use]
pub fn is_left_out() -> bool {
    if std::env::var_os(WITHOUT).is_some() {
        println!("skipped: {WITHOUT} is set");
        return true;
    }
    let device = File::options().read(true).write(true).open("/dev/fuse");
    if let Err(error) = device {
        if error.kind() == ErrorKind::NotFound {
            println!("skipped: there is no /dev/fuse");
            return true;
        }
        panic!(
            "/dev/fuse: {error}; the tests that mount need FUSE and the rights of root (in a container: --device \
             /dev/fuse --cap-add SYS_ADMIN), or {WITHOUT}=1, which leaves them out"
        );
    }
    false
}

/// A mount, and the process that serves it.
pub struct Mounted {
    child: Child,
    base: TempDir,
    line: String,
}

/// How a mount ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output: the report.
    pub report: String,
    /// Standard error.
    pub messages: String,
    /// The command line, to run it again.
    pub line: String,
}

impl Ended {
    /// Ends the test unless the exit code is the expected one.
    ///
    /// # Panics
    /// With all that was printed.
    pub fn expect_code(&self, code: i32) -> &Self {
        let Self {
            report, messages, ..
        } = self;
        assert_eq!(self.code, Some(code), "{}\n{messages}\n{report}", self.line);
        self
    }

    /// The report, where it is JSON.
    ///
    /// # Panics
    /// If it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.report)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.messages, self.report))
    }
}

impl Mounted {
    /// Mounts a new directory with these arguments.
    ///
    /// # Panics
    /// If it does not get that far.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        Self::of(new_base(), arguments)
    }

    /// Mounts the directory of a mount that was there before.
    ///
    /// # Panics
    /// As [`Mounted::start`].
    #[must_use]
    pub fn of(base: TempDir, arguments: &[&str]) -> Self {
        let places = ["directory", "mount"].map(|name| base.path().join(name));
        let mut command = command::ntbox_command(["mount"].iter().chain(arguments));
        command.args(&places);
        let line = format!("{command:?}");
        let channel = |name: &str| {
            File::create(base.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        command
            .stdout(channel("report"))
            .stderr(channel("messages"));
        let child = start(|| command.spawn()).unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut mounted = Self { child, base, line };
        mounted.await_message("is served at");
        mounted
    }

    /// Where programs work.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        self.base.path().join("mount")
    }

    /// The directory of the host below.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.base.path().join("directory")
    }

    /// The process that serves it.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    fn read(&self, channel: &str) -> String {
        fs::read_to_string(self.base.path().join(channel)).unwrap_or_default()
    }

    /// What it has said so far on standard error.
    #[must_use]
    pub fn messages(&self) -> String {
        self.read("messages")
    }

    /// Waits until it has said something with `part` in it.
    ///
    /// # Panics
    /// If it ends before, or does not.
    pub fn await_message(&mut self, part: &str) -> String {
        let mut found = None;
        wait_until(|| {
            let messages = self.read("messages");
            found = messages
                .lines()
                .find(|line| line.contains(part))
                .map(str::to_owned);
            let ended = !matches!(self.child.try_wait(), Ok(None));
            found.is_some() || ended
        });
        found.unwrap_or_else(|| {
            panic!(
                "it did not say {part:?}: {}\n{}\n{}",
                self.line,
                self.read("messages"),
                self.read("report")
            )
        })
    }

    /// Sends it a signal (`-INT`).
    ///
    /// # Panics
    /// If that fails.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Unmounts it and waits until it has ended.
    ///
    /// # Panics
    /// If somebody uses it.
    #[must_use]
    pub fn unmount(self) -> Ended {
        self.unmounted().0
    }

    /// Unmounts it and waits until it has ended: what it said, and its directories.
    ///
    /// # Panics
    /// If somebody uses it.
    #[must_use]
    pub fn unmounted(self) -> (Ended, TempDir) {
        // What another test starts has the files of this one open for a moment.
        wait_until(|| {
            let output = run(Command::new("umount").arg(self.place()));
            output.status.success() || !is_mounted(&self.place())
        });
        self.ended_and_left()
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn ended(self) -> Ended {
        self.ended_and_left().0
    }

    /// Waits until it has ended: what it said, and its directories.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn ended_and_left(mut self) -> (Ended, TempDir) {
        let mut code = None;
        wait_until(|| match self.child.try_wait() {
            Ok(None) => false,
            Ok(Some(status)) => {
                code = status.code();
                true
            }
            Err(error) => panic!("{error}"),
        });
        let ended = Ended {
            code,
            report: self.read("report"),
            messages: self.read("messages"),
            line: self.line.clone(),
        };
        let base = std::mem::replace(&mut self.base, new_base());
        (ended, base)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where it has ended, there is nothing to kill, and nothing is mounted.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
        if is_mounted(&self.place()) {
            let _gone = Command::new("umount").arg("-l").arg(self.place()).output();
        }
    }
}

/// A directory with one to serve and one to serve it at. Others than root can look into it.
fn new_base() -> TempDir {
    let base = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
    for name in ["directory", "mount"] {
        fs::create_dir(base.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let mode = run(Command::new("chmod").arg("755").arg(base.path()));
    assert!(mode.status.success(), "{mode:?}");
    base
}

/// Whether something is mounted there.
#[must_use]
pub fn is_mounted(place: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let place = place.display().to_string();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points.into_iter().any(|point| point == place)
}

/// Waits until `done` says so.
///
/// # Panics
/// If it never does.
pub fn wait_until(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "it was waited for in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a program to its end.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
