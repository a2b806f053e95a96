//! The subcommands and what they have in common.
//!
//! Exit codes: 0 clean, 1 a violation or a difference (also a driver that cannot
//! be loaded), 2 wrong usage, 3 a failure of ntbox itself.

/// `println!` by way of [`print`].
macro_rules! line {
    ($($argument:tt)*) => { super::print(&(format!($($argument)*) + "\n")) };
}

mod arguments;
mod bench;
mod check;
mod children;
mod clients;
mod control;
mod demo;
mod diff;
mod every_failure;
mod exports;
mod failure;
mod image;
mod machine;
mod mount;
mod observation_cost;
mod own_fault;
mod parse;
mod prepared;
mod progress;
mod report;
mod rules;
mod run;
mod shared;
mod standstill;
#[cfg(test)]
mod tests;
mod verify_cost;
mod watchdog;

use arguments::{Arguments, Command};
use clap::Parser;
use failure::Failure;
use ntbox::processor::fault::FAILED;
use std::process::ExitCode;

/// A clean run.
const CLEAN: u8 = 0;
/// A violation, a difference, or a driver that cannot be loaded.
const FOUND: u8 = 1;
/// Wrong usage.
const USAGE: u8 = 2;

/// Runs the command line of the process.
pub fn main() -> ExitCode {
    ntbox::host::expect_signals();
    own_fault::tell();
    // clap ends the process with 2 after wrong usage and with 0 after --help.
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Command::Run(options) => run::run(options),
        Command::Check(options) => check::run(options),
        Command::Mount(options) => mount::run(options),
        Command::MountWatch {
            mount_point,
            device,
        } => mount::watch(mount_point, *device),
        Command::Demo(options) => demo::run(options),
        Command::Exports(options) => exports::run(options),
        Command::Bench(options) => bench::run(options),
        Command::Rules(options) => rules::run(options),
        Command::Diff(options) => diff::run(options),
        Command::DiffSide(options) => diff::run_side(options),
    };
    ntbox::workload::media::remove_all();
    ExitCode::from(match result {
        Ok(true) => CLEAN,
        Ok(false) => FOUND,
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}\n\nFor more information, try '--help'.");
            USAGE
        }
        Err(Failure::Failed(message)) => {
            eprintln!("error: {message}");
            FOUND
        }
        Err(Failure::Itself(report)) => {
            eprint!("{report}");
            FAILED as u8
        }
    })
}

/// Writes to standard output. A reader that went away is no mistake of ours.
pub fn print(text: &str) {
    use std::io::Write;
    let mut output = std::io::stdout().lock();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

/// The command line as the shell would take it again.
pub fn command_line() -> String {
    quoted(std::env::args())
}

/// Arguments as the shell takes them.
pub fn quoted(arguments: impl IntoIterator<Item = String>) -> String {
    let quoted = arguments.into_iter().map(|argument| {
        let plain = |character: char| {
            character.is_ascii_alphanumeric()
                || "-_=/.,:+".contains(character)
                || cfg!(windows) && character == '\\'
        };
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else if cfg!(windows) {
            // What both of its shells take; names of files hold no quotation marks there.
            format!("\"{argument}\"")
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
