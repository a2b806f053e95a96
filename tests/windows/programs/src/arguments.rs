//! A command line, taken apart.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The options that were given, and the files.
pub struct Arguments {
    switches: Vec<String>,
    values: Vec<(String, String)>,
    /// What is no option.
    pub files: Vec<PathBuf>,
}

impl Arguments {
    /// Takes a command line apart: `switches` stand alone, each of `options` is followed by its
    /// value, or has it behind a colon if its name ends in one.
    ///
    /// # Errors
    /// For an option without its value. An option that is not known counts as a file.
    pub fn parse(arguments: &[String], switches: &[&str], options: &[&str]) -> Result<Self> {
        let mut parsed = Self {
            switches: Vec::new(),
            values: Vec::new(),
            files: Vec::new(),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let known = |name: &&&str| argument.eq_ignore_ascii_case(name);
            let mut joined = options.iter().filter(|option| option.ends_with(':'));
            if let Some(name) = switches.iter().find(known) {
                parsed.switches.push((*name).to_owned());
            } else if let Some(name) = options.iter().find(known) {
                let value = rest.next();
                let value = value.with_context(|| format!("{name} needs a value"))?;
                parsed.values.push(((*name).to_owned(), value.clone()));
            } else if let Some(name) = joined.find(|name| {
                let start = argument.get(..name.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(name))
            }) {
                let value = argument[name.len()..].to_owned();
                parsed.values.push(((*name).to_owned(), value));
            } else {
                parsed.files.push(PathBuf::from(argument));
            }
        }
        Ok(parsed)
    }

    /// Whether a switch is there.
    pub fn has(&self, switch: &str) -> bool {
        self.switches.iter().any(|given| given == switch)
    }

    /// The value of an option.
    ///
    /// # Errors
    /// When it was not given.
    pub fn value(&self, option: &str) -> Result<&str> {
        let mut values = self.values.iter();
        let found = values.find(|(given, _)| given == option);
        let (_, value) = found.with_context(|| format!("{option} is missing"))?;
        Ok(value)
    }

    /// The values of an option that may be repeated.
    pub fn values(&self, option: &str) -> impl Iterator<Item = &str> {
        self.values
            .iter()
            .filter(move |(given, _)| given == option)
            .map(|(_, value)| value.as_str())
    }

    /// The one file.
    ///
    /// # Errors
    /// When there is none, or more than one, as an unknown option would be.
    pub fn file(&self) -> Result<&Path> {
        match self.files.as_slice() {
            [file] => Ok(file),
            [] => bail!("no file is named"),
            [first, ..] => bail!("{} is no option that is known here", first.display()),
        }
    }

    /// The one file, which is there.
    ///
    /// # Errors
    /// As [`Self::file`], and when it is not there.
    pub fn present_file(&self) -> Result<&Path> {
        present(self.file()?)
    }
}

/// A file that is there.
///
/// # Errors
/// When it is not.
pub fn present(file: &Path) -> Result<&Path> {
    if !file.is_file() {
        bail!("{} is not there", file.display());
    }
    Ok(file)
}
