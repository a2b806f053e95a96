//! What belongs to a workspace and lies outside of it: dependencies by a path such as
//! `../shared`, which are members of other workspaces or of none.
//!
//! Cargo puts such a path together with the manifest's own, so that the mirror must have the same
//! surroundings (see [`crate::mirror`]).

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use toml::Table;

use crate::files;
use crate::metadata::Metadata;

/// The innermost directory that has the workspace and all that belongs to it below it.
///
/// # Errors
/// With cargo's own words when a package outside is none.
pub fn top(workspace: &Metadata) -> Result<PathBuf> {
    let mut top = workspace.workspace_root.clone();
    let mut known = workspace.directories();
    let mut paths = local_dependencies(workspace)?;
    while let Some(path) = paths.pop() {
        if known.contains(&path) {
            continue;
        }
        // Its manifest may inherit from one further out.
        let other = Metadata::of(&path)?;
        paths.extend(local_dependencies(&other)?);
        known.extend(other.directories());
        known.extend([path, other.workspace_root]);
    }
    for directory in known {
        top = common(&top, &directory);
    }
    Ok(top)
}

/// The directories of what a workspace's packages depend on by a path.
fn local_dependencies(workspace: &Metadata) -> Result<Vec<PathBuf>> {
    let mut paths = patches(&workspace.workspace_root)?;
    for package in &workspace.packages {
        let dependencies = package.dependencies.iter();
        paths.extend(dependencies.filter_map(|dependency| dependency.path.clone()));
    }
    Ok(paths)
}

/// The directories in the `[patch]` tables of a workspace's manifest.
fn patches(root: &Path) -> Result<Vec<PathBuf>> {
    let manifest = root.join("Cargo.toml");
    let text = files::read_text(&manifest)?;
    let manifest: Table = toml::from_str(&text)
        .with_context(|| format!("cannot make sense of {}", manifest.display()))?;
    let sources = manifest.get("patch").and_then(toml::Value::as_table);
    let packages = sources
        .into_iter()
        .flat_map(|sources| sources.values())
        .filter_map(toml::Value::as_table)
        .flat_map(|packages| packages.values());
    let paths = packages.filter_map(|package| package.get("path")?.as_str());
    Ok(paths.map(|path| resolved(&root.join(path))).collect())
}

/// A path without `.` and `..`, as cargo resolves it: by its words alone.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    resolved
}

/// The innermost directory that both lie in, or are.
fn common(one: &Path, other: &Path) -> PathBuf {
    let pairs = one.components().zip(other.components());
    let same = pairs.take_while(|(one, other)| one == other);
    same.map(|(component, _)| component).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The top of `drivers/glass` in a directory with these files, without the directory itself.
    fn top_of(manifests: &[(&str, &str)]) -> PathBuf {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().canonicalize().unwrap();
        for (directory, rest) in manifests {
            let name = directory.rsplit('/').next().unwrap();
            let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n{rest}");
            let directory = base.join(directory);
            files::write_if_changed(&directory.join("Cargo.toml"), manifest).unwrap();
            files::write_if_changed(&directory.join("src/lib.rs"), "").unwrap();
        }
        let metadata = Metadata::of(&base.join("drivers/glass")).unwrap();
        // As Windows writes it in full, with its prefix.
        let top = top(&metadata).unwrap().canonicalize().unwrap();
        top.strip_prefix(&base).unwrap().to_path_buf()
    }

    #[test]
    fn a_workspace_by_itself_is_its_own_top() {
        let alone = ("drivers/glass", "[workspace]");
        assert_eq!(top_of(&[alone]), Path::new("drivers/glass"));
    }

    #[test]
    fn dependencies_by_a_path_and_those_of_them_lie_below() {
        let glass = "[workspace]\n[dependencies]\nlayer.path = \"../layer\"";
        let near = ("drivers/layer", "[workspace]");
        assert_eq!(
            top_of(&[("drivers/glass", glass), near]),
            Path::new("drivers")
        );
        // Not a member, since there is no workspace.
        let inside = (
            "drivers/glass/inside",
            "[dependencies]\ndeep.path = \"../../../shared/deep\"",
        );
        let glass_alone = "[dependencies]\ninside.path = \"inside\"";
        assert_eq!(
            top_of(&[("drivers/glass", glass_alone), inside, ("shared/deep", "")]),
            Path::new("")
        );
        let far = (
            "drivers/layer",
            "[dependencies]\ndeep.path = \"../../shared/deep\"",
        );
        let deep = ("shared/deep", "");
        assert_eq!(
            top_of(&[("drivers/glass", glass), far, deep]),
            Path::new("")
        );
    }

    #[test]
    fn so_do_patches_and_workspaces_that_a_dependency_inherits_from() {
        let patched = "[workspace]\n[patch.crates-io]\nlayer.path = \"../layer\"";
        let near = ("drivers/layer", "");
        assert_eq!(
            top_of(&[("drivers/glass", patched), near]),
            Path::new("drivers")
        );
        let glass = "[workspace]\n[dependencies]\nlayer.path = \"../layers/layer\"";
        let member = ("drivers/layers/layer", "version.workspace = true");
        let outer = (
            "drivers/layers",
            "[workspace]\nmembers = [\"layer\"]\n[workspace.package]\nversion = \"1.0.0\"",
        );
        assert_eq!(
            top_of(&[("drivers/glass", glass), member, outer]),
            Path::new("drivers")
        );
    }
}
