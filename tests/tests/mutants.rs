//! The table of mutants: each can be made, and each rule has one. `./dev mutants` makes them.

use fsglass_tests::drivers::repository;
use fsglass_tests::sources::Sources;
use fsglass_tests::{mutants, rules_table};

/// Each mutant finds its line, and names a test that is named for its rule.
#[test]
fn each_mutant_finds_its_line() {
    let driver = Sources::of_driver();
    let rules = rules_table::read();
    let mut wrong = Vec::new();
    for mutant in mutants::read() {
        if let Err(error) = mutant.place(&driver) {
            wrong.push(format!("{}: {error}", mutant.rule));
        }
        let rule = rules.iter().find(|rule| rule.id == mutant.rule);
        if !rule.is_some_and(|rule| rule.tests.contains(&mutant.test)) {
            wrong.push(format!("{}: {} is not its test", mutant.rule, mutant.test));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each rule is broken by a mutant that is noticed.
#[test]
fn each_rule_has_a_mutant() {
    let mutants = mutants::read();
    for rule in rules_table::read() {
        let noticed = |mutant: &&mutants::Mutant| mutant.survives.is_none();
        assert!(
            mutants
                .iter()
                .filter(noticed)
                .any(|mutant| mutant.rule == rule.id),
            "{} has no mutant",
            rule.id
        );
    }
}

/// The report is about these mutants, and says of each that it is noticed or why it is not.
#[test]
fn the_report_is_up_to_date() {
    let file = repository().join("docs/mutation.md");
    let report = std::fs::read_to_string(&file).unwrap_or_default();
    let mutants = mutants::read();
    for mutant in &mutants {
        let result = mutant.result_in(&report).unwrap_or_default();
        let expected = match &mutant.survives {
            None => !result.is_empty() && !result.starts_with("not noticed"),
            Some(reason) => result == format!("not noticed: {reason}"),
        };
        assert!(
            expected,
            "{result:?} stands in {} for\n{}\n`./dev mutants {}` writes it anew",
            file.display(),
            mutant.row(),
            mutant.rule
        );
    }
    let rows = report.lines().filter(|line| line.starts_with("| "));
    assert_eq!(
        rows.count(),
        1 + mutants.len(),
        "the head of the table, and a row each"
    );
}
