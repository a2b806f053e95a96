//! What the registry may change, read once in DriverEntry.
//!
//! | value under `Parameters` | from 0 to | default | meaning |
//! |---|---|---|---|
//! | `AllowUnload` | 1 | 0 | 1: the driver has a DriverUnload, for test machines; each request then pays for it |
//! | `DebugLevel` | 2 | 1 | what is printed at the debugger: 0 nothing, 1 problems, 2 also what is attached |
//! | `Statistics` | 1 | 0 | 1: statistics are kept from the start, not only while a client wants them |
//! | `ObservationMemory` | 1024 | 64 | the most MB (1,048,576 bytes) that observation keeps: counters, rings, names |
//! | `Names` | 1048576 | 16384 | the most files whose names are kept for traces with names |
//! | `AskNames` | 1 | 1 | 0: file systems are not asked for names; files are called what they were opened by |
//! | `AttachDisk` | 1 | 1 | 1: file systems on disks are filtered |
//! | `AttachCdRom` | 1 | 1 | 1: file systems on CD and DVD media are filtered |
//! | `AttachNetwork` | 1 | 1 | 1: network redirectors are filtered |
//! | `AttachDfs` | 1 | 0 | 1: devices of the distributed file system are filtered |
//! | `AttachRaw` | 1 | 1 | 1: volumes that no file system knows are filtered |
//! | `AttachShadowCopies` | 1 | 0 | 1: volumes of shadow copies are filtered |
//!
//! All are REG_DWORD. A value that is missing has its default. One that cannot be
//! understood has its default too, and is reported.

use crate::policy::Policy;
use crate::report;
use wdm::event_log::Source;
use wdm::registry::Key;
use wdm::status::Status;
use wdm::unicode;
use wdm::unicode::UnicodeStr;

/// The settings of this run.
pub struct Settings {
    /// Whether DriverUnload exists (A12).
    pub allow_unload: bool,
    /// What is printed at the debugger.
    pub debug_level: u32,
    /// Whether statistics are always kept.
    pub statistics: bool,
    /// The most bytes that observation keeps.
    pub observation_memory: u64,
    /// The most files whose names are kept.
    pub names: u32,
    /// Whether file systems are asked for names.
    pub ask_names: bool,
    /// What is filtered (A8).
    pub policy: Policy,
}

impl Settings {
    /// With no value in the registry.
    pub const DEFAULT: Self = Self {
        allow_unload: false,
        debug_level: report::DEFAULT_LEVEL,
        statistics: false,
        observation_memory: 64 << 20,
        names: 16_384,
        ask_names: true,
        policy: Policy::DEFAULT,
    };

    /// Reads the settings of the service; `log` is told of what cannot be understood.
    pub fn read(parameters: &Key<'_>, log: Source<'_>) -> Self {
        let number = |name, largest, default| read_number(parameters, log, name, largest, default);
        // First of all: it decides whether the others are reported at the debugger.
        let debug_level = number(unicode!("DebugLevel"), 2, Self::DEFAULT.debug_level);
        report::set_level(debug_level);
        let megabytes = (Self::DEFAULT.observation_memory >> 20) as u32;
        let megabytes = number(unicode!("ObservationMemory"), 1024, megabytes);
        let names = number(unicode!("Names"), 1 << 20, Self::DEFAULT.names);
        let switch = |name, default| number(name, 1, u32::from(default)) == 1;
        Self {
            allow_unload: switch(unicode!("AllowUnload"), Self::DEFAULT.allow_unload),
            debug_level,
            statistics: switch(unicode!("Statistics"), Self::DEFAULT.statistics),
            observation_memory: u64::from(megabytes) << 20,
            names,
            ask_names: switch(unicode!("AskNames"), Self::DEFAULT.ask_names),
            policy: Policy::read(switch),
        }
    }
}

/// A REG_DWORD up to `largest`; anything else counts as `default` and is reported.
fn read_number(
    parameters: &Key<'_>,
    log: Source<'_>,
    name: UnicodeStr<'_>,
    largest: u32,
    default: u32,
) -> u32 {
    let status = match parameters.dword(name) {
        Ok(value) if value <= largest => return value,
        Err(Status::OBJECT_NAME_NOT_FOUND) => return default,
        Ok(_too_large) => Status::INVALID_PARAMETER,
        Err(status) => status,
    };
    report::record(
        log,
        &report::SETTING_IGNORED,
        status,
        &[
            format_args!("{name}"),
            format_args!("{largest}"),
            format_args!("{status}"),
            format_args!("{default}"),
        ],
    );
    default
}
