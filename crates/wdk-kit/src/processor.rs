//! The processors that drivers are built for.

use clap::ValueEnum;

/// A processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Processor {
    /// x64.
    #[value(name = "x86_64")]
    X64,
    /// ARM64.
    #[value(name = "aarch64")]
    Arm64,
}

impl Processor {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X64, Self::Arm64];

    /// The target triple of drivers.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::X64 => "x86_64-pc-windows-msvc",
            Self::Arm64 => "aarch64-pc-windows-msvc",
        }
    }

    /// The directory of its libraries in a WDK, as wdk-build spells it.
    #[must_use]
    pub fn library_directory(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Arm64 => "ARM64",
        }
    }

    /// What the linker calls it.
    #[must_use]
    pub fn machine(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Arm64 => "arm64",
        }
    }
}
