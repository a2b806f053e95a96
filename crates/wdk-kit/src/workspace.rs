//! What cargo says about the workspace: its root, its drivers, its lock file.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::files;
use crate::process;

/// The part of `cargo metadata` that is needed.
#[derive(Debug, Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    metadata: Option<serde_json::Value>,
}

/// What a package builds.
#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// A driver package: one whose manifest has a `package.metadata.wdk` table, as
/// the `wdk*` crates define it, and that builds a cdylib.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// The package's name.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The file name of the driver, without `.sys`.
    pub image: String,
    /// The directory of the package.
    pub directory: PathBuf,
    /// Packages of programs that belong into the driver's package:
    /// `programs` in its manifest's `package.metadata.driver-package`.
    pub programs: Vec<String>,
}

/// A package that builds files for Windows programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The package's name.
    pub package: String,
    /// The names of its files, with their extensions.
    pub files: Vec<String>,
}

/// A cargo workspace with drivers in it.
#[derive(Debug)]
pub struct Workspace {
    /// The directory of its Cargo.toml.
    pub root: PathBuf,
    drivers: Vec<Driver>,
    programs: Vec<Program>,
}

impl Workspace {
    /// Asks cargo about the workspace around the current directory.
    ///
    /// # Errors
    /// With cargo's own words when there is none or its manifests are wrong.
    pub fn find() -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let text = process::capture(&mut command).context("cannot read the workspace")?;
        Self::from_metadata(&text)
    }

    fn from_metadata(text: &str) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_str(text).context("cannot make sense of `cargo metadata`")?;
        let programs = metadata.packages.iter().filter_map(program).collect();
        let drivers = metadata.packages.into_iter().filter_map(driver).collect();
        Ok(Self {
            root: metadata.workspace_root,
            drivers,
            programs,
        })
    }

    /// The drivers to act on: those named, or else the one at the workspace's
    /// root, or else all.
    ///
    /// # Errors
    /// When a name is not that of a driver, or there are no drivers.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Driver>> {
        if self.drivers.is_empty() {
            bail!(
                "no driver in the workspace at {}: a driver has a \
                 [package.metadata.wdk.driver-model] table and `crate-type = [\"cdylib\"]`",
                self.root.display()
            );
        }
        if !names.is_empty() {
            return names.iter().map(|name| self.driver(name)).collect();
        }
        match self
            .drivers
            .iter()
            .find(|driver| driver.directory == self.root)
        {
            Some(driver) => Ok(vec![driver]),
            None => Ok(self.all()),
        }
    }

    /// Every driver of the workspace.
    #[must_use]
    pub fn all(&self) -> Vec<&Driver> {
        self.drivers.iter().collect()
    }

    /// The packages of these names.
    ///
    /// # Errors
    /// When one of them builds no program.
    pub fn programs(&self, names: &[String]) -> Result<Vec<&Program>> {
        let find = |name: &String| {
            let mut programs = self.programs.iter();
            let found = programs.find(|program| program.package == *name);
            found.with_context(|| format!("no package {name:?} that builds a program"))
        };
        names.iter().map(find).collect()
    }

    fn driver(&self, name: &str) -> Result<&Driver> {
        let found = self.drivers.iter().find(|driver| driver.package == name);
        found.with_context(|| {
            let known: Vec<_> = self.drivers.iter().map(|driver| &*driver.package).collect();
            format!("no driver package {name:?}; there is: {}", known.join(", "))
        })
    }
}

/// A package with executables or dynamic libraries that is no driver.
fn program(package: &Package) -> Option<Program> {
    let is_driver = |metadata: &serde_json::Value| metadata.get("wdk").is_some();
    if package.metadata.as_ref().is_some_and(is_driver) {
        return None;
    }
    let files: Vec<_> = package.targets.iter().filter_map(file_name).collect();
    (!files.is_empty()).then(|| Program {
        package: package.name.clone(),
        files,
    })
}

fn file_name(target: &Target) -> Option<String> {
    let is = |kind: &str| target.kind.iter().any(|known| known == kind);
    if is("bin") {
        Some(format!("{}.exe", target.name))
    } else if is("cdylib") {
        Some(format!("{}.dll", target.name))
    } else {
        None
    }
}

fn driver(package: Package) -> Option<Driver> {
    let metadata = package.metadata?;
    metadata.get("wdk")?.get("driver-model")?;
    let programs = metadata
        .get("driver-package")
        .and_then(|table| table.get("programs")?.as_array())
        .into_iter()
        .flatten();
    let target = package
        .targets
        .into_iter()
        .find(|target| target.kind.iter().any(|kind| kind == "cdylib"))?;
    Some(Driver {
        package: package.name,
        version: package.version,
        image: target.name,
        directory: package.manifest_path.parent()?.to_path_buf(),
        programs: programs
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
    })
}

