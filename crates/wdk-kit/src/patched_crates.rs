//! wdk-build for a Linux host.
//!
//! wdk-build refuses to run anywhere but on Windows, for reasons that have nothing to do with what
//! it does in a build script: it can look for the kit in the registry, its environment helpers are
//! a `compile_error!` elsewhere, and its cargo-make support creates links through a Windows-only
//! function.
//!
//! The registry's own source is copied to `target/kit/crates/wdk-build`, with the edits of its
//! version in [`ADAPTABLE`] applied. Only the mirror (see [`crate::mirror`]) uses the copy. An edit
//! that does not find its place stops the build: see [`crate::source_edit`].

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::files;
use crate::layout::Layout;
use crate::lock_file::LockFile;
use crate::process;
use crate::source_edit::SourceEdit;

/// The crate that is edited.
pub const WDK_BUILD: &str = "wdk-build";

/// The versions of wdk-build that can be adapted, by the numbers in front that Cargo takes for
/// compatible, with their edits; the newest first.
const ADAPTABLE: [(&str, &[&[SourceEdit]]); 3] = [
    ("0.6", &[&EVERY_VERSION, &ENVIRONMENT]),
    ("0.5", &[&EVERY_VERSION, &ENVIRONMENT]),
    ("0.4", &[&EVERY_VERSION, &EXTENDED_PATHS]),
];

const EVERY_VERSION: [SourceEdit; 5] = [
    SourceEdit {
        file: "src/utils.rs",
        purpose: "the names of the registry come from the windows crate",
        find: "use windows::{\n",
        replace: "#[cfg(unix)]\nuse no_registry::{HKEY, HKEY_LOCAL_MACHINE, PCSTR, s};\n\
            #[cfg(unix)]\nmod no_registry {\n\
            pub type HKEY = ();\n\
            pub const HKEY_LOCAL_MACHINE: HKEY = ();\n\
            pub type PCSTR = &'static str;\n\
            macro_rules! text { ($text:literal) => { $text } }\n\
            pub(crate) use text as s;\n\
            }\n\
            #[cfg(windows)]\nuse windows::{\n",
        occurrences: 1,
    },
    SourceEdit {
        file: "src/utils.rs",
        purpose: "the kit is looked for in the registry",
        find: "fn read_registry_key_string_value(\n    key_handle: HKEY,",
        replace: "#[cfg(unix)]\n\
            fn read_registry_key_string_value(_: HKEY, _: PCSTR, _: PCSTR) -> Option<String> {\n\
            let nothing: Option<&CStr> = None;\n\
            nothing?.to_str().ok().map(str::to_owned)\n\
            }\n\
            #[cfg(windows)]\n\
            fn read_registry_key_string_value(\n    key_handle: HKEY,",
        occurrences: 1,
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
        purpose: "the windows crate is of no use on other hosts, and is many megabytes",
        find: "[dependencies.windows]\n",
        replace: "[package.metadata.windows]\n",
        occurrences: 1,
    },
    SourceEdit {
        file: "Cargo.toml",
        purpose: "the copy lies inside another workspace's target directory",
        find: "[package]\n",
        replace: "[workspace]\n\n[package]\n",
        occurrences: 1,
    },
];

const ENVIRONMENT: [SourceEdit; 2] = [
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
];

const EXTENDED_PATHS: [SourceEdit; 1] = [SourceEdit {
    file: "src/utils.rs",
    purpose: "a canonical path is taken to have the prefix \\\\?\\",
    find: "return Err(Self::Error::NoExtendedPathPrefix);",
    replace: "return Ok(self.as_ref().to_path_buf());",
    occurrences: 1,
}];

/// Records which source the copy was made of and with which edits.
const STAMP: &str = ".made-of";

/// The wdk-build of a workspace, which can be adapted.
#[derive(Debug, Clone)]
pub struct WdkBuild {
    version: String,
    /// The version of the `windows` crate that it depends on, if it does.
    windows: Option<String>,
    edits: Vec<SourceEdit>,
}

