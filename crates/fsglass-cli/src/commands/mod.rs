//! The commands, one file each.

mod exercise;
mod list;
mod service;
mod status;
mod time;
mod volume;

use crate::arguments::{Command, CommandLine};
use crate::error::{Exit, Result};
use crate::system::System;
use std::io::Write;

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
        Command::Start => service::start(context),
        Command::Stop => service::stop(context),
        Command::Status => status::run(context),
        Command::List => list::run(context),
        Command::Attach(volume) => volume::attach(context, &volume.volume),
        Command::Detach(volume) => volume::detach(context, &volume.volume),
    }
}
