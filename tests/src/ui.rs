//! What the compiler says to the misuses in `tests/ui/examples`, and what it is expected to say.
//!
//! Beside each `NAME.rs` stands `NAME.stderr`, the compiler's whole answer, for people to read.
//! Compilers differ in their words, so the comparison is by [`mistakes`]: which errors, by their
//! codes, on which lines. After a change that is meant, `FSGLASS_BLESS=1` writes the files anew.

use crate::drivers::{self, repository};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the misuses are.
#[must_use]
pub fn directory() -> PathBuf {
    repository().join("tests/ui/examples")
}

/// What came of compiling the package.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// The compiler's errors, by the name of the misuse.
    pub rejected: BTreeMap<String, String>,
    /// What it had no objection to.
    pub accepted: Vec<String>,
}

impl Compiled {
    /// Whether the compiler has no objection to the misuse `name`. What it says may still be empty:
    /// a misuse that compiles fails to link, because it is no whole driver.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        let answer = self.rejected.get(name);
        answer.is_none_or(|answer| mistakes(name, answer).is_empty())
    }
}

/// Compiles all that is in `tests/ui` of a workspace, for the target of drivers.
///
/// # Panics
/// If cargo cannot be started.
#[must_use]
pub fn compile(workspace: &Path) -> Compiled {
    let mut cargo = drivers::kit();
    cargo.arg("cargo");
    // Some mistakes are found when a generic function is instantiated: `check` does not do that.
    cargo.args(["build", "--package", "wdm-ui", "--lib", "--examples"]);
    cargo.args(["--keep-going", "--message-format", "json"]);
    let output = cargo
        .current_dir(workspace)
        .output()
        .unwrap_or_else(|error| panic!("{cargo:?} cannot be started: {error}"));
    let compiled = compiled(&String::from_utf8_lossy(&output.stdout));
    assert!(
        !compiled.rejected.is_empty() || !compiled.accepted.is_empty(),
        "{cargo:?} compiled nothing:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    compiled
}

/// Reads cargo's messages, one on each line.
fn compiled(messages: &str) -> Compiled {
    let mut compiled = Compiled::default();
    for line in messages.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let Some(target) = message["target"]["name"].as_str() else {
            continue;
        };
        match message["reason"].as_str() {
            Some("compiler-artifact") => compiled.accepted.push(target.to_owned()),
            Some("compiler-message") if message["message"]["level"] == "error" => {
                let text = message["message"]["rendered"].as_str().unwrap_or_default();
                let rejected = compiled.rejected.entry(target.to_owned()).or_default();
                // The last one counts the others, and points nowhere.
                if text.contains("-->") {
                    rejected.push_str(text);
                }
            }
            _ => {}
        }
    }
    compiled
}

/// The errors in the compiler's answer to the misuse `name`: the code of each and the line that it
/// points to. Where it points to another file, its own words stand for the line: they are the
/// layer's.
#[must_use]
pub fn mistakes(name: &str, answer: &str) -> Vec<String> {
    let here = format!("examples/{name}.rs:");
    let mut mistakes = Vec::new();
    let mut lines = answer.lines();
    while let Some(line) = lines.next() {
        let Some(error) = line.strip_prefix("error") else {
            continue;
        };
        let (code, words) = error.split_once(": ").unwrap_or((error, ""));
        let place = lines.next().unwrap_or_default().replace('\\', "/");
        let line = place
            .split_once(&here)
            .and_then(|(_, position)| position.split(':').next());
        mistakes.push(match line {
            Some(line) => format!("error{code} on line {line}"),
            None => format!("error{code}: {words}"),
        });
    }
    mistakes.sort();
    mistakes.dedup();
    mistakes
}

/// Compares the compiler's answers with the files in `directory`: what is wrong, one line each.
///
/// # Panics
/// If the directory cannot be read.
#[must_use]
pub fn differences(directory: &Path, compiled: &Compiled) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in misuses(directory) {
        let expected = directory.join(&name).with_extension("stderr");
        let expected = std::fs::read_to_string(expected).unwrap_or_default();
        if compiled.allows(&name) {
            wrong.push(format!("{name}: the compiler does not object to it"));
            continue;
        }
        let answer = &*compiled.rejected[&name];
        let (expected, found) = (mistakes(&name, &expected), mistakes(&name, answer));
        if expected != found {
            wrong.push(format!(
                "{name}: expected {expected:?}, found {found:?}:\n{answer}"
            ));
        }
    }
    wrong
}

