//! The commands, one file each.

mod certificate;
mod compare;
#[cfg(test)]
mod compare_tests;
mod context;
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
use crate::error::{Exit, Result};
use crate::system::System;
use context::Context;
use std::io::{ErrorKind, Write};

/// Where the answer goes, until nobody reads it any more.
struct Read<'o> {
    out: &'o mut dyn Write,
    /// The reader has left, as `head` does when it has enough.
    left: bool,
}

impl Read<'_> {
    fn seen<T>(&mut self, result: std::io::Result<T>) -> std::io::Result<T> {
        let error = result.as_ref().err();
        self.left |= error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe);
        result
    }
}

impl Write for Read<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes);
        self.seen(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.out.flush();
        self.seen(flushed)
    }
}

/// Does what the command line asks for; that nobody reads the answer to its end is no error.
///
/// # Errors
/// What went wrong.
pub fn run(line: &CommandLine, system: &dyn System, out: &mut dyn Write) -> Result<Exit> {
    let mut read = Read { out, left: false };
    let result = carry_out(line, system, &mut read);
    if read.left { Ok(Exit::Done) } else { result }
}

fn carry_out(line: &CommandLine, system: &dyn System, out: &mut dyn Write) -> Result<Exit> {
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
        Command::Compare(arguments) => compare::run(context, arguments),
        Command::Report(arguments) => report::run(context, arguments),
        Command::Attach(volume) => volume::attach(context, &volume.volume),
        Command::Detach(volume) => volume::detach(context, &volume.volume),
    }
}

#[cfg(test)]
pub(crate) use replay::events_of;

#[cfg(test)]
mod tests;
