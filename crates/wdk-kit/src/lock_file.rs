//! The workspace's Cargo.lock, as far as the kit goes by it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::files;
use crate::process;

/// How Cargo.lock writes crates.io.
const CRATES_IO: [&str; 2] = [
    "registry+https://github.com/rust-lang/crates.io-index",
    "sparse+https://index.crates.io/",
];

/// A lock file, read.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    packages: Vec<Locked>,
}

#[derive(Deserialize)]
struct Contents {
    #[serde(default)]
    package: Vec<Locked>,
}

/// A package with the version that is locked.
#[derive(Debug, Clone, Deserialize)]
pub struct Locked {
    name: String,
    /// Its version.
    pub version: String,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl LockFile {
    /// The lock file of a workspace with `package` in it. Cargo makes one where there is none, and
    /// completes one that is older than a manifest.
    ///
    /// # Errors
    /// With cargo's own words when it cannot be made, and when it cannot be read.
    pub fn with(package: &str, root: &Path) -> Result<Self> {
        let path = root.join("Cargo.lock");
        if path.exists() {
            let present = Self::read(&path)?;
            if present.named(package).next().is_some() {
                return Ok(present);
            }
        }
        // The others keep their versions.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut update = Command::new(cargo);
        update.current_dir(root).args(["update", "--workspace"]);
        process::capture(&mut update)
            .with_context(|| format!("cannot make or complete {}", path.display()))?;
        Self::read(&path)
    }

    fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path)?;
        let contents: Contents = toml::from_str(&text).with_context(|| {
            format!(
                "cannot make sense of {}; `cargo generate-lockfile` makes it anew",
                path.display()
            )
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            packages: contents.package,
        })
    }

    /// The one package of that name, which crates.io has published.
    ///
    /// # Errors
    /// When there is none, or more than one, or it comes from elsewhere.
    pub fn published(&self, name: &str) -> Result<&Locked> {
        let shown = self.path.display();
        let found: Vec<_> = self.named(name).collect();
        let package = match *found.as_slice() {
            [package] => package,
            [] => bail!(
                "{shown} has no {name}: a driver has it in [build-dependencies], and calls \
                 wdk_build::configure_wdk_binary_build() in its build.rs"
            ),
            _ => {
                let mut versions = String::new();
                for package in &found {
                    // Writing to a string cannot fail.
                    let _ = write!(versions, " {}", package.version);
                }
                bail!(
                    "{shown} has more than one {name}, which allows only one:{versions}; \
                     `cargo tree --target all --invert {name}@VERSION` says who wants each"
                )
            }
        };
        match package.source.as_deref() {
            Some(source) if CRATES_IO.contains(&source) => Ok(package),
            source => bail!(
                "{shown} has {name} {} from {}; the kit adapts the one that crates.io publishes, \
                 `{name} = \"{}\"` in [build-dependencies]",
                package.version,
                source.unwrap_or("a path"),
                package.version
            ),
        }
    }

    /// The version that a package's dependency of that name is locked at.
    #[must_use]
    pub fn dependency(&self, package: &Locked, name: &str) -> Option<&str> {
        // "name", or "name version" where there are several.
        let dependency = package.dependencies.iter().find_map(|dependency| {
            let mut words = dependency.split(' ');
            (words.next() == Some(name)).then(|| words.next())
        })?;
        match dependency {
            Some(_) => dependency.and_then(|version| {
                let mut named = self.named(name);
                Some(&*named.find(|package| package.version == version)?.version)
            }),
            None => self.named(name).next().map(|package| &*package.version),
        }
    }

    fn named<'l>(&'l self, name: &str) -> impl Iterator<Item = &'l Locked> {
        self.packages
            .iter()
            .filter(move |package| package.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &str) -> LockFile {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Cargo.lock");
        files::write_if_changed(&path, packages).unwrap();
        LockFile::read(&path).unwrap()
    }

    fn package(name: &str, version: &str, source: &str, dependencies: &str) -> String {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\n\
             dependencies = [{dependencies}]\n"
        )
    }

    #[test]
    fn the_dependency_is_the_packages_own() {
        let windows = ["0.58.0", "0.62.2"].map(|version| package("windows", version, "", ""));
        let user = |named: &str| package("wdk-build", "0.6.0", CRATES_IO[0], named);
        for (text, expected) in [
            (
                windows.concat() + &user("\"windows 0.62.2\""),
                Some("0.62.2"),
            ),
            (
                windows.concat() + &user("\"windows 0.58.0\""),
                Some("0.58.0"),
            ),
            (windows[0].clone() + &user("\"windows\""), Some("0.58.0")),
            (windows.concat() + &user("\"windows-core\""), None),
        ] {
            let lock = lock(&text);
            let package = lock.published("wdk-build").unwrap();
            assert_eq!(lock.dependency(package, "windows"), expected);
        }
    }

    #[test]
    fn none_and_two_and_a_strange_one_are_refused_with_what_to_do() {
        let published = |version| package("wdk-build", version, CRATES_IO[1], "");
        assert_eq!(
            lock(&published("0.6.0"))
                .published("wdk-build")
                .unwrap()
                .version,
            "0.6.0"
        );
        for (text, expected) in [
            (String::new(), "[build-dependencies]"),
            (published("0.6.0") + &published("0.5.1"), "0.6.0 0.5.1"),
            (
                package("wdk-build", "0.6.0", "git+https://example.com", ""),
                "from git+https://example.com",
            ),
            (
                "[[package]]\nname = \"wdk-build\"\nversion = \"0.6.0\"\n".to_owned(),
                "from a path",
            ),
        ] {
            let error = lock(&text).published("wdk-build").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_no_lock_file_is_refused_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Cargo.lock");
        files::write_if_changed(&path, "<<<<<<< HEAD\n").unwrap();
        let error = LockFile::with("wdk-build", directory.path()).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("Cargo.lock") && text.contains("generate-lockfile"),
            "{text}"
        );
    }
}
