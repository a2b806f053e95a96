//! Where the built drivers and the client are.
//!
//! Taken from the environment (`FSGLASS_SYS` and so on) if set, else
//! from where `./dev build` and `wdk-kit program` put them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A cargo profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Optimized; what is shipped.
    Release,
    /// With overflow checks and assertions.
    Debug,
}

impl Profile {
    /// Both, the shipped one first.
    pub const ALL: [Self; 2] = [Self::Release, Self::Debug];

    fn directory(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
        }
    }
}

/// The repository.
#[must_use]
pub fn repository() -> &'static Path {
    // The manifest directory is `tests` in it.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// The cargo that runs the tests.
#[must_use]
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// This workspace's `wdk-kit` command. It acts on the workspace that it is started in.
#[must_use]
pub fn kit() -> Command {
    let mut cargo = Command::new(cargo());
    cargo.args(["run", "--quiet", "--package", "wdk-kit", "--manifest-path"]);
    cargo.arg(repository().join("Cargo.toml")).arg("--");
    cargo
}

/// `fsglass.sys`; the release build may be named by `FSGLASS_SYS`.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn fsglass(profile: Profile) -> PathBuf {
    find("FSGLASS_SYS", "fsglass", profile)
}

/// `fsglass.sys` for ARM64, the release build; it may be named by `FSGLASS_ARM64_SYS`.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn fsglass_for_arm64() -> PathBuf {
    let named = std::env::var_os("FSGLASS_ARM64_SYS").map(PathBuf::from);
    let built = || repository().join("target/aarch64-pc-windows-msvc/release/fsglass.sys");
    let path = named.unwrap_or_else(built);
    assert!(
        path.is_file(),
        "{} does not exist; build it with `./dev build --target aarch64`, or name one with FSGLASS_ARM64_SYS",
        path.display()
    );
    path
}

/// `bad_drivers.sys`; the release build may be named by `BAD_DRIVERS_SYS`.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn bad_drivers(profile: Profile) -> PathBuf {
    find("BAD_DRIVERS_SYS", "bad_drivers", profile)
}

/// `completion_patterns.sys`, the example of `wdm`; the release build may be named by
/// `COMPLETION_PATTERNS_SYS`.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn completion_patterns(profile: Profile) -> PathBuf {
    find("COMPLETION_PATTERNS_SYS", "completion_patterns", profile)
}

/// `fsglass.exe`, the release build; it may be named by `FSGLASS_EXE`.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn client() -> PathBuf {
    let named = std::env::var_os("FSGLASS_EXE").map(PathBuf::from);
    let built = || {
        let directory = match cfg!(windows) {
            true => "target/release",
            false => "target/x86_64-pc-windows-gnu/release",
        };
        repository().join(directory).join("fsglass.exe")
    };
    let path = named.unwrap_or_else(built);
    assert!(
        path.is_file(),
        "{} does not exist; build it with `cargo make client`, or name one with FSGLASS_EXE",
        path.display()
    );
    path
}

fn find(variable: &str, name: &str, profile: Profile) -> PathBuf {
    let named = (profile == Profile::Release)
        .then(|| std::env::var_os(variable))
        .flatten();
    let path = named.map_or_else(|| built(name, profile), PathBuf::from);
    assert!(
        path.is_file(),
        "{} does not exist; build the drivers of the tests with `./dev build --all`, or name one with {variable}",
        path.display()
    );
    path
}

fn built(name: &str, profile: Profile) -> PathBuf {
    let directory = repository()
        .join("target/x86_64-pc-windows-msvc")
        .join(profile.directory());
    directory.join(name).with_extension("sys")
}
