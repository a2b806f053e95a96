//! The live trace: one record for each request that completed, and each call of fast I/O and FsFilter
//! operation that returned.
//!
//! A handle has at most one trace. [`crate::code::TRACE_START`] says what goes into it,
//! [`crate::code::TRACE_READ`] takes out what is there. Where nothing is, it waits until something is, and is
//! then answered with success and no bytes at all: read again. What finds no room in the
//! rings is counted and told with the next answer; no request ever waits for a reader.

use crate::operation::Operation;
use crate::reader::{Malformed, Units, records, units};
use crate::request::{Header, Refusal};
use crate::version::{OLDEST_TRACE, VERSION};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The most code units of the name of a file in a record: a longer one is cut off in front, where
/// the directories are.
pub const MAXIMUM_PATH: usize = 512;

/// The most code units of each pattern in a filter.
pub const MAXIMUM_PATTERN: usize = 240;

/// Behind [`crate::Header`] in [`crate::code::TRACE_START`]; the two patterns follow, the volume first.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TraceStart {
    /// Bytes of all rings of the trace together: a power of two between [`ring::LEAST`] and
    /// [`ring::GREATEST`]; 0 for [`ring::DEFAULT`].
    pub ring_bytes: U32,
    /// Bits of [`wanted`].
    pub wanted: U32,
    /// The process whose requests are recorded; 0 for all.
    pub process: U32,
    /// 0.
    pub reserved: U32,
    /// Those that took at least as long are recorded, in units of 100 ns.
    pub slower_than: U64,
    /// The operations that are recorded: bit [`Operation::number`].
    pub operations: U64,
    /// Code units of the name of the volume; 0 for all volumes.
    pub volume_units: U16,
    /// Code units of the pattern of the name of the file; 0 for all. `*` stands for any text, `?` for one
    /// code unit; upper and lower case are the same.
    pub pattern_units: U16,
}

/// Bits of [`TraceStart::wanted`].
pub mod wanted {
    /// Names of files are found out.
    pub const NAMES: u32 = 1 << 0;
    /// Only what failed: errors and warnings.
    pub const FAILURES_ONLY: u32 = 1 << 1;
    /// All bits that have a meaning.
    pub const ALL: u32 = NAMES | FAILURES_ONLY;
}

/// Sizes of the rings of a trace, all together, in bytes.
pub mod ring {
    /// The smallest.
    pub const LEAST: u32 = 16 << 10;
    /// Where the caller has no wish.
    pub const DEFAULT: u32 = 4 << 20;
    /// The largest.
    pub const GREATEST: u32 = 256 << 20;
}

/// What the answer to [`crate::code::TRACE_READ`] begins with; the records follow.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TraceHeader {
    /// The version of this layout.
    pub version: U32,
    /// Records in this answer.
    pub count: U32,
    /// Records that matched and were lost since the trace was started: there was no room for them.
    pub lost: U64,
    /// Ticks per second.
    pub frequency: U64,
    /// When this was read, in ticks.
    pub now: U64,
    /// The same moment: 100 ns since 1601.
    pub time: U64,
}

/// What kind a record is of: the first byte behind its size.
pub mod record {
    /// A [`super::TraceRecord`].
    pub const COMPLETED: u8 = 1;
    /// A [`super::VolumeNameRecord`].
    pub const VOLUME: u8 = 2;
}

/// A request that completed. Behind it lies the name of its file in UTF-16; its size is a multiple of 8.
///
/// A processor's records come in the order in which they were made, which is later than the completion that
/// they tell of; those of several processors are mixed.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct TraceRecord {
    /// Bytes of the record, all of it.
    pub size: U16,
    /// [`record::COMPLETED`].
    pub kind: u8,
    /// An [`Operation`].
    pub operation: u8,
    /// The minor function.
    pub minor: u8,
    /// The IRQL at completion.
    pub irql: u8,
    /// Code units of the name.
    pub name_units: U16,
    /// Bits of [`flags`].
    pub flags: U32,
    /// `Irp->Flags`; 0 for fast I/O and FsFilter operations.
    pub irp_flags: U32,
    /// The NTSTATUS that it completed with.
    pub status: U32,
    /// The volume: [`crate::StatisticsRecord::volume`], and told by a [`VolumeNameRecord`] before.
    pub volume: U32,
    /// The process in whose context it was sent.
    pub process: U32,
    /// The thread that sent it.
    pub thread: U32,
    /// `IoStatus.Information`.
    pub information: U64,
    /// When it was passed on, in ticks.
    pub started: U64,
    /// How long it was below, in ticks.
    pub duration: U64,
    /// `FileObject`, as a number that tells opens apart while they last.
    pub file: U64,
    /// What matters for that operation; [`parameters`] says what.
    pub parameters: [U64; 2],
}

