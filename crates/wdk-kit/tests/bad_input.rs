//! What the command says where it cannot work: what is wrong, where, and what to do.
//!
//! Nothing is compiled here, and none of it needs what the kit builds with: each of these ends
//! before that is looked for.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;

use wdk_kit::files;

/// A driver's manifest, with the end that makes it one.
const DRIVER: &str = "[package]\nname = \"glass\"\nedition = \"2024\"\n[workspace]\n\
    [lib]\ncrate-type = [\"cdylib\"]\n[package.metadata.wdk.driver-model]\ndriver-type = \"WDM\"\n";

/// A workspace in a directory with a space in its name.
struct Given {
    directory: tempfile::TempDir,
    target: Option<PathBuf>,
}

impl Given {
    fn manifest(text: &str) -> Self {
        let given = Self {
            directory: tempfile::Builder::new()
                .prefix("bad input ")
                .tempdir()
                .unwrap(),
            target: None,
        };
        given.file("Cargo.toml", text).file("src/lib.rs", "");
        given
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        files::write_if_changed(&self.path(path), text).unwrap();
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// A lock file with wdk-build of a version.
    fn locked(&self, version: &str) -> &Self {
        let package = "[[package]]\nname = \"glass\"\nversion = \"0.0.0\"\n";
        let source = "registry+https://github.com/rust-lang/crates.io-index";
        let lock = format!(
            "version = 4\n{package}\n[[package]]\nname = \"wdk-build\"\nversion = \"{version}\"\n\
             source = \"{source}\"\n"
        );
        self.file("Cargo.lock", &lock)
    }

    /// What each command that builds says, which is the same for all.
    fn refusal(&self) -> String {
        let mut said: Vec<_> = ["build", "clippy"]
            .map(|command| self.said_by(&[command]))
            .into();
        said.dedup();
        assert_eq!(said.len(), 1, "{said:?}");
        said.remove(0)
    }

    /// What a command says when it fails, as it must.
    fn said_by(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wdk-kit"));
        command
            .args(arguments)
            .arg("--manifest-path")
            .arg(self.path("Cargo.toml"));
        command.env_remove("CARGO_TARGET_DIR");
        if let Some(target) = &self.target {
            command.env("CARGO_TARGET_DIR", target);
        }
        let output = command.current_dir("/").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }
}

/// Each part is in the text.
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn a_workspace_without_a_driver() {
    let given = Given::manifest("[package]\nname = \"plain\"\n");
    let text = given.refusal();
    assert_says(
        &text,
        &[
            "no driver in the workspace at",
            "bad input",
            "driver-type = \"WDM\"",
        ],
    );
    assert!(!given.has("Cargo.lock") && !given.has("target"));
}

#[test]
fn a_driver_that_builds_no_cdylib() {
    let given = Given::manifest(&DRIVER.replace("cdylib", "staticlib"));
    let text = given.refusal();
    assert_says(
        &text,
        &[
            "Cargo.toml",
            "builds no cdylib",
            "crate-type = [\"cdylib\"]",
        ],
    );
}

#[test]
fn a_name_that_is_not_a_drivers() {
    let given = Given::manifest(DRIVER);
    let text = given.said_by(&["build", "--package", "wood"]);
    assert_says(&text, &["no driver package \"wood\"", "there is: glass"]);
}

#[test]
fn drivers_of_a_framework() {
    let kmdf = "\"KMDF\"\nkmdf-version-major = 1\ntarget-kmdf-version-minor = 33";
    let given = Given::manifest(&DRIVER.replace("\"WDM\"", kmdf));
    assert_says(
        &given.refusal(),
        &[
            "glass",
            "KMDF 1.33",
            "wdf.h",
            "WdfDriverEntry.lib",
            "on Windows",
        ],
    );
    let umdf = "\"UMDF\"\numdf-version-major = 2\ntarget-umdf-version-minor = 33";
    let given = Given::manifest(&DRIVER.replace("\"WDM\"", umdf));
    assert_says(
        &given.refusal(),
        &[
            "glass",
            "UMDF 2.33",
            "wdf.h",
            "WdfDriverStubUm.lib",
            "on Windows",
        ],
    );
}

/// The lock file is made as cargo makes it, and is not blamed for what it lacks.
#[test]
fn no_lock_file_and_no_wdk_build_to_lock() {
    let given = Given::manifest(DRIVER);
    let text = given.refusal();
    assert_says(
        &text,
        &["Cargo.lock has no wdk-build", "[build-dependencies]"],
    );
    let lock = files::read_text(&given.path("Cargo.lock")).unwrap();
    assert!(lock.contains("name = \"glass\""), "{lock}");
}

#[test]
fn a_lock_file_that_is_none() {
    let given = Given::manifest(DRIVER);
    given.file("Cargo.lock", "<<<<<<< ours\n");
    assert_says(&given.refusal(), &["Cargo.lock", "cargo generate-lockfile"]);
}

#[test]
fn versions_of_wdk_build_that_cannot_be_adapted() {
    for version in ["0.3.0", "0.7.0"] {
        let given = Given::manifest(DRIVER);
        let text = given.locked(version).refusal();
        assert_says(
            &text,
            &[&format!("wdk-build {version} is locked"), "0.6, 0.5, 0.4"],
        );
    }
}

#[test]
fn target_directories_that_cannot_be_written() {
    // Nobody writes there, root neither.
    for target in ["/proc/nobody", "/dev/null/nothing"] {
        let given = Given {
            target: Some(PathBuf::from(target)),
            ..Given::manifest(DRIVER)
        };
        given.locked("0.6.0");
        let text = given.said_by(&["build"]);
        let directory = Path::new(target).join("x86_64-pc-windows-msvc/release");
        let directory = directory.display().to_string();
        assert_says(
            &text,
            &["cannot create the directory", &directory, "permissions"],
        );
    }
    let given = Given::manifest(DRIVER);
    given.locked("0.6.0").file("target", "in the way");
    assert_says(
        &given.said_by(&["build"]),
        &["cannot create the directory", "target"],
    );
}

#[test]
fn a_manifest_that_is_none() {
    let given = Given::manifest(DRIVER);
    for path in ["src", "src/lib.rs", "nowhere/Cargo.toml"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wdk-kit"));
        command
            .args(["build", "--manifest-path"])
            .arg(given.path(path));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert_says(
            &text,
            &["--manifest-path", path, "not the path of a Cargo.toml"],
        );
    }
    let broken = Given::manifest("[package]\nname = \n");
    assert_says(
        &broken.refusal(),
        &["cannot read the workspace", "Cargo.toml"],
    );
}