/// The version of a package in the workspace's lock file.
///
/// # Errors
/// When there is no lock file or the package is not in it exactly once.
pub fn locked_version(root: &Path, package: &str) -> Result<String> {
    let path = root.join("Cargo.lock");
    let text = files::read_text(&path)?;
    version_in(&text, package).with_context(|| {
        format!(
            "{} does not name exactly one version of {package}; add it to the driver's \
             dependencies, or remove all versions but one",
            path.display()
        )
    })
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let mut lines = lock.lines();
    let name = format!("name = \"{package}\"");
    let mut version = None;
    while lines.by_ref().any(|line| line == name) {
        let text = lines
            .next()?
            .strip_prefix("version = \"")?
            .strip_suffix('"')?;
        if version.replace(text.to_owned()).is_some() {
            return None;
        }
    }
    version
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "workspace_root": "/w",
        "packages": [
            {"name": "glass", "version": "1.2.3", "manifest_path": "/w/Cargo.toml",
             "targets": [{"name": "glass", "kind": ["cdylib"]}],
             "metadata": {"wdk": {"driver-model": {"driver-type": "WDM"}},
                          "driver-package": {"programs": ["plain"]}}},
            {"name": "bad-drivers", "version": "1.2.3", "manifest_path": "/w/tests/bad/Cargo.toml",
             "targets": [{"name": "bad_drivers", "kind": ["cdylib"]}],
             "metadata": {"wdk": {"driver-model": {"driver-type": "WDM"}}}},
            {"name": "plain", "version": "1.2.3", "manifest_path": "/w/plain/Cargo.toml",
             "targets": [{"name": "plain", "kind": ["cdylib"]}], "metadata": null},
            {"name": "layer", "version": "1.2.3", "manifest_path": "/w/layer/Cargo.toml",
             "targets": [{"name": "layer", "kind": ["lib"]}],
             "metadata": {"wdk": {"driver-model": {"driver-type": "WDM"}}}}
        ]}"#;

    fn names(drivers: Vec<&Driver>) -> Vec<&str> {
        drivers.iter().map(|driver| &*driver.package).collect()
    }

    #[test]
    fn the_driver_at_the_root_is_the_one_meant_by_default() {
        let workspace = Workspace::from_metadata(METADATA).unwrap();
        assert_eq!(names(workspace.select(&[]).unwrap()), ["glass"]);
        assert_eq!(names(workspace.all()), ["glass", "bad-drivers"]);
    }

    #[test]
    fn without_a_driver_at_the_root_all_are_meant() {
        let text = METADATA.replace("/w/Cargo.toml", "/w/glass/Cargo.toml");
        let workspace = Workspace::from_metadata(&text).unwrap();
        assert_eq!(
            names(workspace.select(&[]).unwrap()),
            ["glass", "bad-drivers"]
        );
    }

    #[test]
    fn an_image_is_named_after_the_library_not_the_package() {
        let workspace = Workspace::from_metadata(METADATA).unwrap();
        let selected = workspace.select(&["bad-drivers".into()]).unwrap();
        assert_eq!(selected[0].image, "bad_drivers");
        assert_eq!(selected[0].directory, Path::new("/w/tests/bad"));
    }

    #[test]
    fn a_name_that_is_no_driver_is_refused_with_those_that_are() {
        let workspace = Workspace::from_metadata(METADATA).unwrap();
        for name in ["layer", "plain", "nothing"] {
            let text = workspace.select(&[name.into()]).unwrap_err().to_string();
            assert!(
                text.contains(name) && text.contains("glass, bad-drivers"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_driver_names_the_programs_of_its_package() {
        let workspace = Workspace::from_metadata(METADATA).unwrap();
        let programs = workspace
            .all()
            .into_iter()
            .map(|driver| driver.programs.len());
        assert_eq!(programs.collect::<Vec<_>>(), [1, 0]);
        assert_eq!(workspace.all()[0].programs, ["plain"]);
    }

    #[test]
    fn programs_are_executables_and_libraries_but_no_drivers() {
        let workspace = Workspace::from_metadata(METADATA).unwrap();
        let programs = workspace.programs(&["plain".into()]).unwrap();
        assert_eq!(programs[0].files, ["plain.dll"]);
        for name in ["glass", "layer", "nothing"] {
            let error = workspace.programs(&[name.into()]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn the_locked_version_is_found() {
        let lock = "[[package]]\nname = \"wdk-build\"\nversion = \"0.6.0\"\n\n\
                    [[package]]\nname = \"wdk\"\nversion = \"0.5.0\"\n";
        assert_eq!(version_in(lock, "wdk").as_deref(), Some("0.5.0"));
        assert_eq!(version_in(lock, "wdk-build").as_deref(), Some("0.6.0"));
        assert_eq!(version_in(lock, "wdk-sys"), None);
    }

    #[test]
    fn two_locked_versions_are_one_too_many() {
        let lock = "name = \"wdk\"\nversion = \"0.5.0\"\nname = \"wdk\"\nversion = \"0.4.0\"\n";
        assert_eq!(version_in(lock, "wdk"), None);
    }
}
