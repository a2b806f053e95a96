//! `exercise`: a workload that verifies its own data.

use super::context::Context;
use crate::arguments::Exercise;
use crate::error::{Exit, Result};
use crate::exercise::{self, Options, Summary};
use std::fmt::Write;
use std::io::IsTerminal;

/// Runs it and shows the summary.
pub fn run(context: &mut Context<'_>, arguments: &Exercise) -> Result<Exit> {
    let options = Options {
        threads: arguments.threads,
        operations: arguments.operations,
        files: arguments.files,
        size: arguments.size * 1024,
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..)),
    };
    let total = u64::from(options.threads) * options.operations;
    let watched = std::io::stderr().is_terminal();
    let summary = exercise::run(&arguments.directory, &options, |done, elapsed| {
        if watched {
            let seconds = elapsed.as_secs();
            eprint!("\rexercise: {done} of {total} operations, {seconds} s ");
        }
    })?;
    if watched {
        eprintln!();
    }
    if context.json {
        context.print_json(&summary)?;
    } else {
        write!(context.out, "{}", text(&summary))?;
    }
    Ok(summary.exit())
}

fn text(summary: &Summary) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: String| {
        let _infallible = writeln!(text, "{what:14}{value}");
    };
    line("directory", summary.directory.display().to_string());
    line("threads", summary.threads.to_string());
    line("seed", summary.seed.to_string());
    let kinds = summary.operations.iter();
    let kinds: Vec<_> = kinds
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    line(
        "operations",
        format!("{} ({})", summary.total(), kinds.join(", ")),
    );
    let mega = |bytes: u64| bytes as f64 / 1e6;
    line("written", format!("{:.1} MB", mega(summary.bytes_written)));
    line(
        "read",
        format!("{:.1} MB, each byte compared", mega(summary.bytes_read)),
    );
    let rate = summary.total() as f64 / summary.seconds.max(1e-9);
    line(
        "time",
        format!("{:.1} s, {rate:.0} operations a second", summary.seconds),
    );
    line("differences", summary.differences.len().to_string());
    for difference in &summary.differences {
        line("", difference.clone());
    }
    line("failures", summary.failures.len().to_string());
    for failure in &summary.failures {
        line("", failure.clone());
    }
    text
}
