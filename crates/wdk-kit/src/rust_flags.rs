//! The flags that a workspace's own cargo configuration gives rustc for every target.
//!
//! Cargo goes by `build.rustflags` only where no `[target]` table that applies has `rustflags`
//! too. The mirror's configuration has such a table, so that it must repeat them: among them is,
//! for drivers, the `+crt-static` that wdk-build insists on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result};
use cargo_platform::{Cfg, Platform};
use serde::Deserialize;
use toml::{Table, Value};

use crate::files;
use crate::process;

/// The part of a configuration file that matters.
#[derive(Deserialize, Default)]
struct Configuration {
    #[serde(default)]
    build: Table,
    #[serde(default)]
    target: Table,
}

/// The flags of `build.rustflags` that cargo would use in `directory` for a target, in its order.
///
/// `rustc` is the compiler to ask what is true of the target.
///
/// # Errors
/// Names the configuration file that cannot be read.
pub fn for_every_target(directory: &Path, target: &str, rustc: Command) -> Result<Vec<String>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    collect(&configuration_files(directory, home), target, rustc)
}

fn collect(configurations: &[PathBuf], target: &str, mut rustc: Command) -> Result<Vec<String>> {
    let mut flags = Vec::new();
    let mut particular = Vec::new();
    for file in configurations {
        let text = files::read_text(file)?;
        let configuration: Configuration = toml::from_str(&text)
            .with_context(|| format!("cannot make sense of {}", file.display()))?;
        flags.extend(
            configuration
                .build
                .get("rustflags")
                .map_or_else(Vec::new, words),
        );
        let targets = configuration.target.into_iter();
        let with_flags = targets.filter(|(_, table)| table.get("rustflags").is_some());
        particular.extend(with_flags.map(|(name, _)| name));
    }
    if flags.is_empty() || particular.is_empty() {
        return Ok(flags);
    }
    let text = process::capture(rustc.args(["--print", "cfg", "--target", target]))?;
    let truths: Vec<Cfg> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let applies = |name: &String| {
        Platform::from_str(name).is_ok_and(|platform| platform.matches(target, &truths))
    };
    Ok(match particular.iter().any(applies) {
        true => Vec::new(),
        false => flags,
    })
}

/// The configuration files that cargo reads in a directory, those that count least first; `home`
/// is cargo's own directory.
fn configuration_files(directory: &Path, home: Option<PathBuf>) -> Vec<PathBuf> {
    let parents = directory.ancestors().map(|parent| parent.join(".cargo"));
    let mut directories: Vec<_> = parents.collect();
    directories.extend(home.filter(|home| !directories.contains(home)));
    let file = |directory: &PathBuf| {
        let mut candidates = ["config", "config.toml"]
            .map(|name| directory.join(name))
            .into_iter();
        candidates.find(|path| path.is_file())
    };
    directories.iter().rev().filter_map(file).collect()
}

/// Flags are a list, or words with spaces between them.
fn words(flags: &Value) -> Vec<String> {
    let all = flags
        .as_array()
        .map_or(std::slice::from_ref(flags), Vec::as_slice);
    let texts = all.iter().filter_map(Value::as_str);
    match flags.is_array() {
        true => texts.map(str::to_owned).collect(),
        false => texts
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "x86_64-pc-windows-msvc";

    /// The flags where these are the configurations of a directory and the one in it.
    fn flags(outer: &str, inner: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let configurations = [("config.toml", outer), ("inner/config.toml", inner)];
        let paths = configurations.map(|(name, text)| {
            let path = root.path().join(name);
            files::write_if_changed(&path, text).unwrap();
            path
        });
        collect(&paths, TARGET, Command::new("rustc")).unwrap()
    }

    #[test]
    fn configurations_of_parents_and_of_cargo_come_before_the_directorys_own() {
        let root = tempfile::tempdir().unwrap();
        let [home, outer] = [".home", ".cargo"].map(|name| root.path().join(name));
        let inner = root.path().join("inner/.cargo");
        let expected = [
            home.join("config.toml"),
            outer.join("config"),
            inner.join("config.toml"),
        ];
        for file in &expected {
            files::write_if_changed(file, "").unwrap();
        }
        // Cargo does not read both.
        files::write_if_changed(&outer.join("config.toml"), "").unwrap();
        let directory = root.path().join("inner");
        assert_eq!(configuration_files(&directory, Some(home)), expected);
        assert_eq!(configuration_files(&directory, Some(outer)), expected[1..]);
    }

    #[test]
    fn lists_and_words_are_joined_the_nearest_last() {
        let list = "[build]\nrustflags = [\"-C\", \"target-feature=+crt-static\"]";
        let words = "build.rustflags = \"--cfg  loud\"";
        assert_eq!(
            flags(words, list),
            ["--cfg", "loud", "-C", "target-feature=+crt-static"]
        );
        assert!(flags("", "").is_empty());
    }

    #[test]
    fn flags_of_a_target_that_applies_take_their_place_and_others_do_not() {
        let build = "[build]\nrustflags = [\"--cfg=loud\"]\n";
        for target in [TARGET, "'cfg(windows)'", "'cfg(target_env = \"msvc\")'"] {
            let own = format!("{build}[target.{target}]\nrustflags = [\"--cfg=own\"]");
            assert!(flags("", &own).is_empty(), "{target}");
            assert!(flags(&own, "").is_empty(), "{target}");
        }
        for target in ["x86_64-unknown-linux-gnu", "'cfg(unix)'"] {
            let other = format!("{build}[target.{target}]\nrustflags = [\"--cfg=own\"]");
            assert_eq!(flags("", &other), ["--cfg=loud"], "{target}");
        }
        let linker = format!("{build}[target.{TARGET}]\nlinker = \"lld-link\"");
        assert_eq!(flags("", &linker), ["--cfg=loud"]);
    }
}
