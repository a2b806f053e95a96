//! The commands, one file each.

mod certificate;
mod doctor;
mod exercise;
mod install;
mod list;
mod replay;
mod report;
mod service;
mod stats;
#[cfg(test)]
mod stats_tests;
mod status;
mod time;
mod trace;
#[cfg(test)]
mod trace_tests;
mod verify;
mod volume;

use crate::arguments::{Command, CommandLine};
use crate::error::{Error, Exit, Result};
use crate::system::System;
use std::io::Write;
use std::path::PathBuf;

/// What a command works with.
pub struct Context<'c> {
    /// The system.
    pub system: &'c dyn System,
    /// The service of the driver.
    pub service: &'c str,
    /// Whether JSON is printed.
    pub json: bool,
    /// Where the answer goes.
    pub out: &'c mut dyn Write,
}

impl Context<'_> {
    /// Prints a value as JSON.
    fn print_json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(std::io::Error::from)?;
        writeln!(self.out, "{text}")?;
        Ok(())
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// What went wrong.
pub fn run(line: &CommandLine, system: &dyn System, out: &mut dyn Write) -> Result<Exit> {
    let context = &mut Context {
        system,
        service: &line.global.service,
        json: line.global.json,
        out,
    };
    match &line.command {
        Command::Exercise(arguments) => exercise::run(context, arguments),
        Command::Install { inf, boot } => install::install(context, inf.as_deref(), *boot),
        Command::Uninstall => install::uninstall(context),
        Command::Certificate { what } => certificate::run(context, what),
        Command::Doctor => doctor::run(context),
        Command::Verify { what } => verify::run(context, what),
        Command::Start => service::start(context),
        Command::Stop => service::stop(context),
        Command::Status => status::run(context),
        Command::List => list::run(context),
        Command::Stats(arguments) => stats::run(context, arguments),
        Command::Trace(arguments) => trace::run(context, arguments),
        Command::Replay(arguments) => replay::run(context, arguments),
        Command::Report(arguments) => report::run(context, arguments),
        Command::Attach(volume) => volume::attach(context, &volume.volume),
        Command::Detach(volume) => volume::detach(context, &volume.volume),
    }
}

/// Fails unless this process has administrator rights; `why` says what for.
fn administrator(system: &dyn System, why: &str) -> Result<()> {
    if system.is_administrator() {
        return Ok(());
    }
    Err(Error::new(format!("administrator rights are needed {why}"))
        .remedy("run this in a prompt that was opened with \"Run as administrator\"")
        .exiting(Exit::NotAdministrator))
}

/// The first of these files of the package that there is, in the directory of this program.
fn beside_program(names: &[&str]) -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let directory = program.parent().unwrap_or(&program);
    let mut candidates = names.iter().map(|name| directory.join(name));
    candidates.find(|path| path.is_file()).ok_or_else(|| {
        let what = format!(
            "there is no {} in {}",
            names.join(" or "),
            directory.display()
        );
        Error::new(what).remedy("run fsglass.exe from the package, or name the file")
    })
}

#[cfg(test)]
pub(crate) use replay::events_of;

#[cfg(test)]
mod tests;
