//! What a comparison showed: as text for people and as JSON for programs.

use super::options::DiffOptions;
use super::sides::Died;
use ntbox::verifier::collected::{self, Collected};
use ntbox::workload::program::observation::{Observation, Seen};
use ntbox::workload::program::{Place, Program};
use serde::Serialize;
use std::fmt::Write as _;

/// Everything a comparison says.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// `diff`.
    pub command: &'static str,
    /// Seed of the first round.
    pub seed: u64,
    /// Threads.
    pub threads: u32,
    /// The bare side, then those under drivers.
    pub sides: Vec<String>,
    /// The stacks that cannot be, each with its reason.
    pub left_out: Vec<(String, String)>,
    /// Rounds that were compared.
    pub rounds: u32,
    /// Calls that were compared on each side.
    pub calls: u64,
    /// Of those on the bare side, how many were pended by the stack.
    pub pended: u64,
    /// Answered by fast I/O.
    pub fast: u64,
    /// Ended with an error.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// The difference, if there is one.
    pub found: Option<Found>,
    /// Steps of a program that was given with --keep.
    pub program: Vec<Step>,
    /// What a side reported when it ended: a violation.
    pub violation: Option<String>,
    /// What did not end a side, by its title: warnings, and violations with --keep-going.
    pub collected: Vec<(String, Vec<Collected>)>,
    /// Violations of both kinds.
    pub violations: u64,
    /// Milliseconds of everything.
    pub milliseconds: u64,
}

/// A difference.
#[derive(Debug, Serialize)]
pub struct Found {
    /// What the filtered side is under.
    pub side: String,
    /// Seed of the program.
    pub seed: u64,
    /// Where it was found.
    pub first: String,
    /// Operations of the program.
    pub operations: usize,
    /// Runs that shrinking it took.
    pub runs: u32,
    /// The difference of the shrunk program in fresh processes; `None` if it does not show there.
    pub again: Option<String>,
    /// The shrunk program.
    pub steps: Vec<Step>,
    /// The command that carries it out.
    pub replay: String,
}

/// An operation of a small program with its results.
#[derive(Debug, Serialize)]
pub struct Step {
    /// As `--keep` takes it.
    pub place: String,
    /// In words.
    pub operation: String,
    /// Its calls on the bare side.
    pub bare: Vec<String>,
    /// Under the drivers.
    pub filtered: Vec<String>,
}

impl Report {
    /// Nothing yet.
    pub fn new(options: &DiffOptions) -> Self {
        Self {
            command: "diff",
            seed: options.seed,
            threads: options.threads,
            ..Self::default()
        }
    }

    /// Counts a round that was compared.
    pub fn count(&mut self, bare: &Seen) {
        self.rounds += 1;
        self.calls += bare.calls();
        for seen in bare.threads.iter().flatten() {
            self.pended += u64::from(seen.pended);
            self.fast += u64::from(seen.fast);
            self.failed += u64::from(ntbox::nt::Status(seen.status).is_error());
            self.cancelled += u64::from(seen.status == ntbox::nt::STATUS_CANCELLED);
        }
    }

    /// A side ended with a report of its own.
    pub fn violation(&mut self, died: Died) {
        self.violation = Some(format!("under {}:\n{}", died.title, died.report));
        self.violations += 1;
    }

    /// What the sides have collected.
    pub fn collect(&mut self, sides: Vec<(String, Vec<Collected>)>) {
        self.collected = sides
            .into_iter()
            .filter(|(_, all)| !all.is_empty())
            .collect();
        let counts = self
            .collected
            .iter()
            .map(|(_, all)| collected::violations(all));
        self.violations += counts.sum::<u64>();
    }

    /// True if there was no difference and no violation.
    pub fn is_equal(&self) -> bool {
        self.found.is_none() && self.violations == 0
    }

    /// Prints it.
    pub fn show(&self, json: bool) {
        if json {
            let json = serde_json::to_string_pretty(self)
                .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
            super::super::print(&(json + "\n"));
        } else {
            super::super::print(&self.text());
        }
    }

