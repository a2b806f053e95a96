//! What a command works with, and what several need.

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
    pub(super) fn print_json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(std::io::Error::from)?;
        writeln!(self.out, "{text}")?;
        Ok(())
    }

    /// Prints rows as CSV, with a heading.
    pub(super) fn print_csv(&mut self, rows: &[impl serde::Serialize]) -> Result<()> {
        let mut writer = csv::Writer::from_writer(&mut *self.out);
        for row in rows {
            writer.serialize(row).map_err(std::io::Error::from)?;
        }
        writer.flush()?;
        Ok(())
    }
}

/// Fails unless this process has administrator rights; `why` says what for.
pub(super) fn administrator(system: &dyn System, why: &str) -> Result<()> {
    if system.is_administrator() {
        return Ok(());
    }
    Err(Error::new(format!("administrator rights are needed {why}"))
        .remedy("run this in a prompt that was opened with \"Run as administrator\"")
        .exiting(Exit::NotAdministrator))
}

/// The first of these files of the package that there is, in the directory of this program.
pub(super) fn beside_program(names: &[&str]) -> Result<PathBuf> {
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
