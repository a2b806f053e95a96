//! The compilers on this machine.
//!
//! A trait, so that the choice between them can be tested on machines that do
//! not exist.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// What is on the machine, as far as the choice depends on it.
pub trait Machine {
    /// The sysroot of the active rustc (`None`) or of a toolchain, if it exists.
    fn sysroot(&self, toolchain: Option<&str>) -> Option<PathBuf>;
    /// The names of rustup's toolchains.
    fn toolchains(&self) -> Vec<String>;
    /// The version that the rustc in a directory states, such as `1.96.0`.
    fn version(&self, binaries: &Path) -> Option<String>;
    /// Whether the library for a target is in a sysroot.
    fn has_target(&self, sysroot: &Path, target: &str) -> bool;
    /// Whether the library's source is in a sysroot.
    fn has_source(&self, sysroot: &Path) -> bool;
}

/// This machine.
#[derive(Debug, Clone, Copy)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn sysroot(&self, toolchain: Option<&str>) -> Option<PathBuf> {
        let mut command = Command::new("rustc");
        if let Some(toolchain) = toolchain {
            // The `+toolchain` form would be lost on a rustc that is not rustup's.
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        command.args(["--print", "sysroot"]);
        let text = process::capture(&mut command).ok()?;
        Some(PathBuf::from(text.trim_end()))
    }

    fn toolchains(&self) -> Vec<String> {
        let mut command = Command::new("rustup");
        let text = process::capture(command.args(["toolchain", "list", "--quiet"]));
        let text = text.unwrap_or_default();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn version(&self, binaries: &Path) -> Option<String> {
        if !binaries.join("cargo").exists() {
            return None;
        }
        let mut command = Command::new(binaries.join("rustc"));
        command.env_remove("LD_LIBRARY_PATH").arg("--version");
        let text = process::capture(&mut command).ok()?;
        text.split(' ').nth(1).map(str::to_owned)
    }

    fn has_target(&self, sysroot: &Path, target: &str) -> bool {
        let directory = sysroot.join("lib/rustlib").join(target).join("lib");
        fs::read_dir(directory).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libcore-") && name.ends_with(".rlib")
            })
        })
    }

    fn has_source(&self, sysroot: &Path) -> bool {
        sysroot
            .join("lib/rustlib/src/rust/library/core/src/lib.rs")
            .is_file()
    }
}
