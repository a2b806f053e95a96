//! What cargo says about the workspace: its root, its drivers, its lock file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::driver_model::Model;
use crate::metadata::{Metadata, Package, Target};
use crate::surroundings;

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
    /// Its driver model.
    pub model: Model,
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
    /// Cargo's target directory.
    pub target_directory: PathBuf,
    /// The innermost directory that has everything that belongs to it below it.
    pub top: PathBuf,
    /// The directory of the package where it was looked for.
    here: Option<PathBuf>,
    drivers: Vec<Driver>,
    programs: Vec<Program>,
    /// The manifests of packages with the metadata of a driver that build no cdylib.
    incomplete: Vec<PathBuf>,
}

impl Workspace {
    /// Asks cargo about the workspace of a manifest, or else around the current directory.
    ///
    /// # Errors
    /// With cargo's own words when there is none or its manifests are wrong.
    pub fn find(manifest: Option<&Path>) -> Result<Self> {
        let here = directory_of(manifest)?;
        let metadata = Metadata::of(&here)?;
        let top = surroundings::top(&metadata)?;
        // Links may have led here.
        let real = |path: &Path| path.canonicalize().ok();
        let mut directories = metadata.directories().into_iter();
        let here = directories.find(|directory| real(directory) == real(&here));
        Ok(Self::from_metadata(&metadata, top, here))
    }

    /// The workspace that cargo has described, with `here` the package where it was looked for.
    #[must_use]
    pub fn from_metadata(metadata: &Metadata, top: PathBuf, here: Option<PathBuf>) -> Self {
        let packages = &metadata.packages;
        let common = metadata.metadata.as_ref().and_then(driver_model);
        let is_incomplete =
            |package: &&Package| has_wdk_table(package) && cdylib(package).is_none();
        Self {
            programs: packages.iter().filter_map(program).collect(),
            incomplete: packages
                .iter()
                .filter(is_incomplete)
                .map(|package| package.manifest_path.clone())
                .collect(),
            drivers: packages
                .iter()
                .filter_map(|package| driver(package, common))
                .collect(),
            root: metadata.workspace_root.clone(),
            target_directory: metadata.target_directory.clone(),
            top,
            here,
        }
    }

