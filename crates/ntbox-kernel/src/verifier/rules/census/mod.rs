//! The census: what is published, and what becomes of it here.
//!
//! One row for each sub-code of bug check 0xC9, each of 0xC4, each WDM rule of DDI compliance, and
//! each bug check that a file-system filter can cause. It is checked, by rules that a bad driver
//! breaks, or not, and then for a reason. `published.txt` lists what the documentation has; a test
//! holds the rows complete against it. `docs/verifier.md` is made from them.

mod bug_checks;
mod compliance;
mod detected;
mod io_manager;

use super::Rule;

/// What is published, and what becomes of it.
#[derive(Debug)]
pub struct Entry {
    /// The bug check with its sub-code, or the name of a rule.
    pub code: &'static str,
    /// What becomes of it.
    pub state: State,
}

/// What becomes of what is published.
#[derive(Clone, Copy, Debug)]
pub enum State {
    /// Rules check it.
    Checked(&'static [&'static Rule]),
    /// No file-system filter can break it, or it is about what the box does not have.
    NotApplicable(&'static str),
    /// No check can tell that it is broken.
    NotCheckable(&'static str),
    /// Nobody checks it yet; what that would take.
    Open(&'static str),
}

/// What the rows are about.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// In the plural.
    pub title: &'static str,
    /// The page, or the beginning of the pages.
    pub page: &'static str,
    /// The rows.
    pub rows: &'static [Entry],
}

/// All of it.
pub static PARTS: [Part; 4] = [
    Part {
        title: "I/O verification errors (bug check 0xC9)",
        page: "debugger/bug-check-0xc9--driver-verifier-iomanager-violation",
        rows: io_manager::ROWS,
    },
    Part {
        title: "Errors that Driver Verifier detects (bug check 0xC4)",
        page: "debugger/bug-check-0xc4--driver-verifier-detected-violation",
        rows: detected::ROWS,
    },
    Part {
        title: "WDM rules of DDI compliance",
        page: "devtest/wdm-…",
        rows: compliance::ROWS,
    },
    Part {
        title: "Other bug checks",
        page: "debugger/bug-check-…",
        rows: bug_checks::ROWS,
    },
];

/// The rows of a part: `checked "code" RULE, …;`, `not_applicable "code" reason;` and so on.
macro_rules! census {
    ($($state:ident $code:literal $($by:expr),+;)*) => {
        pub(super) static ROWS: &[Entry] = &[$(Entry { code: $code, state: census!(@ $state $($by),+) }),*];
    };
    (@ checked $($rule:expr),+) => { State::Checked(&[$(&$rule),+]) };
    (@ not_applicable $reason:expr) => { State::NotApplicable($reason) };
    (@ not_checkable $reason:expr) => { State::NotCheckable($reason) };
    (@ open $reason:expr) => { State::Open($reason) };
}
use census;

/// Reasons that several rows have.
mod because {
    pub const DEVICE_STACK: &str = "of drivers that AddDevice adds to the stack of a device: above a file system's, filters go in FastIoDetachDevice";
    pub const BUS: &str = "of bus drivers and of the devices that they report";
    pub const STARTED: &str = "of IRP_MN_START_DEVICE, which no volume stack gets: a volume is mounted on a device that is started";
    pub const POWER: &str = "of power requests, which go to the devices of hardware";
    pub const WMI: &str = "of WMI requests, which the box does not send";
    pub const HARDWARE: &str = "of interrupts, controllers, adapters or memory of hardware";
    pub const NETWORK: &str = "of network drivers";
    pub const STREAMING: &str = "of streaming drivers";
    pub const NOT_EXPORTED: &str =
        "of routines that the box does not export: a driver that imports one is not loaded";
    pub const INTERNAL: &str = "about what Driver Verifier keeps for itself";
    pub const SESSIONS: &str = "of session space, which the box has not";
    pub const START_IO: &str =
        "of StartIo routines and device queues, which drivers of hardware have";
    pub const SOURCE: &str = "about the source code; the built driver does not show it";
}

#[cfg(test)]
mod tests;
