//! A real tree of host files, and which thread copies what.

use anyhow::{Context, bail};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A file of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// On the host.
    pub path: PathBuf,
    /// Index of its directory in [`Plan::directories`].
    pub directory: usize,
    /// Its name on the volume.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Last write, as NT counts (100 ns since 1601).
    pub written: i64,
}

/// A directory of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDirectory {
    /// Path on the volume below the thread's root, with `\` before each name; the top is empty.
    pub path: String,
    /// Index of its parent; the top is its own.
    pub parent: usize,
}

/// A tree to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Parents come before children.
    pub directories: Vec<SourceDirectory>,
    /// In order of directory and name.
    pub files: Vec<SourceFile>,
}

/// Seconds between 1601 and 1970.
const EPOCH_DIFFERENCE: i64 = 11_644_473_600;

impl Plan {
    /// Reads the tree below `source`: regular files that can be read, in order of name;
    /// no more than `limit` files, none larger than `largest` bytes.
    ///
    /// # Errors
    /// `source` is no directory that can be listed, or has no such file.
    pub fn scan(source: &Path, limit: usize, largest: u64) -> anyhow::Result<Self> {
        let mut plan = Self {
            directories: vec![SourceDirectory {
                path: String::new(),
                parent: 0,
            }],
            files: Vec::new(),
        };
        if !source.is_dir() {
            bail!("{} is not a directory", source.display());
        }
        plan.visit(source, 0, limit, largest)
            .with_context(|| format!("cannot list {}", source.display()))?;
        if plan.files.is_empty() {
            bail!("{} has no file that can be read", source.display());
        }
        Ok(plan)
    }

    fn visit(
        &mut self,
        host: &Path,
        directory: usize,
        limit: usize,
        largest: u64,
    ) -> std::io::Result<()> {
        let mut entries: Vec<_> = std::fs::read_dir(host)?.flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let mut taken = HashSet::new();
        for entry in entries {
            if self.files.len() >= limit {
                break;
            }
            let (Ok(kind), Some(host_name)) = (
                entry.file_type(),
                entry.file_name().to_str().map(str::to_owned),
            ) else {
                continue;
            };
            let name = volume_name(&host_name, &mut taken);
            if kind.is_dir() {
                let parent = &self.directories[directory];
                let path = format!("{}\\{name}", parent.path);
                // A path an NT name cannot hold is left out with everything below it.
                if path.len() > 4096 {
                    continue;
                }
                self.directories.push(SourceDirectory {
                    path,
                    parent: directory,
                });
                let child = self.directories.len() - 1;
                // What cannot be listed is an empty directory of the plan.
                let _ = self.visit(&entry.path(), child, limit, largest);
            } else if kind.is_file()
                && let Ok(metadata) = entry.metadata()
                && metadata.len() <= largest
                && std::fs::File::open(entry.path()).is_ok()
            {
                let written = metadata.modified().map_or(0, nt_time);
                self.files.push(SourceFile {
                    path: entry.path(),
                    directory,
                    name,
                    size: metadata.len(),
                    written,
                });
            }
        }
        Ok(())
    }

    /// The files of thread `part` of `parts`: an equal share that lies together, so that few
    /// directories are shared.
    pub fn part(&self, part: usize, parts: usize) -> Vec<&SourceFile> {
        let parts = parts.max(1);
        let from = self.files.len() * part / parts;
        let to = self.files.len() * (part + 1) / parts;
        self.files
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .collect()
    }

    /// The directories these files need, parents first.
    pub fn directories_of(&self, files: &[&SourceFile]) -> Vec<usize> {
        let mut needed = HashSet::new();
        for file in files {
            let mut at = file.directory;
            while at != 0 && needed.insert(at) {
                at = self.directories[at].parent;
            }
        }
        let mut needed: Vec<usize> = needed.into_iter().collect();
        needed.sort_unstable();
        needed
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// A time as NT counts it.
pub fn nt_time(time: std::time::SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => {
            (since.as_secs() as i64 + EPOCH_DIFFERENCE) * 10_000_000
                + i64::from(since.subsec_nanos()) / 100
        }
        Err(before) => EPOCH_DIFFERENCE * 10_000_000 - before.duration().as_nanos() as i64 / 100,
    }
}

/// A name that a volume takes: what NT forbids in names moves to U+F000 and up (as other
/// systems' file services do), and a name that differs from another in case alone gets a number.
fn volume_name(host: &str, taken: &mut HashSet<String>) -> String {
    let plain: String = host
        .chars()
        .map(|character| match character {
            '"' | '*' | ':' | '<' | '>' | '?' | '|' | '\\' | '\u{1}'..='\u{1F}' => {
                char::from_u32(0xF000 + character as u32).unwrap_or('_')
            }
            other => other,
        })
        .collect();
    let mut name = plain.clone();
    let mut number = 2;
    while !taken.insert(name.to_uppercase()) {
        name = format!("{plain}~{number}");
        number += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_split_without_loss_and_with_its_parents() {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(root.path().join("a/b")).expect("directories");
        for name in ["a/b/one", "a/two", "three", "a/b/four"] {
            std::fs::write(root.path().join(name), name).expect("a file");
        }
        let plan = Plan::scan(root.path(), 100, 1 << 20).expect("a plan");
        assert_eq!(plan.files.len(), 4);
        let mut all: Vec<String> = (0..3)
            .flat_map(|part| plan.part(part, 3))
            .map(|file| file.name.clone())
            .collect();
        all.sort();
        assert_eq!(all, ["four", "one", "three", "two"]);
        let deep: Vec<&SourceFile> = plan
            .files
            .iter()
            .filter(|file| file.name == "one")
            .collect();
        let paths: Vec<&str> = plan
            .directories_of(&deep)
            .iter()
            .map(|at| plan.directories[*at].path.as_str())
            .collect();
        assert_eq!(paths, [r"\a", r"\a\b"]);
        assert_eq!(
            plan,
            Plan::scan(root.path(), 100, 1 << 20).expect("the same plan")
        );
    }

    #[test]
    fn limits_are_kept_and_an_empty_tree_is_refused() {
        let root = tempfile::tempdir().expect("a temporary directory");
        assert!(Plan::scan(root.path(), 10, 10).is_err());
        std::fs::write(root.path().join("big"), [0; 11]).expect("a file");
        std::fs::write(root.path().join("x"), [0; 3]).expect("a file");
        std::fs::write(root.path().join("y"), [0; 3]).expect("a file");
        let plan = Plan::scan(root.path(), 1, 10).expect("a plan");
        assert_eq!(
            plan.files
                .iter()
                .map(|file| file.name.as_str())
                .collect::<Vec<_>>(),
            ["x"]
        );
        assert!(Plan::scan(&root.path().join("x"), 1, 10).is_err());
    }

    #[test]
    fn names_that_nt_does_not_take_are_changed() {
        let mut taken = HashSet::new();
        assert_eq!(volume_name("README", &mut taken), "README");
        assert_eq!(volume_name("readme", &mut taken), "readme~2");
        assert_eq!(volume_name("a:b", &mut taken), "a\u{F03A}b");
    }

    #[test]
    fn times_count_from_1601() {
        assert_eq!(nt_time(UNIX_EPOCH), 116_444_736_000_000_000);
        assert_eq!(
            nt_time(UNIX_EPOCH + std::time::Duration::from_nanos(1_000_000_250)),
            116_444_736_010_000_002
        );
    }
}
