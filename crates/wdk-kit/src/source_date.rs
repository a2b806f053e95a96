//! The moment that stands for the sources, so that a package can be made again byte for byte.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::process;

/// A moment, in seconds since the beginning of 1970, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceDate(pub u64);

impl SourceDate {
    /// SOURCE_DATE_EPOCH, or else the time of the last commit in the directory, or else, for
    /// sources without a history, now.
    ///
    /// # Errors
    /// When SOURCE_DATE_EPOCH is not a number.
    pub fn of(directory: &Path) -> Result<Self> {
        if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
            return text.parse().map(Self).with_context(|| {
                format!("SOURCE_DATE_EPOCH is {text:?}, not a number of seconds")
            });
        }
        Ok(Self::of_last_commit(directory).unwrap_or_else(Self::now))
    }

    fn of_last_commit(directory: &Path) -> Option<Self> {
        let mut command = Command::new("git");
        command.arg("-C").arg(directory);
        command.args(["log", "--max-count=1", "--format=%ct"]);
        let text = process::capture(&mut command).ok()?;
        text.trim().parse().ok().map(Self)
    }

    fn now() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(now.unwrap_or(Duration::ZERO).as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_has_a_date_and_a_directory_without_history_has_none() {
        if cfg!(windows) && Command::new("git").arg("--version").output().is_err() {
            eprintln!("skipped: needs git, which is not on the path");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(directory.path()).args(arguments);
            command.env("GIT_COMMITTER_DATE", "2026-03-09T12:00:00Z");
            process::capture(&mut command).unwrap()
        };
        // Outside any repository, wherever the temporary directory lies.
        std::fs::write(directory.path().join(".git"), "gitdir: nowhere").unwrap();
        assert_eq!(SourceDate::of_last_commit(directory.path()), None);
        std::fs::remove_file(directory.path().join(".git")).unwrap();
        git(&["init", "--quiet"]);
        let who = [
            "-c",
            "user.name=x",
            "-c",
            "user.email=x",
            "commit",
            "--quiet",
        ];
        git(&[&who[..], &["--allow-empty", "--message", "x"]].concat());
        assert_eq!(
            SourceDate::of_last_commit(directory.path()),
            Some(SourceDate(1_773_057_600))
        );
    }
}
