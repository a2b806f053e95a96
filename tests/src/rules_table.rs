//! The table of rules in `docs/rules.md`: each rule with the code that keeps it and the tests that
//! fail without it.

use crate::drivers::repository;
use crate::sources::Sources;

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Such as `C5`.
    pub id: String,
    /// What it asks.
    pub text: String,
    /// Paths of the items that keep it.
    pub kept_by: Vec<String>,
    /// Names of tests.
    pub tests: Vec<String>,
}

/// How many rules each chapter has.
pub const CHAPTERS: [(char, usize); 7] = [
    ('C', 16),
    ('D', 9),
    ('A', 12),
    ('F', 3),
    ('O', 4),
    ('L', 2),
    ('P', 4),
];

/// The rules of the documentation.
///
/// # Panics
/// If the file cannot be read.
#[must_use]
pub fn read() -> Vec<Rule> {
    let file = repository().join("docs/rules.md");
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    parse(&text)
}

fn parse(text: &str) -> Vec<Rule> {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, text, kept_by, tests, _] = cells[..] else {
            return None;
        };
        is_id(id).then(|| Rule {
            id: id.to_owned(),
            text: text.to_owned(),
            kept_by: names_in(kept_by),
            tests: names_in(tests),
        })
    });
    rows.collect()
}

/// Whether it is the id of a rule: a letter and a number.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let mut letters = text.chars();
    let chapter = letters.next();
    CHAPTERS.iter().any(|&(known, _)| Some(known) == chapter)
        && letters.clone().next().is_some()
        && letters.all(|letter| letter.is_ascii_digit())
}

/// What stands between backquotes.
fn names_in(cell: &str) -> Vec<String> {
    let parts = cell.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// What is wrong with the table: ids that are missing or listed twice, code or tests that do not
/// exist, or that do not say which rule they are about.
#[must_use]
pub fn mistakes(rules: &[Rule], driver: &Sources, tests: &Sources) -> Vec<String> {
    let mut wrong = Vec::new();
    for (chapter, count) in CHAPTERS {
        for number in 1..=count {
            let id = format!("{chapter}{number}");
            let rows = rules.iter().filter(|rule| rule.id == id).count();
            if rows != 1 {
                wrong.push(format!("{id} has {rows} rows"));
            }
        }
    }
    for rule in rules {
        let id = &rule.id;
        for (what, names, sources) in [
            ("code", &rule.kept_by, driver),
            ("test", &rule.tests, tests),
        ] {
            if names.is_empty() {
                wrong.push(format!("{id} names no {what}"));
            }
            for name in names {
                match sources.find(name) {
                    Ok(item) if item.cites(id) => {}
                    Ok(_) => wrong.push(format!("{id}: the {what} {name} does not mention it")),
                    Err(error) => wrong.push(format!("{id}: {error} ({what})")),
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "
| id | rule | kept by | fails without it |
|---|---|---|---|
| C5 | Mark. | `wdm::completion::propagating`, `wdm::irp::Irp::forward_with` | `pass_through::every_completion_arrives_unchanged` |
| X1 | Not a rule. | `a` | `b` |
| D16 | cut off |
";

    #[test]
    fn a_row_is_read() {
        let rule = Rule {
            id: "C5".to_owned(),
            text: "Mark.".to_owned(),
            kept_by: [
                "wdm::completion::propagating",
                "wdm::irp::Irp::forward_with",
            ]
            .map(str::to_owned)
            .into(),
            tests: vec!["pass_through::every_completion_arrives_unchanged".to_owned()],
        };
        assert_eq!(parse(TABLE), [rule]);
    }

    /// Each kind of mistake is found in a table that is right but for it.
    #[test]
    fn each_mistake_is_found() {
        let (driver, tests) = (Sources::of_driver(), Sources::of_tests());
        let right = read();
        assert_eq!(mistakes(&right, &driver, &tests), [""; 0]);
        let file = repository().join("docs/rules.md");
        let text = std::fs::read_to_string(file).unwrap();
        for (from, to, complaint) in [
            ("| C7 |", "| C77 |", "C7 has 0 rows"),
            ("| C7 |", "| C5 |", "C5 has 2 rows"),
            (
                "`wdm::completion::propagating`",
                "nothing",
                "C5 names no code",
            ),
            (
                "`wdm::completion::propagating`",
                "`wdm::completion::propagate`",
                "C5: there is no wdm::completion::propagate (code)",
            ),
            (
                "`wdm::completion::propagating`",
                "`wdm::irql::Passive`",
                "C5: the code wdm::irql::Passive does not mention it",
            ),
            (
                "`pass_through::every_completion_arrives_unchanged`",
                "`pass_through::every_completion`",
                "C5: there is no pass_through::every_completion (test)",
            ),
            (
                "`pass_through::every_completion_arrives_unchanged`",
                "`unload::programs_do_not_notice`",
                "C5: the test unload::programs_do_not_notice does not mention it",
            ),
        ] {
            let text: Vec<String> = text
                .lines()
                .map(|line| {
                    let concerned = line.starts_with("| C5 |") || from.starts_with("| C7");
                    if concerned {
                        line.replace(from, to)
                    } else {
                        line.to_owned()
                    }
                })
                .collect();
            let found = mistakes(&parse(&text.join("\n")), &driver, &tests);
            assert!(
                found.iter().any(|mistake| mistake == complaint),
                "{to}: {found:?}"
            );
        }
    }
}
