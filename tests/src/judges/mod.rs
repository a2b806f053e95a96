//! Judges: programs and test suites that others wrote, run in a volume of ntbox.
//!
//! Each gives verdicts: the name of a case, and how it ended. A judge that is one program has one case. What the bare
//! volume does not do is in [`known`], each with its reason; under drivers all verdicts are those of the bare volume.
//!
//! The programs come from Debian and from crates.io (`./dev test` installs them); [`missing`] says what is not there.

mod known;
mod pjdfstest;
mod programs;

pub use known::KNOWN;

use crate::drivers::repository;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How cases ended, by their names. What is not `ok` has failed.
pub type Verdicts = BTreeMap<String, String>;

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// What every run of the tests has time for.
    Bounded,
    /// All of it.
    Long,
}

/// A judge.
pub struct Judge {
    /// What it is called.
    pub name: &'static str,
    /// The programs that it needs.
    pub needs: &'static [&'static str],
    run: fn(&Place<'_>) -> Verdicts,
}

/// Where a judge works.
pub struct Place<'a> {
    /// A new directory on the volume.
    pub directory: &'a Path,
    /// How much it does there.
    pub length: Length,
}

/// All of them.
pub const ALL: &[Judge] = &[
    Judge {
        name: "pjdfstest",
        needs: &["pjdfstest"],
        run: pjdfstest::run,
    },
    Judge {
        name: "fsx",
        needs: &["fsx"],
        run: programs::fsx,
    },
    Judge {
        name: "fio",
        needs: &["fio"],
        run: programs::fio,
    },
    Judge {
        name: "sqlite3",
        needs: &["sqlite3"],
        run: programs::sqlite,
    },
    Judge {
        name: "git",
        needs: &["git"],
        run: programs::git,
    },
    Judge {
        name: "tar",
        needs: &["tar"],
        run: programs::tar,
    },
    Judge {
        name: "rsync",
        needs: &["rsync"],
        run: programs::rsync,
    },
    Judge {
        name: "stress-ng",
        needs: &["stress-ng"],
        run: programs::stress,
    },
    Judge {
        name: "cargo",
        needs: &["cargo"],
        run: programs::cargo,
    },
];

/// The judge of that name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn named(name: &str) -> &'static Judge {
    let found = ALL.iter().find(|judge| judge.name == name);
    found.unwrap_or_else(|| panic!("there is no judge {name}"))
}

impl Judge {
    /// Lets it judge a directory.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn judge(&self, place: &Place<'_>) -> Verdicts {
        let missing: Vec<_> = self.needs.iter().filter(|need| !is_there(need)).collect();
        assert!(
            missing.is_empty(),
            "{missing:?} are not installed; `./dev judges` does that"
        );
        (self.run)(place)
    }
}

/// Where the programs of crates.io are.
fn tools() -> PathBuf {
    repository().join("target/tools/bin")
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([tools()])
        .any(|folder| folder.join(program).is_file())
}

/// A program, from crates.io or of the system.
fn program(name: &str) -> Command {
    let own = tools().join(name);
    let mut command = match own.is_file() {
        true => Command::new(own),
        false => Command::new(name),
    };
    // What it prints is looked at.
    command.env("LC_ALL", "C").env_remove("RUST_BACKTRACE");
    command
}

/// One case: a program that ends well, or what it said.
fn verdict(verdicts: &mut Verdicts, case: &str, command: &mut Command) -> Option<Output> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if output.status.success() {
        verdicts.insert(case.to_owned(), "ok".to_owned());
        return Some(output);
    }
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    verdicts.insert(case.to_owned(), format!("{}: {said}", output.status));
    None
}

/// One case that holds or does not.
fn holds(verdicts: &mut Verdicts, case: &str, holds: bool, otherwise: &str) {
    let verdict = if holds { "ok" } else { otherwise };
    verdicts.insert(case.to_owned(), verdict.to_owned());
}
