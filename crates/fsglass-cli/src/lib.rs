//! `fsglass.exe`: installs, starts, shows and exercises the filter.
//!
//! | module | holds |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`commands`] | one file for each command: what it does, and what it shows |
//! | [`driver`] | the requests to the driver, as values |
//! | [`system`] | what is asked of Windows, behind one trait |
//! | [`trace`] | events, live and in files |
//! | [`report`] | a trace as a page |
//! | [`status`] | names of NTSTATUS values |
//! | [`histogram`] | distributions of durations |
//! | [`quantity`] | numbers with units |
//! | [`exercise`] | the workload |
//! | [`error`] | errors with code, text and remedy; exit codes |
//!
//! All but `system::windows` compiles everywhere and is tested on any host.

pub mod arguments;
pub mod commands;
pub mod driver;
pub mod error;
pub mod exercise;
pub mod histogram;
pub mod quantity;
pub mod report;
pub mod status;
pub mod system;
pub mod table;
pub mod trace;

use arguments::CommandLine;
use clap::Parser;
use std::process::ExitCode;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let system = system::of_driver(command_line.global.connect);
    let result = commands::run(&command_line, &*system, &mut std::io::stdout().lock());
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("fsglass: {}", error.explained(&*system));
            error.exit().into()
        }
    }
}