    fn text(&self) -> String {
        let mut text = String::from("\n");
        if let Some(violation) = &self.violation {
            let _ = writeln!(text, "{violation}");
        }
        for (title, all) in &self.collected {
            let _ = write!(text, "under {title}:\n{}\n", collected::text(all));
        }
        if let Some(found) = &self.found {
            text += &found.text();
        }
        for step in &self.program {
            text += &step.text();
        }
        let share = |count: u64| {
            format!(
                "{count} ({:.1} %)",
                100.0 * count as f64 / self.calls.max(1) as f64
            )
        };
        text += &left_out(&self.left_out);
        let _ = write!(
            text,
            "sides         {}\nrounds        {} by {} threads, from seed {}\ncalls         {} on each side: {} pended, {} by fast I/O, {} failed, {} cancelled\ntime          {:.1} s\ndifferences   {}\nviolations    {}\n",
            self.sides.join(", "),
            self.rounds,
            self.threads,
            self.seed,
            self.calls,
            share(self.pended),
            share(self.fast),
            share(self.failed),
            share(self.cancelled),
            self.milliseconds as f64 / 1000.0,
            u32::from(self.found.is_some()),
            self.violations,
        );
        text
    }
}

/// What was not run, and why.
pub fn left_out(stacks: &[(String, String)]) -> String {
    let line = |(title, why): &(String, String)| {
        format!("not run       {title}: {why}\n              (--once does not try it)\n")
    };
    stacks.iter().map(line).collect()
}

impl Found {
    fn text(&self) -> String {
        let mut text = format!(
            "ntbox: a difference under {} (seed {})\n  {}\n\nshrunk from {} operations to {}, in {} runs:\n",
            self.side,
            self.seed,
            self.first,
            self.operations,
            self.steps.len(),
            self.runs
        );
        for (number, step) in self.steps.iter().enumerate() {
            let _ = write!(text, "{:3}. {}", number + 1, step.text());
        }
        match &self.again {
            Some(difference) => {
                let _ = writeln!(
                    text,
                    "\nits first difference, in fresh processes:\n  {difference}"
                );
            }
            None => text += "\nin fresh processes the shrunk program shows no difference\n",
        }
        let _ = writeln!(text, "the same again: {}\n", self.replay);
        text
    }
}

impl Step {
    fn text(&self) -> String {
        let mut text = format!("{} ({})\n", self.operation, self.place);
        for number in 0..self.bare.len().max(self.filtered.len()) {
            let of = |side: &[String]| {
                side.get(number)
                    .map_or_else(|| "no such call".to_owned(), String::clone)
            };
            let (bare, filtered) = (of(&self.bare), of(&self.filtered));
            if bare == filtered {
                let _ = writeln!(text, "       both      {bare}");
            } else {
                let _ = writeln!(text, "       bare      {bare}\n       filtered  {filtered}");
            }
        }
        text
    }
}

/// The operations of a small program with what the first two sides saw of them.
pub fn steps(program: &Program, volumes: u8, seen: &[Seen]) -> Vec<Step> {
    let calls = |side: usize, (thread, number): Place| -> Vec<String> {
        let calls = seen
            .get(side)
            .and_then(|seen| seen.threads.get(thread as usize - 1));
        let of_operation = |call: &&Observation| call.operation == number;
        calls
            .into_iter()
            .flatten()
            .filter(of_operation)
            .map(|call| format!("{}: {call}", call.call))
            .collect()
    };
    program
        .places()
        .into_iter()
        .map(|place| Step {
            place: format!("{}.{}", place.0, place.1),
            operation: program.operation(place, volumes).to_string(),
            bare: calls(0, place),
            filtered: calls(1, place),
        })
        .collect()
}

/// The command line of this process with another seed, and for these operations only.
pub fn replay(seed: u64, kept: &[Place]) -> String {
    const REPLACED: [&str; 3] = ["--seed", "--rounds", "--keep"];
    let mut arguments = Vec::new();
    let mut given = std::env::args();
    while let Some(argument) = given.next() {
        if REPLACED.contains(&argument.as_str()) {
            given.next();
        } else if argument != "--json"
            && !REPLACED
                .iter()
                .any(|name| argument.starts_with(&format!("{name}=")))
        {
            arguments.push(argument);
        }
    }
    arguments.extend(["--seed".to_owned(), seed.to_string()]);
    if !kept.is_empty() {
        let places: Vec<String> = kept
            .iter()
            .map(|(thread, number)| format!("{thread}.{number}"))
            .collect();
        arguments.extend(["--keep".to_owned(), places.join(",")]);
    }
    super::super::quoted(arguments)
}
