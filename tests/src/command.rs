//! The `ntbox` command, as its users run it.

use crate::drivers::repository;
use crate::own_process;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// How a run of the command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if it was ended by a signal, or because it hung.
    pub code: Option<i32>,
    /// What it printed, on both channels.
    pub output: String,
    /// The command line, to run it again.
    pub line: String,
}

impl Ended {
    /// Ends the test unless the exit code is the expected one.
    ///
    /// # Panics
    /// With the command line and all that it printed.
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.line, self.output);
        self
    }

    /// Ends the test unless the output contains `part`.
    ///
    /// # Panics
    /// As [`Ended::expect_code`].
    pub fn expect_output(&self, part: &str) -> &Self {
        assert!(
            self.output.contains(part),
            "{:?} is missing in the output of\n{}\n{}",
            part,
            self.line,
            self.output
        );
        self
    }
}

/// The command with these arguments, to be run.
pub fn ntbox_command<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    static PROGRAM: LazyLock<PathBuf> =
        LazyLock::new(|| program("FSGLASS_NTBOX", "ntbox", "ntbox"));
    let mut command = Command::new(&*PROGRAM);
    // Reports name source files relative to where the command runs.
    command.current_dir(repository()).args(arguments);
    command
}

/// `fsglass` with these arguments, to be run.
pub fn fsglass_command<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    static PROGRAM: LazyLock<PathBuf> =
        LazyLock::new(|| program("FSGLASS_CLIENT", "fsglass-cli", "fsglass"));
    let mut command = Command::new(&*PROGRAM);
    command.args(arguments);
    command
}

/// Runs `ntbox` with these arguments.
#[must_use]
pub fn ntbox<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Ended {
    let mut command = ntbox_command(arguments);
    let line = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let (status, output) = own_process::run(&mut command);
    Ended {
        code: status.and_then(|status| status.code()),
        output,
        line,
    }
}

/// A program: the one that the environment variable names, or else the one of this workspace, which
/// is built first, so that it is never older than the library that the other tests use.
///
/// # Panics
/// If cargo cannot build it.
#[must_use]
pub fn program(variable: &str, package: &str, binary: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        return named.into();
    }
    // The test program is in `<target>/<profile>/deps`.
    let test = std::env::current_exe()
        .unwrap_or_else(|error| panic!("the test program cannot find itself: {error}"));
    let profile = test
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository()).args([
        "build",
        "--quiet",
        "--package",
        package,
        "--bin",
        binary,
    ]);
    cargo
        .arg("--target-dir")
        .arg(profile.parent().unwrap_or(profile));
    if profile.ends_with("release") {
        // As Makefile.toml has it for the tests: the drivers alone are optimised as a whole.
        cargo.args(["--config", "profile.release.lto='off'"]);
        cargo.args(["--config", "profile.release.codegen-units=16", "--release"]);
    }
    let built = cargo
        .output()
        .unwrap_or_else(|error| panic!("{cargo:?} cannot be started: {error}"));
    assert!(
        built.status.success(),
        "{cargo:?} failed:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    profile
        .join(binary)
        .with_extension(std::env::consts::EXE_EXTENSION)
}