impl WdkBuild {
    /// The one in a lock file.
    ///
    /// # Errors
    /// When there is none that can be adapted.
    pub fn locked(lock: &LockFile) -> Result<Self> {
        let package = lock.published(WDK_BUILD)?;
        let version = package.version.clone();
        let is_of = |series: &str| version.strip_prefix(series)?.strip_prefix('.');
        let found = ADAPTABLE.iter().find(|(series, _)| is_of(series).is_some());
        let Some((_, edits)) = found else {
            bail!(
                "{WDK_BUILD} {version} is locked, and this wdk-kit can adapt the versions {}; \
                 depend on one of those, or on an older or newer wdk-kit",
                ADAPTABLE.map(|(series, _)| series).join(", ")
            );
        };
        Ok(Self {
            windows: lock.dependency(package, "windows").map(str::to_owned),
            edits: edits.concat(),
            version,
        })
    }

    /// Makes the edited copy, unless it is there already.
    ///
    /// `cargo` is the command to find the registry's source with: the registry may be a mirror or
    /// a vendored directory, and only cargo knows where it is.
    ///
    /// # Errors
    /// When the source cannot be had or an edit does not find its place.
    pub fn prepare(&self, layout: &Layout, cargo: impl Fn() -> Command) -> Result<()> {
        let Self { version, edits, .. } = self;
        let copy = layout.patched_crate(WDK_BUILD);
        let stamp = format!("{WDK_BUILD} {version} {edits:?}\n");
        if fs::read_to_string(copy.join(STAMP)).is_ok_and(|present| present == stamp) {
            return Ok(());
        }
        let source = self.locate(layout, cargo)?;
        files::empty_directory(&copy)?;
        edited_copy(&source, &copy, edits).with_context(|| {
            format!(
                "cannot adapt {WDK_BUILD} {version} to this host: its source is not the one the \
                 kit's edits were written for. Adapt ADAPTABLE in \
                 crates/wdk-kit/src/patched_crates.rs, or go back to the version of {WDK_BUILD} \
                 they fit"
            )
        })?;
        files::write_if_changed(&copy.join(STAMP), stamp)?;
        Ok(())
    }

