//! Requests as the driver reads them, and the answers of fixed size.

use crate::code;
use crate::name::{self, Name};
use crate::statistics::Observe;
use crate::trace::Filter;
use crate::version::VERSION;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What every request but [`code::VERSION`] begins with.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// The version that the caller speaks: [`VERSION`].
    pub version: U32,
}

impl Header {
    /// Of a caller with this crate.
    #[must_use]
    pub const fn new() -> Self {
        let version = U32::new(VERSION);
        Self { version }
    }
}

impl Default for Header {
    fn default() -> Self {
        Self::new()
    }
}

/// The answer to [`code::VERSION`]. Its layout never changes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct VersionReply {
    /// The oldest version that the driver speaks.
    pub oldest: U32,
    /// The newest version that the driver speaks.
    pub newest: U32,
    /// The version of the driver itself: major, minor, patch, 0.
    pub driver: [U16; 4],
}

/// The answer to [`code::SETTINGS`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SettingsReply {
    /// The version of this layout.
    pub version: U32,
    /// 1 if the driver can be unloaded.
    pub allow_unload: U32,
    /// What is printed at the debugger.
    pub debug_level: U32,
    /// What is filtered: bits of [`attach`].
    pub attach: U32,
    /// When the driver started: 100 ns since 1601.
    pub started: U64,
    /// Handles of the control device that are open, the caller's included.
    pub clients: U32,
    /// File systems and refusals that the list of volumes lacks, because there was no memory to
    /// keep them.
    pub forgotten: U32,
    /// What observation keeps.
    pub memory: Memory,
}

/// What observation keeps at this moment, and the most that it may keep.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Memory {
    /// Bytes of counters.
    pub statistics: U64,
    /// Bytes of the rings of traces.
    pub traces: U64,
    /// Bytes of names.
    pub names: U64,
    /// The most bytes of all of them together: the setting `ObservationMemory`.
    pub most: U64,
    /// Files whose names are kept.
    pub files: U32,
    /// The most files whose names are kept: the setting `Names`.
    pub most_files: U32,
    /// How often a name gave way to that of another file, since names are kept.
    pub forgotten_names: U32,
    /// 1 if file systems are asked for names: the setting `AskNames`.
    pub asks_names: U32,
}

/// Bits of [`SettingsReply::attach`], each for the setting of that name.
pub mod attach {
    /// `AttachDisk`.
    pub const DISK: u32 = 1 << 0;
    /// `AttachCdRom`.
    pub const CD_ROM: u32 = 1 << 1;
    /// `AttachNetwork`.
    pub const NETWORK: u32 = 1 << 2;
    /// `AttachDfs`.
    pub const DFS: u32 = 1 << 3;
    /// `AttachRaw`.
    pub const RAW: u32 = 1 << 4;
    /// `AttachShadowCopies`.
    pub const SHADOW_COPIES: u32 = 1 << 5;
}

/// A request that was understood.
#[derive(Clone, Copy)]
pub enum Request<'b> {
    /// [`code::VERSION`].
    Version,
    /// [`code::SETTINGS`].
    Settings,
    /// [`code::VOLUMES`].
    Volumes,
    /// [`code::ATTACH`].
    Attach(Name<'b>),
    /// [`code::DETACH`].
    Detach(Name<'b>),
    /// [`code::OBSERVE`]: whether statistics are wanted.
    Observe(bool),
    /// [`code::STATISTICS`].
    Statistics,
    /// [`code::TRACE_START`].
    TraceStart(Filter<'b>),
    /// [`code::TRACE_READ`].
    TraceRead,
    /// [`code::TRACE_STOP`].
    TraceStop,
}

/// Why a request was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// STATUS_INVALID_DEVICE_REQUEST.
    Code,
    /// STATUS_INFO_LENGTH_MISMATCH.
    Length,
    /// STATUS_REVISION_MISMATCH.
    Version,
    /// STATUS_INVALID_PARAMETER.
    Field,
}

impl<'b> Request<'b> {
    /// Reads the request of that code from its input.
    ///
    /// # Errors
    /// The first of code, length, version and fields that is wrong.
    pub fn decode(code: u32, input: &'b [u8]) -> Result<Self, Refusal> {
        match code {
            code::VERSION if input.is_empty() => return Ok(Self::Version),
            code::VERSION => return Err(Refusal::Length),
            _ if code::ALL.contains(&code) => {}
            _ => return Err(Refusal::Code),
        }
        let (header, rest) = Header::ref_from_prefix(input).map_err(|_| Refusal::Length)?;
        // First of all: another version may have another length and other fields.
        if header.version.get() != VERSION {
            return Err(Refusal::Version);
        }
        match code {
            code::ATTACH => return name::decode(rest).map(Self::Attach),
            code::DETACH => return name::decode(rest).map(Self::Detach),
            code::TRACE_START => return Filter::decode(rest).map(Self::TraceStart),
            code::OBSERVE => return observe(rest).map(Self::Observe),
            _ => {}
        }
        if !rest.is_empty() {
            return Err(Refusal::Length);
        }
        Ok(match code {
            code::SETTINGS => Self::Settings,
            code::VOLUMES => Self::Volumes,
            code::STATISTICS => Self::Statistics,
            code::TRACE_READ => Self::TraceRead,
            _ => Self::TraceStop,
        })
    }
}

/// What [`code::OBSERVE`] says.
fn observe(rest: &[u8]) -> Result<bool, Refusal> {
    let observe = Observe::ref_from_bytes(rest).map_err(|_| Refusal::Length)?;
    match observe.statistics.get() {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Refusal::Field),
    }
}
