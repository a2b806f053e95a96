//! Makes each mutant of `mutants.toml`, runs the test that is to notice it, and writes the report.
//!
//! The drivers are built in a copy of the workspace in `target/mutants`, which keeps what it has
//! built: a mutant costs a compilation of `wdm` or the driver, and one test.

mod report;
mod run;

use fsglass_tests::mutants::{self, Mutant};
use run::{Outcome, Runner};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: mutants [FILTER]...

Makes each change of tests/mutants/mutants.toml in a copy of the workspace, and runs the test that is
to notice it. With FILTERs only those mutants are made whose rule is one of them, or whose item or
test contains one. If all come out as the table says, their results are written to docs/mutation.md,
which keeps those of the others.

Exits 0 if each is noticed, or said to survive.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument.starts_with('-')) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match all(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether one of the filters means it, or there are none.
fn is_meant(mutant: &Mutant, filters: &[String]) -> bool {
    let means = |filter: &String| {
        mutant.rule == *filter || mutant.item.contains(filter) || mutant.test.contains(filter)
    };
    filters.is_empty() || filters.iter().any(means)
}

/// Whether all came out as the table says.
fn all(filters: &[String]) -> Result<bool, String> {
    let mut mutants = mutants::read();
    mutants.retain(|mutant| is_meant(mutant, filters));
    if mutants.is_empty() {
        return Err(format!("there is no mutant {filters:?}"));
    }
    let runner = Runner::start(&mutants)?;
    let mut results = Vec::new();
    for mutant in &mutants {
        let outcome = runner.run(mutant)?;
        println!("{:<4} {:<60} {outcome}", mutant.rule, mutant.item);
        if outcome.is_a_surprise(mutant) {
            println!("       {} => {}", mutant.line, mutant.with);
        }
        results.push((mutant, outcome));
    }
    let noticed = results.iter().filter(|(_, outcome)| outcome.is_noticed());
    println!(
        "{} of {} mutants are noticed",
        noticed.count(),
        results.len()
    );
    let surprises = results
        .iter()
        .any(|(mutant, outcome)| outcome.is_a_surprise(mutant));
    if !surprises {
        report::write(&results)?;
    }
    Ok(!surprises)
}

impl Outcome {
    /// Whether it is not what the table says.
    fn is_a_surprise(&self, mutant: &Mutant) -> bool {
        match self {
            Self::Noticed(_) => mutant.survives.is_some(),
            Self::Survived => mutant.survives.is_none(),
            Self::NotMade(_) => true,
        }
    }
}
