//! What cargo says about a workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::process;

/// The part of `cargo metadata` that is needed.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    /// The directory of the workspace's Cargo.toml.
    pub workspace_root: PathBuf,
    /// Its members.
    pub packages: Vec<Package>,
    /// Where it builds.
    pub target_directory: PathBuf,
    /// `workspace.metadata` of the manifest.
    pub metadata: Option<Value>,
}

/// A package of the workspace.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its Cargo.toml.
    pub manifest_path: PathBuf,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// What it builds.
    pub targets: Vec<Target>,
    /// `package.metadata` of the manifest.
    pub metadata: Option<Value>,
}

/// Something that a package depends on.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// The directory of a local one.
    pub path: Option<PathBuf>,
}

/// What a package builds.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    kind: Vec<String>,
}

impl Target {
    /// Whether it is of a kind, such as `cdylib`.
    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|known| known == kind)
    }
}

impl Metadata {
    /// Asks cargo about the workspace around a directory.
    ///
    /// # Errors
    /// With cargo's own words when there is none or its manifests are wrong.
    pub fn of(directory: &Path) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(directory);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let text = process::capture(&mut command)
            .with_context(|| format!("cannot read the workspace of {}", directory.display()))?;
        Self::parse(&text)
    }

    /// Reads what `cargo metadata` has written.
    ///
    /// # Errors
    /// When that is something else.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("cannot make sense of `cargo metadata`")
    }

    /// The directories of the packages.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let manifests = self.packages.iter().map(|package| &package.manifest_path);
        manifests
            .filter_map(|path| Some(path.parent()?.to_path_buf()))
            .collect()
    }
}
