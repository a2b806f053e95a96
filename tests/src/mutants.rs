//! Changes of one line that break a rule: the table in `tests/mutants/mutants.toml`, and where in
//! the sources each belongs.

use crate::drivers::repository;
use crate::sources::Sources;
use serde::Deserialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// One change.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// The rule that it breaks.
    pub rule: String,
    /// The item in which the line is.
    pub item: String,
    /// The line, without indentation.
    pub line: String,
    /// What stands in its place.
    pub with: String,
    /// The test that fails then.
    pub test: String,
    /// Whether the test looks at the shipped build.
    #[serde(default)]
    pub release: bool,
    /// Why no test can notice it, if none can.
    pub survives: Option<String>,
}

/// The line that a mutant changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its file, relative to the repository.
    pub file: PathBuf,
    /// Its number, from 1.
    pub number: usize,
}

#[derive(Deserialize)]
struct Table {
    mutant: Vec<Mutant>,
}

/// All mutants.
///
/// # Panics
/// If the table cannot be read.
#[must_use]
pub fn read() -> Vec<Mutant> {
    let file = repository().join("tests/mutants/mutants.toml");
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn parse(text: &str) -> Result<Vec<Mutant>, toml::de::Error> {
    toml::from_str(text).map(|table: Table| table.mutant)
}

impl Mutant {
    /// The line that it changes.
    ///
    /// # Errors
    /// If there is not exactly one such line in the item.
    pub fn place(&self, driver: &Sources) -> Result<Place, String> {
        let item = driver.find(&self.item)?;
        let lines = item.text.lines().zip(*item.lines.start()..);
        let found: Vec<usize> = lines
            .filter(|(line, _)| line.trim() == self.line)
            .map(|(_, number)| number)
            .collect();
        match found[..] {
            [number] => Ok(Place {
                file: item.file.clone(),
                number,
            }),
            _ => Err(format!(
                "{} lines of {} are {:?}",
                found.len(),
                self.item,
                self.line
            )),
        }
    }

    /// The file of its test, and the name of the test in it; `ui` for a misuse.
    ///
    /// # Errors
    /// If that is no name of a test.
    pub fn file_and_name(&self) -> Result<(&str, &str), String> {
        let parts = self.test.split_once("::");
        parts.ok_or_else(|| format!("{} is no test", self.test))
    }

    /// The text of the file with the change in it.
    #[must_use]
    pub fn applied(&self, place: &Place, text: &str) -> String {
        let mut changed = String::new();
        for (line, number) in text.lines().zip(1..) {
            let line = if number == place.number {
                &self.with
            } else {
                line
            };
            // Writing to a string cannot fail.
            let _ = writeln!(changed, "{line}");
        }
        changed
    }

    /// Its row in `docs/mutation.md`, up to the result.
    #[must_use]
    pub fn row(&self) -> String {
        let code = |text: &str| {
            if text.is_empty() {
                return "nothing".to_owned();
            }
            format!("`{}`", text.replace('|', "\\|").replace('\n', " "))
        };
        format!(
            "| {} | `{}` | {} | {} | `{}` |",
            self.rule,
            self.item,
            code(&self.line),
            code(&self.with),
            self.test
        )
    }

    /// What a report says of it, if it is there.
    #[must_use]
    pub fn result_in<'r>(&self, report: &'r str) -> Option<&'r str> {
        let row = self.row();
        let rest = report.lines().find_map(|line| line.strip_prefix(&*row))?;
        Some(rest.trim_matches(['|', ' ']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const TABLE: &str = r#"
[[mutant]]
rule = "C5"
item = "wdm::completion::propagating"
line = "if pending_returned {"
with = "if a | b {"
test = "file::test"
"#;

    fn mutant() -> Mutant {
        parse(TABLE).unwrap().remove(0)
    }

    #[test]
    fn a_mutant_is_placed_and_applied() {
        let mutant = mutant();
        assert!(!mutant.release && mutant.survives.is_none());
        let place = mutant.place(&Sources::of_driver()).unwrap();
        assert_eq!(place.file, Path::new("crates/wdm/src/completion.rs"));
        let text = std::fs::read_to_string(repository().join(&place.file)).unwrap();
        let changed = mutant.applied(&place, &text);
        let differences: Vec<_> = text
            .lines()
            .zip(changed.lines())
            .filter(|(before, after)| before != after)
            .collect();
        assert_eq!(differences, [("    if pending_returned {", "if a | b {")]);
        assert_eq!(text.lines().count(), changed.lines().count());
    }

    #[test]
    fn a_line_that_is_not_there_exactly_once_is_no_place() {
        let sources = Sources::of_driver();
        for (item, line) in [
            ("wdm::completion::propagating", "if pending {"),
            ("wdm::completion::waiting", "if pending_returned {"),
            ("wdm::completion::nothing", "if pending_returned {"),
            ("wdm::completion", "irp: PIRP,"),
        ] {
            let wrong = Mutant {
                item: item.to_owned(),
                line: line.to_owned(),
                ..mutant()
            };
            assert!(wrong.place(&sources).is_err(), "{item}: {line}");
        }
    }

    #[test]
    fn a_field_that_is_misspelt_is_refused() {
        assert!(parse(&TABLE.replace("test =", "tests =")).is_err());
        assert!(parse(&format!("{TABLE}survivor = \"x\"")).is_err());
    }

    #[test]
    fn a_row_keeps_its_columns() {
        let columns = mutant().row().replace("\\|", "").matches('|').count();
        assert_eq!(columns, 6);
        let report = format!("| head |\n{} it compiles |\n", mutant().row());
        assert_eq!(mutant().result_in(&report), Some("it compiles"));
        assert_eq!(mutant().result_in("| C5 |"), None);
    }
}
