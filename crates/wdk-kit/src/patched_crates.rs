//! wdk-build for a Linux host.
//!
//! wdk-build 0.6 refuses to run anywhere but on Windows, for three reasons that
//! have nothing to do with what it does in a build script: it reads the registry
//! to find the kit, its environment helpers are a `compile_error!` elsewhere, and
//! its cargo-make support creates links through a Windows-only function.
//!
//! The registry's own source is copied to `target/kit/crates/wdk-build`, with
//! [`EDITS`] applied, next to a stand-in for the `windows` crate. Only the mirror
//! (see [`crate::mirror`]) uses them. An edit that no longer finds its place
//! stops the build: see [`crate::source_edit`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::files;
use crate::layout::Layout;
use crate::process;
use crate::source_edit::SourceEdit;
use crate::workspace::locked_version;

/// The crate that is edited.
const WDK_BUILD: &str = "wdk-build";

/// What wdk-build needs to compile and run on Linux.
const EDITS: [SourceEdit; 4] = [
    SourceEdit {
        file: "src/utils.rs",
        purpose: "set_var and remove_var are defined for Windows hosts only",
        find: "#[cfg(target_os = \"windows\")]\npub fn ",
        replace: "#[cfg(any(windows, unix))]\npub fn ",
        occurrences: 2,
    },
    SourceEdit {
        file: "src/utils.rs",
        purpose: "set_var and remove_var are a compile_error! on other hosts",
        find: "#[cfg(not(target_os = \"windows\"))]\npub fn ",
        replace: "#[cfg(not(any(windows, unix)))]\npub fn ",
        occurrences: 2,
    },
    SourceEdit {
        file: "src/cargo_make.rs",
        purpose: "symbolic links are made through a function of Windows",
        find: "std::os::windows::fs::symlink_file(",
        replace: "std::os::unix::fs::symlink(",
        occurrences: 2,
    },
    SourceEdit {
        file: "Cargo.toml",
        purpose: "the copy lies inside another workspace's target directory",
        find: "[package]\n",
        replace: "[workspace]\n\n[package]\n",
        occurrences: 1,
    },
];

/// The stand-in for the `windows` crate.
const WINDOWS_MANIFEST: &str = include_str!("../kit/windows/manifest.toml");
const WINDOWS_SOURCE: &str = include_str!("../kit/windows/lib.rs");

/// Records which source the copy was made of and with which edits.
const STAMP: &str = ".made-of";

/// Makes both crates, unless they are there already.
///
/// `cargo` is the command to find the registry's source with: the registry may
/// be a mirror or a vendored directory, and only cargo knows where it is.
///
/// # Errors
/// When the source cannot be had or an edit does not find its place.
pub fn prepare(layout: &Layout, cargo: impl Fn() -> Command) -> Result<()> {
    let windows = layout.patched_crate("windows");
    let version = locked_version(layout.root(), "windows")?;
    let manifest = WINDOWS_MANIFEST.replace("VERSION", &version);
    files::write_if_changed(&windows.join("Cargo.toml"), manifest)?;
    files::write_if_changed(&windows.join("src/lib.rs"), WINDOWS_SOURCE)?;

    let version = locked_version(layout.root(), WDK_BUILD)?;
    let stamp_path = layout.patched_crate(WDK_BUILD).join(STAMP);
    let stamp = format!("{WDK_BUILD} {version} {EDITS:?}\n");
    if fs::read_to_string(&stamp_path).is_ok_and(|present| present == stamp) {
        return Ok(());
    }
    let source = locate(layout, &version, cargo)?;
    edited_copy(&source, &layout.patched_crate(WDK_BUILD)).with_context(|| {
        format!(
            "cannot adapt {WDK_BUILD} {version} to this host: its source is not the one the \
             kit's edits were written for. Adapt EDITS in crates/wdk-kit/src/patched_crates.rs, \
             or go back to the version of {WDK_BUILD} they fit"
        )
    })?;
    files::write_if_changed(&stamp_path, stamp)?;
    Ok(())
}

/// The part of `cargo metadata` that is needed.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

/// Finds where cargo keeps the source of wdk-build, fetching it if need be.
///
/// A package of our own that depends on it alone is asked, not the workspace:
/// the workspace's graph contains the real `windows` crates, many megabytes that
/// a Linux host has no use for.
fn locate(layout: &Layout, version: &str, cargo: impl Fn() -> Command) -> Result<PathBuf> {
    let directory = layout.kit().join("locate");
    let manifest = format!(
        "[package]\nname = \"locate\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [lib]\npath = \"lib.rs\"\n\
         [dependencies]\n{WDK_BUILD} = \"={version}\"\n\
         [patch.crates-io]\nwindows = {{ path = {:?} }}\n\
         [workspace]\n",
        layout.patched_crate("windows")
    );
    files::write_if_changed(&directory.join("Cargo.toml"), manifest)?;
    files::write_if_changed(&directory.join("lib.rs"), "")?;
    // Seeded with the workspace's versions, so that nothing else is fetched.
    files::copy_if_changed(
        &layout.root().join("Cargo.lock"),
        &directory.join("Cargo.lock"),
    )?;

    let mut command = cargo();
    command
        .current_dir(&directory)
        .args(["metadata", "--format-version", "1"]);
    let text = process::capture(&mut command).with_context(|| {
        format!("cannot fetch {WDK_BUILD} {version}; check the connection to the crate registry")
    })?;
    let metadata: Metadata =
        serde_json::from_str(&text).context("cannot make sense of `cargo metadata`")?;
    let package = metadata
        .packages
        .into_iter()
        .find(|package| package.name == WDK_BUILD)
        .with_context(|| format!("`cargo metadata` does not mention {WDK_BUILD}"))?;
    let directory = package.manifest_path.parent().map(Path::to_path_buf);
    directory.context("a manifest without a directory")
}