    /// The drivers to act on: those named, or else the one where the workspace was looked for, or
    /// else the one at its root, or else all.
    ///
    /// # Errors
    /// When a name is not that of a driver, or there are no drivers.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Driver>> {
        let all = self.all()?;
        if !names.is_empty() {
            return names.iter().map(|name| self.driver(name)).collect();
        }
        let mut directories = self.here.iter().chain([&self.root]);
        let single = directories
            .find_map(|directory| all.iter().find(|driver| driver.directory == *directory));
        Ok(single.map_or(all.clone(), |driver| vec![*driver]))
    }

    /// Every driver of the workspace.
    ///
    /// # Errors
    /// When there are none.
    pub fn all(&self) -> Result<Vec<&Driver>> {
        if !self.drivers.is_empty() {
            return Ok(self.drivers.iter().collect());
        }
        if let Some(manifest) = self.incomplete.first() {
            bail!(
                "{} has the metadata of a driver, but builds no cdylib: it needs\n\n  \
                 [lib]\n  crate-type = [\"cdylib\"]\n",
                manifest.display()
            );
        }
        bail!(
            "no driver in the workspace at {}: a driver has `crate-type = [\"cdylib\"]`, and in its \
             Cargo.toml\n\n  [package.metadata.wdk.driver-model]\n  driver-type = \"WDM\"\n",
            self.root.display()
        )
    }

    /// Refuses a workspace with drivers that are no WDM drivers: wdk-build has one model for all
    /// members of a workspace.
    ///
    /// # Errors
    /// With the drivers and what is missing.
    pub fn require_wdm(&self) -> Result<()> {
        let Some((first, rest)) = self.drivers.split_first() else {
            return Ok(());
        };
        if let Some(other) = rest.iter().find(|driver| driver.model != first.model) {
            bail!(
                "{} is a {} driver and {} is {}: wdk-build allows one driver model in a workspace; \
                 give them workspaces of their own",
                first.package,
                first.model,
                other.package,
                other.model
            );
        }
        first.model.require_wdm(&first.package)
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

/// The directory of a manifest, or else the current one.
fn directory_of(manifest: Option<&Path>) -> Result<PathBuf> {
    let Some(manifest) = manifest else {
        return std::env::current_dir().context("there is no current directory");
    };
    if manifest.file_name() != Some("Cargo.toml".as_ref()) || !manifest.is_file() {
        bail!(
            "--manifest-path {}: not the path of a Cargo.toml",
            manifest.display()
        );
    }
    let manifest = std::path::absolute(manifest)?;
    manifest
        .parent()
        .map(Path::to_path_buf)
        .context("a manifest without a directory")
}

/// A package with executables or dynamic libraries that is no driver.
fn program(package: &Package) -> Option<Program> {
    if has_wdk_table(package) {
        return None;
    }
    let files: Vec<_> = package.targets.iter().filter_map(file_name).collect();
    (!files.is_empty()).then(|| Program {
        package: package.name.clone(),
        files,
    })
}

fn file_name(target: &Target) -> Option<String> {
    if target.is("bin") {
        Some(format!("{}.exe", target.name))
    } else if target.is("cdylib") {
        Some(format!("{}.dll", target.name))
    } else {
        None
    }
}

/// A driver; `common` is the workspace's driver model.
fn driver(package: &Package, common: Option<&Value>) -> Option<Driver> {
    let metadata = package.metadata.as_ref()?;
    if !has_wdk_table(package) {
        return None;
    }
    let model = driver_model(metadata).or(common)?;
    let programs = metadata
        .get("driver-package")
        .and_then(|table| table.get("programs")?.as_array())
        .into_iter()
        .flatten();
    Some(Driver {
        package: package.name.clone(),
        version: package.version.clone(),
        image: cdylib(package)?.name.clone(),
        directory: package.manifest_path.parent()?.to_path_buf(),
        model: Model::of(model),
        programs: programs
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
    })
}

/// Whether a package says that it is a driver; the driver model may be the workspace's.
fn has_wdk_table(package: &Package) -> bool {
    let metadata = package.metadata.as_ref();
    metadata.is_some_and(|metadata| metadata.get("wdk").is_some())
}

fn driver_model(metadata: &Value) -> Option<&Value> {
    metadata.get("wdk")?.get("driver-model")
}

fn cdylib(package: &Package) -> Option<&Target> {
    let mut targets = package.targets.iter();
    targets.find(|target| target.is("cdylib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "workspace_root": "/w", "target_directory": "/w/target",
        "packages": [
            {"name": "glass", "version": "1.2.3", "manifest_path": "/w/Cargo.toml", "dependencies": [],
             "targets": [{"name": "glass", "kind": ["cdylib"]}],
             "metadata": {"wdk": {"driver-model": {"driver-type": "WDM"}},
                          "driver-package": {"programs": ["plain"]}}},
            {"name": "bad-drivers", "version": "1.2.3", "manifest_path": "/w/tests/bad/Cargo.toml", "dependencies": [],
             "targets": [{"name": "bad_drivers", "kind": ["cdylib"]}],
             "metadata": {"wdk": {"driver-model": {"driver-type": "WDM"}}}},
            {"name": "plain", "version": "1.2.3", "manifest_path": "/w/plain/Cargo.toml", "dependencies": [],
             "targets": [{"name": "plain", "kind": ["cdylib"]}], "metadata": null},
            {"name": "layer", "version": "1.2.3", "manifest_path": "/w/layer/Cargo.toml", "dependencies": [],
             "targets": [{"name": "layer", "kind": ["lib"]}],
             "metadata": {"wdk": {"driver-model": {"driver-type": "WDM"}}}}
        ]}"#;

    fn workspace(text: &str) -> Workspace {
        let metadata = Metadata::parse(text).unwrap();
        Workspace::from_metadata(&metadata, "/w".into(), None)
    }

    fn names(drivers: Vec<&Driver>) -> Vec<&str> {
        drivers.iter().map(|driver| &*driver.package).collect()
    }

    #[test]
    fn the_driver_at_the_root_is_the_one_meant_by_default() {
        let workspace = workspace(METADATA);
        assert_eq!(names(workspace.select(&[]).unwrap()), ["glass"]);
        assert_eq!(names(workspace.all().unwrap()), ["glass", "bad-drivers"]);
    }

    #[test]
    fn without_a_driver_at_the_root_all_are_meant() {
        let text = METADATA.replace("/w/Cargo.toml", "/w/glass/Cargo.toml");
        let workspace = workspace(&text);
        assert_eq!(
            names(workspace.select(&[]).unwrap()),
            ["glass", "bad-drivers"]
        );
    }

    #[test]
    fn the_driver_where_the_workspace_was_looked_for_comes_first() {
        let metadata = Metadata::parse(METADATA).unwrap();
        for (here, expected) in [
            ("/w/tests/bad", vec!["bad-drivers"]),
            ("/w/layer", vec!["glass"]),
        ] {
            let workspace = Workspace::from_metadata(&metadata, "/w".into(), Some(here.into()));
            assert_eq!(names(workspace.select(&[]).unwrap()), expected);
        }
    }

    #[test]
    fn the_driver_model_may_be_the_workspaces() {
        let text = METADATA
            .replace(r#"{"driver-model": {"driver-type": "WDM"}}"#, "{}")
            .replace(
                r#""packages""#,
                r#""metadata": {"wdk": {"driver-model": {"driver-type": "WDM"}}}, "packages""#,
            );
        let workspace = workspace(&text);
        assert_eq!(names(workspace.all().unwrap()), ["glass", "bad-drivers"]);
        assert!(workspace.require_wdm().is_ok());
    }

    #[test]
    fn a_workspace_of_two_driver_models_is_refused_with_a_driver_of_each() {
        let text = METADATA.replacen("WDM", "KMDF", 1);
        let text = workspace(&text).require_wdm().unwrap_err().to_string();
        assert!(
            text.contains("glass is a KMDF") && text.contains("bad-drivers is WDM"),
            "{text}"
        );
    }

    #[test]
    fn what_makes_a_driver_is_said_where_there_is_none() {
        let text = METADATA.replace("cdylib", "lib");
        let error = workspace(&text).select(&[]).unwrap_err().to_string();
        assert!(
            error.contains("/w/Cargo.toml has") && error.contains("crate-type"),
            "{error}"
        );
        let text = METADATA.replace("\"wdk\"", "\"other\"");
        let error = workspace(&text).select(&[]).unwrap_err().to_string();
        assert!(
            error.contains("at /w") && error.contains("driver-type"),
            "{error}"
        );
    }

    #[test]
    fn an_image_is_named_after_the_library_not_the_package() {
        let workspace = workspace(METADATA);
        let selected = workspace.select(&["bad-drivers".into()]).unwrap();
        assert_eq!(selected[0].image, "bad_drivers");
        assert_eq!(selected[0].directory, Path::new("/w/tests/bad"));
    }

    #[test]
    fn a_name_that_is_no_driver_is_refused_with_those_that_are() {
        let workspace = workspace(METADATA);
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
        let workspace = workspace(METADATA);
        let drivers = workspace.all().unwrap();
        assert_eq!(drivers[0].programs, ["plain"]);
        assert!(drivers[1].programs.is_empty());
    }

    #[test]
    fn programs_are_executables_and_libraries_but_no_drivers() {
        let workspace = workspace(METADATA);
        let programs = workspace.programs(&["plain".into()]).unwrap();
        assert_eq!(programs[0].files, ["plain.dll"]);
        for name in ["glass", "layer", "nothing"] {
            let error = workspace.programs(&[name.into()]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