    /// Finds where cargo keeps the source, fetching it if need be.
    ///
    /// A package of our own that depends on it alone is asked, not the workspace, with an empty
    /// stand-in for the `windows` crate: the real one is many megabytes that a Linux host has no
    /// use for.
    fn locate(&self, layout: &Layout, cargo: impl Fn() -> Command) -> Result<PathBuf> {
        let version = &self.version;
        let directory = layout.kit().join("locate");
        let mut manifest = format!(
            "[package]\nname = \"locate\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [lib]\npath = \"lib.rs\"\n[workspace]\n\
             [dependencies]\n{WDK_BUILD} = \"={version}\"\n"
        );
        if let Some(windows) = &self.windows {
            manifest += "[patch.crates-io]\nwindows = { path = \"windows\" }\n";
            let stand_in = format!(
                "[package]\nname = \"windows\"\nversion = \"{windows}\"\n[workspace]\n\
                 [features]\nWin32_Foundation = []\nWin32_System_Registry = []\n"
            );
            files::write_if_changed(&directory.join("windows/Cargo.toml"), stand_in)?;
            files::write_if_changed(&directory.join("windows/src/lib.rs"), "")?;
        }
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
            format!(
                "cannot fetch {WDK_BUILD} {version}; check the connection to the crate registry"
            )
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

/// Copies a package and applies the edits to the copy.
fn edited_copy(source: &Path, destination: &Path, edits: &[SourceEdit]) -> Result<()> {
    for edit in edits {
        if !source.join(edit.file).is_file() {
            bail!("{} is missing in {}", edit.file, source.display());
        }
    }
    for from in files::below(source)? {
        let relative = from.strip_prefix(source)?;
        // The package's own lock file means nothing in a dependency; hidden files are cargo's
        // records about the original.
        let is_hidden = |part: Component| part.as_os_str().to_string_lossy().starts_with('.');
        if relative == "Cargo.lock" || relative.components().any(is_hidden) {
            continue;
        }
        let mut edits = edits
            .iter()
            .filter(|edit| Path::new(edit.file) == relative)
            .peekable();
        let to = destination.join(relative);
        if edits.peek().is_none() {
            files::copy_if_changed(&from, &to)?;
            continue;
        }
        // The package may have been published from Windows.
        let original = files::read_text(&from)?.replace("\r\n", "\n");
        let edited = edits.try_fold(original, |text, edit| edit.apply(&text))?;
        files::write_if_changed(&to, edited)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTILS: &str = "use windows::{\n    HKEY,\n};\n\
        #[cfg(target_os = \"windows\")]\npub fn set_var() {}\n\
        #[cfg(not(target_os = \"windows\"))]\npub fn set_var() { compile_error!(\"no\"); }\n\
        #[cfg(target_os = \"windows\")]\npub fn remove_var() {}\n\
        #[cfg(not(target_os = \"windows\"))]\npub fn remove_var() { compile_error!(\"no\"); }\n\
        fn read_registry_key_string_value(\n    key_handle: HKEY,\n) {}\n";

    fn package(utils: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let call = "std::os::windows::fs::symlink_file(&a, &b)";
        for (file, text) in [
            (
                "Cargo.toml",
                "[package]\nname = \"wdk-build\"\n[dependencies.windows]\nversion = \"0.62.2\"\n"
                    .to_owned(),
            ),
            ("Cargo.lock", "locked".to_owned()),
            (".cargo_vcs_info.json", "about the original".to_owned()),
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
        let (_, newest) = ADAPTABLE[0];
        edited_copy(source.path(), destination.path(), &newest.concat())?;
        files::read_text(&destination.path().join(file))
    }

    fn locked(version: &str) -> Result<WdkBuild> {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "[[package]]\nname = \"{WDK_BUILD}\"\nversion = \"{version}\"\n\
             source = \"registry+https://github.com/rust-lang/crates.io-index\"\n"
        );
        files::write_if_changed(&directory.path().join("Cargo.lock"), text).unwrap();
        WdkBuild::locked(&LockFile::with(WDK_BUILD, directory.path()).unwrap())
    }

    #[test]
    fn the_copy_has_every_edit_and_everything_else() {
        let source = package(UTILS);
        let utils = copy_of(&source, "src/utils.rs").unwrap();
        assert_eq!(utils.matches("cfg(any(windows, unix))").count(), 2);
        assert_eq!(utils.matches("cfg(not(any(windows, unix)))").count(), 2);
        assert!(!utils.contains("target_os"));
        assert!(utils.contains("#[cfg(windows)]\nuse windows::{"));
        let links = copy_of(&source, "src/cargo_make.rs").unwrap();
        assert_eq!(links.matches("unix::fs::symlink(").count(), 2);
        let manifest = copy_of(&source, "Cargo.toml").unwrap();
        assert!(manifest.starts_with("[workspace]") && !manifest.contains("dependencies"));
        assert_eq!(copy_of(&source, "src/deep/other.rs").unwrap(), "untouched");
        assert!(copy_of(&source, "Cargo.lock").is_err());
        assert!(copy_of(&source, ".cargo_vcs_info.json").is_err());
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

    #[test]
    fn each_version_has_its_edits_and_others_are_refused_with_those_that_have() {
        for version in ["0.6.0", "0.6.13", "0.5.1", "0.4.0"] {
            assert!(locked(version).is_ok(), "{version}");
        }
        assert_ne!(
            locked("0.6.0").unwrap().edits,
            locked("0.4.0").unwrap().edits
        );
        for version in ["0.3.0", "0.60.0", "0.7.0", "1.0.0"] {
            let text = locked(version).unwrap_err().to_string();
            assert!(
                text.contains(version) && text.contains("0.6, 0.5, 0.4"),
                "{text}"
            );
        }
    }
}