/// What [`TraceRecord::parameters`] mean, by operation: nothing where an operation is not listed.
#[must_use]
pub const fn parameters(operation: Operation) -> [Option<&'static str>; 2] {
    const fn both(first: &'static str, second: &'static str) -> [Option<&'static str>; 2] {
        [Some(first), Some(second)]
    }
    match operation.plain() {
        Operation::CREATE => both("options", "access"),
        Operation::READ
        | Operation::WRITE
        | Operation::LOCK_CONTROL
        | Operation::FAST_CHECK_IF_POSSIBLE
        | Operation::FAST_READ
        | Operation::FAST_WRITE
        | Operation::FAST_LOCK
        | Operation::FAST_UNLOCK_SINGLE
        | Operation::FAST_MDL_READ
        | Operation::FAST_PREPARE_MDL_WRITE
        | Operation::FAST_READ_COMPRESSED
        | Operation::FAST_WRITE_COMPRESSED => both("offset", "length"),
        Operation::QUERY_INFORMATION
        | Operation::SET_INFORMATION
        | Operation::QUERY_VOLUME_INFORMATION
        | Operation::SET_VOLUME_INFORMATION
        | Operation::DIRECTORY_CONTROL
        | Operation::QUERY_OPEN => both("class", "length"),
        Operation::FILE_SYSTEM_CONTROL
        | Operation::DEVICE_CONTROL
        | Operation::FAST_DEVICE_CONTROL => both("code", "length"),
        Operation::ACQUIRE_FOR_SECTION => both("type", "protection"),
        Operation::ACQUIRE_FOR_MOD_WRITE => [Some("end"), None],
        _ => [None, None],
    }
}

/// Bits of [`TraceRecord::flags`].
pub mod flags {
    /// A driver below returned STATUS_PENDING.
    pub const PENDED: u32 = 1 << 0;
    /// A call of fast I/O that the driver below declined, or does not have: a request follows.
    pub const DECLINED: u32 = 1 << 1;
    /// The name is the one that the file was opened by, not the one that its file system gives it.
    pub const NAME_AS_OPENED: u32 = 1 << 2;
    /// The beginning of the name is cut off.
    pub const NAME_CUT: u32 = 1 << 3;
    /// The name was wanted, but there was no memory or no safe moment to find it out, or the file system did
    /// not tell it.
    pub const NAME_UNKNOWN: u32 = 1 << 4;
    /// Something on the volume was renamed since the name was found out: the file may be called otherwise
    /// now. Since version 2.
    pub const NAME_OLD: u32 = 1 << 5;
    /// Those about the name.
    pub const OF_NAMES: u32 = NAME_AS_OPENED | NAME_CUT | NAME_UNKNOWN | NAME_OLD;
}

/// The name of a volume, told once before its first request. Behind it lies the name in UTF-16; its
/// size is a multiple of 8.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct VolumeNameRecord {
    /// Bytes of the record, all of it.
    pub size: U16,
    /// [`record::VOLUME`].
    pub kind: u8,
    /// A [`crate::Kind`].
    pub what: u8,
    /// [`TraceRecord::volume`].
    pub volume: U32,
    /// Code units of the name.
    pub name_units: U16,
    /// 0.
    pub reserved: U16,
}

/// What [`crate::code::TRACE_START`] asks for.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'b> {
    /// The fixed part, checked.
    pub fixed: &'b TraceStart,
    /// The volume, or empty.
    pub volume: &'b [U16],
    /// The pattern, or empty.
    pub pattern: &'b [U16],
}

impl<'b> Filter<'b> {
    /// Reads what stands behind the header.
    pub(crate) fn decode(rest: &'b [u8]) -> Result<Self, Refusal> {
        let (fixed, rest) = TraceStart::ref_from_prefix(rest).map_err(|_| Refusal::Length)?;
        let ring = fixed.ring_bytes.get();
        let fits =
            ring == 0 || ring.is_power_of_two() && (ring::LEAST..=ring::GREATEST).contains(&ring);
        let [volume, pattern] = [fixed.volume_units, fixed.pattern_units].map(U16::get);
        let known = fixed.wanted.get() & !wanted::ALL == 0 && fixed.reserved.get() == 0;
        // A pattern without names would match nothing.
        let named = pattern == 0 || fixed.wanted.get() & wanted::NAMES != 0;
        let short =
            usize::from(volume) <= MAXIMUM_PATTERN && usize::from(pattern) <= MAXIMUM_PATTERN;
        if !(fits && known && named && short) {
            return Err(Refusal::Field);
        }
        let (volume, rest) = units(rest, volume).map_err(|_| Refusal::Length)?;
        let (pattern, rest) = units(rest, pattern).map_err(|_| Refusal::Length)?;
        if !rest.is_empty() {
            return Err(Refusal::Length);
        }
        Ok(Self {
            fixed,
            volume,
            pattern,
        })
    }
}