/// Writes the compiler's answers beside the misuses in `directory`, where they are other mistakes
/// than expected: not for other words, or for lines that moved in the layer.
///
/// # Panics
/// If a file cannot be written.
pub fn bless(directory: &Path, compiled: &Compiled) {
    for name in misuses(directory) {
        if let Some(answer) = compiled.rejected.get(&name) {
            let file = directory.join(&name).with_extension("stderr");
            let expected = std::fs::read_to_string(&file).unwrap_or_default();
            if mistakes(&name, &expected) == mistakes(&name, answer) {
                continue;
            }
            std::fs::write(&file, answer)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}

/// The names of the misuses.
///
/// # Panics
/// If the directory cannot be read.
#[must_use]
pub fn misuses(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|file| Some(file.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "\
error[E0382]: use of moved value: `irp`
  --> tests/ui/examples/twice.rs:12:5
   |
12 |     irp.complete(Status::SUCCESS, 0)
   |     ^^^ value used here after move

error: lifetime may not live long enough
  --> tests\\ui\\examples\\twice.rs:14:6
error[E0080]: evaluation panicked: the pool aligns to 16 bytes
  --> /rustc/5980/library/core/src/panic.rs:62:9
";

    #[test]
    fn an_error_is_known_by_code_and_line() {
        assert_eq!(
            mistakes("twice", ANSWER),
            [
                "error on line 14",
                "error[E0080]: evaluation panicked: the pool aligns to 16 bytes",
                "error[E0382] on line 12",
            ]
        );
    }

    #[test]
    fn other_words_are_no_difference_and_anything_else_is() {
        let same = ANSWER.replace("use of moved value", "value was moved");
        assert_eq!(mistakes("twice", &same), mistakes("twice", ANSWER));
        for (from, to) in [
            ("E0382", "E0381"),
            (":12:", ":13:"),
            ("aligns to 16", "aligns to 8"),
            ("error: lifetime", "warning: lifetime"),
        ] {
            let other = ANSWER.replace(from, to);
            assert_ne!(mistakes("twice", &other), mistakes("twice", ANSWER), "{to}");
        }
    }

    #[test]
    fn a_misuse_that_compiles_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        for name in ["twice", "other", "new", "unlinked"] {
            file(&format!("{name}.rs"), "");
        }
        file("twice.stderr", ANSWER);
        file("other.stderr", ANSWER);
        file("unlinked.stderr", ANSWER);
        let answers = [("twice", ANSWER), ("new", ANSWER), ("unlinked", "")];
        let compiled = Compiled {
            rejected: answers
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .into(),
            accepted: vec!["other".to_owned()],
        };
        let wrong = differences(directory.path(), &compiled);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].starts_with("new: expected []"), "{wrong:?}");
        for (complaint, name) in wrong[1..].iter().zip(["other", "unlinked"]) {
            assert!(complaint.starts_with(&format!("{name}: the compiler does not object")));
        }
        bless(directory.path(), &compiled);
        assert_eq!(differences(directory.path(), &compiled).len(), 2);
    }

    #[test]
    fn messages_of_cargo_are_sorted_by_target() {
        let messages = r#"not json
{"reason":"compiler-message","target":{"name":"bad"},"message":{"level":"error","rendered":"error: x\n --> a.rs:1:1\n"}}
{"reason":"compiler-message","target":{"name":"bad"},"message":{"level":"error","rendered":"error: aborting"}}
{"reason":"compiler-message","target":{"name":"good"},"message":{"level":"warning","rendered":"warning: y\n --> a.rs:1:1\n"}}
{"reason":"compiler-artifact","target":{"name":"good"}}
{"reason":"build-finished","success":false}"#;
        let compiled = compiled(messages);
        assert_eq!(compiled.rejected["bad"], "error: x\n --> a.rs:1:1\n");
        assert_eq!(compiled.accepted, ["good"]);
    }
}
