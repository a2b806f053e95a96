//! Errors with the code that Windows gave, its text, and what to do about it; exit codes.

use crate::system::System;
use std::fmt::{self, Write};
use std::process::ExitCode;

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done, and nothing is wrong.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// Called wrongly; clap ends the process with it.
    Usage = 2,
    /// Administrator rights are missing.
    NotAdministrator = 3,
    /// The driver is not installed, or does not run.
    NotRunning = 4,
    /// What was looked for was found: `doctor` an obstacle, `exercise` wrong data; a trace in a file
    /// is cut off.
    Found = 5,
    /// Done, and takes effect after a restart of Windows.
    Restart = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A code of Windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// An error of the Win32 interface.
    Win32(u32),
    /// An NTSTATUS.
    Nt(u32),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Win32(code) => write!(f, "error {code}"),
            Self::Nt(status) => write!(f, "status 0x{status:08X}"),
        }
    }
}

/// What went wrong.
#[derive(Debug)]
pub struct Error {
    what: String,
    code: Option<Code>,
    remedy: Option<String>,
    exit: Exit,
}

/// The result of what may go wrong.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Something failed, without a code of Windows.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            code: None,
            remedy: None,
            exit: Exit::Failed,
        }
    }

    /// Something failed with a code, which may say what to do and how to end.
    pub fn with_code(what: impl Into<String>, code: Code) -> Self {
        let known = Known::of(code);
        Self {
            what: what.into(),
            code: Some(code),
            remedy: known.map(|known| known.remedy.to_owned()),
            exit: known.map_or(Exit::Failed, |known| known.exit),
        }
    }

    /// What to do about it, where that is better known here than by the code.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// How the process ends, where that is better known here.
    #[must_use]
    pub fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The code, if there is one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.code
    }

    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// All of it for people: what, code, its text, remedy.
    #[must_use]
    pub fn explained(&self, system: &dyn System) -> String {
        let mut text = self.what.clone();
        if let Some(code) = self.code {
            let _infallible = write!(text, " ({code}");
            if let Some(words) = system.text(code) {
                let _infallible = write!(text, ": {}", words.trim_end().trim_end_matches('.'));
            }
            text.push(')');
        }
        if let Some(remedy) = &self.remedy {
            let _infallible = write!(text, "\n  what to do: {remedy}");
        }
        text
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// A code whose meaning here is known.
#[derive(Clone, Copy)]
struct Known {
    code: Code,
    exit: Exit,
    remedy: &'static str,
}

impl Known {
    const fn new(code: Code, exit: Exit, remedy: &'static str) -> Self {
        Self { code, exit, remedy }
    }

    fn of(code: Code) -> Option<Self> {
        KNOWN.iter().copied().find(|known| known.code == code)
    }
}

/// Codes that mean one thing in this program, whatever was being done.
const KNOWN: &[Known] = &[
    Known::new(
        Code::Win32(5),
        Exit::NotAdministrator,
        "run this in a prompt that was opened with \"Run as administrator\"",
    ),
    Known::new(
        Code::Win32(577),
        Exit::Failed,
        "Windows does not accept the driver's signature: `fsglass certificate install`, \
         `bcdedit /set testsigning on`, restart; `fsglass doctor` says which of them is missing",
    ),
    Known::new(
        Code::Win32(1052),
        Exit::Failed,
        "the driver cannot be unloaded, as is the default: set AllowUnload under the service's \
         Parameters key to 1, or restart Windows",
    ),
    Known::new(
        Code::Win32(1056),
        Exit::Failed,
        "it is still loaded. Where `fsglass status` says stopping, it waits for something, and `fsglass stop` \
         says for what. Where it says stopped, an entry that the driver wrote refers to it until the event log \
         has taken it: start the service EventLog if it does not run (`sc query EventLog`), wait half a minute, \
         and start the driver again, or restart Windows",
    ),
    Known::new(
        Code::Win32(1060),
        Exit::NotRunning,
        "the driver is not installed: `fsglass install`",
    ),
    Known::new(
        Code::Win32(1062),
        Exit::NotRunning,
        "it does not run; there is nothing to stop",
    ),
    Known::new(
        Code::Win32(1072),
        Exit::Restart,
        "the service is marked for deletion and goes away when the last program lets go of it: \
         close service managers, or restart Windows",
    ),
    Known::new(
        Code::Win32(1275),
        Exit::Failed,
        "Windows keeps legacy filters off: `fsglass doctor` says by which setting",
    ),
    Known::new(
        Code::Nt(0xC000_0022),
        Exit::NotAdministrator,
        "run this in a prompt that was opened with \"Run as administrator\"",
    ),
    Known::new(
        Code::Nt(0xC000_0059),
        Exit::Failed,
        "this fsglass.exe and the driver are of different versions: take both from one package",
    ),
    Known::new(
        Code::Nt(0xC000_0034),
        Exit::Failed,
        "no mounted volume has this name: open a file on it, which mounts it, and see `fsglass list`",
    ),
    Known::new(
        Code::Nt(0xC000_0035),
        Exit::Failed,
        "it is filtered already: see `fsglass list`",
    ),
    Known::new(
        Code::Nt(0xC000_0225),
        Exit::Failed,
        "it is not filtered: see `fsglass list`",
    ),
    Known::new(
        Code::Nt(0x8000_0011),
        Exit::Failed,
        "another filter lies above ours, and would lose its requests: see `fsglass list` for which",
    ),
    Known::new(
        Code::Nt(0xC000_009D),
        Exit::NotRunning,
        "ntbox has ended: start it again",
    ),
    Known::new(
        Code::Nt(0xC000_00CE),
        Exit::Failed,
        "as many traces run as can: stop another one",
    ),
    Known::new(
        Code::Nt(0xC000_009A),
        Exit::Failed,
        "the driver has no memory for it: ask for smaller rings with --ring",
    ),
    Known::new(
        Code::Nt(0xC000_000E),
        Exit::Failed,
        "the system refuses the attachment: `fsglass list` says why",
    ),
];