/// The answer to [`crate::code::TRACE_READ`].
#[derive(Clone, Copy)]
pub struct Trace<'b> {
    /// Its fixed part.
    pub header: &'b TraceHeader,
    records: &'b [u8],
}

/// One record of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Record<'b> {
    /// A request completed; the name of its file may be empty.
    Completed(&'b TraceRecord, Units<'b>),
    /// A volume's name.
    Volume(&'b VolumeNameRecord, Units<'b>),
}

impl<'b> Trace<'b> {
    /// Over what the driver wrote.
    ///
    /// # Errors
    /// If that has no header of a version that is known.
    pub fn parse(answer: &'b [u8]) -> Result<Self, Malformed> {
        let (header, records) = TraceHeader::ref_from_prefix(answer).map_err(|_| Malformed)?;
        if !(OLDEST_TRACE..=VERSION).contains(&header.version.get()) {
            return Err(Malformed);
        }
        Ok(Self { header, records })
    }

    /// The records. The first that is malformed is the last.
    pub fn iter(&self) -> impl Iterator<Item = Result<Record<'b>, Malformed>> + use<'b> {
        records(self.records, self.header.count.get(), Record::split)
    }
}

impl<'b> Record<'b> {
    /// The record at the front, and what follows it.
    ///
    /// # Errors
    /// If it does not keep to the layout.
    pub fn split(bytes: &'b [u8]) -> Result<(Self, &'b [u8]), Malformed> {
        let (size, _) = U16::ref_from_prefix(bytes).map_err(|_| Malformed)?;
        let size = usize::from(size.get());
        let (all, after) = bytes.split_at_checked(size).ok_or(Malformed)?;
        let kind = all.get(size_of::<U16>()).ok_or(Malformed)?;
        let record = match *kind {
            record::COMPLETED => {
                let (fixed, rest) = TraceRecord::ref_from_prefix(all).map_err(|_| Malformed)?;
                Operation::from_number(fixed.operation).ok_or(Malformed)?;
                let (name, _padding) = units(rest, fixed.name_units.get())?;
                Self::Completed(fixed, Units::new(name))
            }
            record::VOLUME => {
                let (fixed, rest) =
                    VolumeNameRecord::ref_from_prefix(all).map_err(|_| Malformed)?;
                let (name, _padding) = units(rest, fixed.name_units.get())?;
                Self::Volume(fixed, Units::new(name))
            }
            _ => return Err(Malformed),
        };
        Ok((record, after))
    }
}

/// Writes a request to start a trace into `buffer`, and returns its length; `None` if a pattern is too long
/// or does not fit.
#[must_use]
pub fn encode_start(
    mut fixed: TraceStart,
    volume: &[u16],
    pattern: &[u16],
    buffer: &mut [u8; MAXIMUM_START],
) -> Option<usize> {
    let units = |text: &[u16]| {
        let count = u16::try_from(text.len()).ok()?;
        (text.len() <= MAXIMUM_PATTERN).then_some(U16::new(count))
    };
    fixed.volume_units = units(volume)?;
    fixed.pattern_units = units(pattern)?;
    let (header, rest) = buffer.split_at_mut_checked(size_of::<Header>())?;
    Header::new().write_to(header).ok()?;
    fixed.write_to_prefix(rest).ok()?;
    let mut end = size_of::<Header>() + size_of::<TraceStart>();
    for unit in volume.iter().chain(pattern) {
        let bytes = unit.to_le_bytes();
        buffer
            .get_mut(end..end + bytes.len())?
            .copy_from_slice(&bytes);
        end += bytes.len();
    }
    Some(end)
}

/// The most bytes of a request to start a trace.
pub const MAXIMUM_START: usize =
    size_of::<Header>() + size_of::<TraceStart>() + 2 * MAXIMUM_PATTERN * size_of::<u16>();
