//! Why an image is refused.

use std::fmt;
use std::path::PathBuf;

/// A file that is no driver image, or one that cannot run here.
#[derive(Debug)]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with an image.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file cannot be read.
    Unreadable(String),
    /// The file is not a PE image, or its headers do not hold together.
    NotAnImage(String),
    /// The image is for another processor.
    Machine(u16),
    /// The image is not for the native subsystem, that is, no driver.
    Subsystem(u16),
    /// The image has no entry point.
    NoEntryPoint,
    /// The image must lie at its preferred address.
    NoRelocations,
    /// A relocation of a kind that x86-64 images do not have.
    RelocationKind(u16),
    /// Sections are not laid out in whole pages.
    SectionAlignment(u32),
    /// A table of the image points outside it.
    Truncated(&'static str),
    /// Every import that nothing here provides, as `image!name`.
    Unresolved(Vec<String>),
    /// The host has no memory left.
    OutOfMemory,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::NotAnImage(error) => write!(f, "is not a PE image: {error}"),
            Self::Machine(machine) => {
                let name = match machine {
                    0x014C => " (x86)",
                    0xAA64 => " (ARM64)",
                    0x01C4 => " (ARM)",
                    _ => "",
                };
                write!(
                    f,
                    "is for machine 0x{machine:04X}{name}; drivers run here are for x86-64 (0x8664)"
                )
            }
            Self::Subsystem(subsystem) => {
                write!(
                    f,
                    "has subsystem {subsystem}; a driver has the native subsystem (1)"
                )
            }
            Self::NoEntryPoint => f.write_str("has no entry point"),
            Self::NoRelocations => {
                f.write_str("has no relocations and cannot be moved from its preferred address")
            }
            Self::RelocationKind(kind) => write!(f, "has a relocation of kind {kind}"),
            Self::SectionAlignment(alignment) => {
                write!(
                    f,
                    "has section alignment {alignment}; the sections of a driver lie on whole pages (4096)"
                )
            }
            Self::Truncated(what) => write!(f, "is damaged: {what} reaches outside the image"),
            Self::Unresolved(names) => {
                let (count, noun) = (
                    names.len(),
                    if names.len() == 1 {
                        "import"
                    } else {
                        "imports"
                    },
                );
                write!(f, "{count} {noun} that ntbox does not provide:")?;
                names.iter().try_for_each(|name| write!(f, "\n  {name}"))
            }
            Self::OutOfMemory => f.write_str("cannot be mapped: the host has no memory left"),
        }
    }
}

impl std::error::Error for LoadError {}
