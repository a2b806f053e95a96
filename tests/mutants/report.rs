//! `docs/mutation.md`.

use crate::run::Outcome;
use fsglass_tests::drivers::repository;
use fsglass_tests::mutants::{self, Mutant};
use std::fmt::Write as _;

const HEAD: &str = "\
# Mutation check

Do the tests bite? Each row is a change of one line that breaks a rule of [rules.md](rules.md). \
`./dev mutants` makes it in a copy of the workspace, builds the drivers, and runs the one test that is \
to notice it. A row says what came of it when it was last made; `./dev test` checks that the rows are \
those of [`tests/mutants/mutants.toml`](../tests/mutants/mutants.toml), and that each still finds its \
line.

";

/// Writes the results into the report, which keeps those of mutants that were not made.
pub fn write(results: &[(&Mutant, Outcome)]) -> Result<(), String> {
    let file = repository().join("docs/mutation.md");
    let present = std::fs::read_to_string(&file).unwrap_or_default();
    let text = text(&mutants::read(), results, &present);
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// The report; a mutant that neither was made nor is in the `present` report is left out.
fn text(mutants: &[Mutant], results: &[(&Mutant, Outcome)], present: &str) -> String {
    let rows = mutants.iter().filter_map(|mutant| {
        let made = results.iter().find(|(made, _)| *made == mutant);
        let result = match (made.map(|(_, outcome)| outcome), &mutant.survives) {
            (Some(Outcome::Survived), Some(reason)) => format!("not noticed: {reason}"),
            (Some(outcome), _) => outcome.to_string(),
            (None, _) => mutant.result_in(present)?.to_owned(),
        };
        Some((mutant.row(), result))
    });
    let rows: Vec<_> = rows.collect();
    let noticed = rows
        .iter()
        .filter(|(_, result)| !result.starts_with("not noticed"));
    let mut text = HEAD.to_owned();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "**{} of {} mutants are noticed.**\n\n\
         | rule | item | line | replaced by | test | how it is noticed |\n|---|---|---|---|---|---|",
        noticed.count(),
        rows.len()
    );
    for (row, result) in &rows {
        let _ = writeln!(text, "{row} {result} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Mutant> {
        let mut mutants = mutants::read();
        mutants.truncate(3);
        mutants[1].survives = Some("nobody could".to_owned());
        mutants
    }

    #[test]
    fn the_score_and_the_survivors_are_told() {
        let mutants = table();
        let outcomes = ["X", "", "Y"].map(|rule| match rule {
            "" => Outcome::Survived,
            rule => Outcome::Noticed(format!("violation of {rule}")),
        });
        let results: Vec<_> = mutants.iter().zip(outcomes).collect();
        let text = text(&mutants, &results, "");
        assert!(text.contains("**2 of 3 mutants are noticed.**"), "{text}");
        let said = mutants.iter().map(|mutant| mutant.result_in(&text));
        let expected = [
            "violation of X",
            "not noticed: nobody could",
            "violation of Y",
        ];
        assert_eq!(said.collect::<Vec<_>>(), expected.map(Some));
    }

    #[test]
    fn what_was_not_made_keeps_its_row() {
        let mutants = table();
        let noticed = |how: &str| Outcome::Noticed(how.to_owned());
        let before = text(&mutants, &[(&mutants[0], noticed("so"))], "");
        let after = text(&mutants, &[(&mutants[2], noticed("otherwise"))], &before);
        let said = mutants.iter().map(|mutant| mutant.result_in(&after));
        assert_eq!(
            said.collect::<Vec<_>>(),
            [Some("so"), None, Some("otherwise")]
        );
    }
}