/// Copies a package and applies the edits to the copy.
fn edited_copy(source: &Path, destination: &Path) -> Result<()> {
    for edit in &EDITS {
        if !source.join(edit.file).is_file() {
            bail!("{} is missing in {}", edit.file, source.display());
        }
    }
    copy_directory(source, destination, Path::new(""))
}

fn copy_directory(source: &Path, destination: &Path, relative: &Path) -> Result<()> {
    let directory = source.join(relative);
    let entries = fs::read_dir(&directory)
        .with_context(|| format!("cannot read the directory {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // The package's own lock file means nothing in a dependency; hidden
        // files are cargo's records about the original.
        if name == "Cargo.lock" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        let relative = relative.join(&name);
        if entry.file_type()?.is_dir() {
            copy_directory(source, destination, &relative)?;
        } else {
            copy_file(source, destination, &relative)?;
        }
    }
    Ok(())
}

fn copy_file(source: &Path, destination: &Path, relative: &Path) -> Result<()> {
    let mut edits = EDITS
        .iter()
        .filter(|edit| Path::new(edit.file) == relative)
        .peekable();
    let from = source.join(relative);
    let to = destination.join(relative);
    if edits.peek().is_none() {
        files::copy_if_changed(&from, &to)?;
        return Ok(());
    }
    // The package may have been published from Windows.
    let original = files::read_text(&from)?.replace("\r\n", "\n");
    let edited = edits.try_fold(original, |text, edit| edit.apply(&text))?;
    files::write_if_changed(&to, edited)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTILS: &str = "#[cfg(target_os = \"windows\")]\npub fn set_var() {}\n\
        #[cfg(not(target_os = \"windows\"))]\npub fn set_var() { compile_error!(\"no\"); }\n\
        #[cfg(target_os = \"windows\")]\npub fn remove_var() {}\n\
        #[cfg(not(target_os = \"windows\"))]\npub fn remove_var() { compile_error!(\"no\"); }\n";

    fn package(utils: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let call = "std::os::windows::fs::symlink_file(&a, &b)";
        for (file, text) in [
            ("Cargo.toml", "[package]\nname = \"wdk-build\"\n".to_owned()),
            ("Cargo.lock", "locked".to_owned()),
            ("src/utils.rs", utils.to_owned()),
            ("src/cargo_make.rs", format!("{call};\n{call};\n")),
            ("src/deep/other.rs", "untouched".to_owned()),
        ] {
            files::write_if_changed(&directory.path().join(file), text).unwrap();
        }
        directory
    }

    fn copy_of(source: &tempfile::TempDir, file: &str) -> Result<String> {
        let destination = tempfile::tempdir().unwrap();
        edited_copy(source.path(), destination.path())?;
        files::read_text(&destination.path().join(file))
    }

    #[test]
    fn the_copy_has_every_edit_and_everything_else() {
        let source = package(UTILS);
        let utils = copy_of(&source, "src/utils.rs").unwrap();
        assert_eq!(utils.matches("cfg(any(windows, unix))").count(), 2);
        assert_eq!(utils.matches("cfg(not(any(windows, unix)))").count(), 2);
        assert!(!utils.contains("target_os"));
        let links = copy_of(&source, "src/cargo_make.rs").unwrap();
        assert_eq!(links.matches("unix::fs::symlink(").count(), 2);
        assert!(
            copy_of(&source, "Cargo.toml")
                .unwrap()
                .starts_with("[workspace]")
        );
        assert_eq!(copy_of(&source, "src/deep/other.rs").unwrap(), "untouched");
        assert!(copy_of(&source, "Cargo.lock").is_err());
    }

    #[test]
    fn line_ends_of_windows_do_not_matter() {
        let source = package(&UTILS.replace('\n', "\r\n"));
        assert!(copy_of(&source, "src/utils.rs").is_ok());
    }

    #[test]
    fn an_edit_without_its_place_is_named_with_its_file() {
        let source = package(&UTILS.replacen("target_os", "target_family", 1));
        let text = format!("{:#}", copy_of(&source, "src/utils.rs").unwrap_err());
        assert!(
            text.contains("src/utils.rs: expected 2 time(s), found 1"),
            "{text}"
        );
    }

    #[test]
    fn a_file_that_is_gone_is_named() {
        let source = package(UTILS);
        fs::remove_file(source.path().join("src/cargo_make.rs")).unwrap();
        let text = copy_of(&source, "src/utils.rs").unwrap_err().to_string();
        assert!(text.contains("src/cargo_make.rs is missing"), "{text}");
    }
}
