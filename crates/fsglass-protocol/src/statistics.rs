//! Statistics: what requests have passed, per volume and operation.
//!
//! Counters only grow, for as long as they are kept: several clients read the same, none resets them
//! under another, and a difference of two readings is what happened in between. They are kept while some
//! client asks for it ([`crate::code::OBSERVE`]) or the setting `Statistics` is 1, and begin at 0 when the
//! first one does.

use crate::histogram::BUCKETS;
use crate::operation::Operation;
use crate::reader::{Malformed, Units, records, units};
use crate::sheet::{Sheet, SheetRecord};
use crate::version::VERSION;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Behind [`crate::Header`] in [`crate::code::OBSERVE`]: what this handle wants observed, until it says
/// otherwise or is closed.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Observe {
    /// 1: statistics are kept.
    pub statistics: U32,
}

/// What the answer to [`crate::code::STATISTICS`] begins with; the records follow.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct StatisticsHeader {
    /// The version of this layout.
    pub version: U32,
    /// Volumes in this answer.
    pub count: U32,
    /// Volumes that there are.
    pub total: U32,
    /// Bytes that an answer with all of them has, this header included.
    pub bytes: U32,
    /// Ticks per second, of this and all other durations.
    pub frequency: U64,
    /// When this was read, in ticks.
    pub now: U64,
    /// 1 if statistics are being kept now.
    pub kept: U32,
    /// Volumes that have no statistics because there was no room for them.
    pub forgotten: U32,
    /// Requests and calls that were not counted since counting began, because there was no memory for
    /// their counters, or observation keeps as much as it may.
    pub missed: U64,
}

/// One volume or file system. Behind it lie the name in UTF-16 and the [`OperationRecord`]s.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct StatisticsRecord {
    /// Bytes of the record, all of it.
    pub size: U32,
    /// Its number, which no other volume has while the driver runs: one that is mounted again has the same,
    /// unless so many others came in between that it was forgotten.
    pub volume: U32,
    /// 1 while the volume is filtered; 0: it is gone, and these are its last numbers.
    pub attached: u8,
    /// A [`crate::Kind`].
    pub kind: u8,
    /// Code units of the name.
    pub name_units: U16,
    /// Operations that have occurred.
    pub operations: U16,
    /// 0.
    pub reserved: U16,
}

/// What was counted of one operation. Behind it lie its [`BucketRecord`]s, those that are not 0.
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
pub struct OperationRecord {
    /// An [`Operation`].
    pub operation: u8,
    /// 0.
    pub reserved: u8,
    /// [`BucketRecord`]s.
    pub buckets: U16,
    /// Requests passed on, calls made; also what was passed on while statistics were kept before, and has
    /// not come back when they are kept again.
    pub started: U64,
    /// Those that have come back, declined ones of fast I/O included.
    pub completed: U64,
    /// Bytes transferred ([`Operation::transfers`]).
    pub bytes: U64,
    /// Completed with an informational status.
    pub informational: U64,
    /// Completed with a warning.
    pub warnings: U64,
    /// Completed with an error.
    pub errors: U64,
    /// For which the driver below returned STATUS_PENDING.
    pub pended: U64,
    /// That completed at DISPATCH_LEVEL.
    pub at_dispatch: U64,
    /// Calls of fast I/O that the driver below declined, or does not have.
    pub declined: U64,
    /// The longest, in ticks.
    pub longest: U64,
}

/// Requests whose duration falls into one bucket of the histogram ([`crate::histogram`]).
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
pub struct BucketRecord {
    /// Its number.
    pub bucket: U16,
    /// Requests.
    pub count: U64,
}

/// The answer to [`crate::code::STATISTICS`].
#[derive(Clone, Copy)]
pub struct Statistics<'b> {
    /// Its fixed part.
    pub header: &'b StatisticsHeader,
    records: &'b [u8],
}

impl<'b> Statistics<'b> {
    /// Over what the driver wrote.
    ///
    /// # Errors
    /// If that has no header of this version.
    pub fn parse(answer: &'b [u8]) -> Result<Self, Malformed> {
        let (header, records) = StatisticsHeader::ref_from_prefix(answer).map_err(|_| Malformed)?;
        if header.version.get() != VERSION {
            return Err(Malformed);
        }
        Ok(Self { header, records })
    }

    /// The volumes. The first that is malformed is the last.
    pub fn iter(&self) -> impl Iterator<Item = Result<VolumeStatistics<'b>, Malformed>> + use<'b> {
        records(
            self.records,
            self.header.count.get(),
            VolumeStatistics::split,
        )
    }
}

/// What was counted of one volume.
#[derive(Clone, Copy, Debug)]
pub struct VolumeStatistics<'b> {
    /// Its fixed part.
    pub fixed: &'b StatisticsRecord,
    name: &'b [U16],
    operations: &'b [u8],
}

/// One operation and its buckets.
pub type OperationStatistics<'b> = (Operation, &'b OperationRecord, &'b [BucketRecord]);

impl<'b> VolumeStatistics<'b> {
    fn split(bytes: &'b [u8]) -> Result<(Self, &'b [u8]), Malformed> {
        let (fixed, _) = StatisticsRecord::ref_from_prefix(bytes).map_err(|_| Malformed)?;
        let size = fixed.size.get() as usize;
        let (record, after) = bytes.split_at_checked(size).ok_or(Malformed)?;
        let rest = record
            .get(size_of::<StatisticsRecord>()..)
            .ok_or(Malformed)?;
        let (name, operations) = units(rest, fixed.name_units.get())?;
        let mut rest = operations;
        for _ in 0..fixed.operations.get() {
            rest = operation(rest)?.1;
        }
        if !rest.is_empty() {
            return Err(Malformed);
        }
        Ok((
            Self {
                fixed,
                name,
                operations,
            },
            after,
        ))
    }

    /// The name of the device.
    #[must_use]
    pub fn name(&self) -> Units<'b> {
        Units::new(self.name)
    }

    /// What was counted, by operation.
    pub fn operations(&self) -> impl Iterator<Item = OperationStatistics<'b>> + use<'b> {
        let mut rest = self.operations;
        core::iter::from_fn(move || {
            let (counted, after) = operation(rest).ok()?;
            rest = after;
            Some(counted)
        })
    }
}

/// The operation at the front, and what follows it.
fn operation(bytes: &[u8]) -> Result<(OperationStatistics<'_>, &[u8]), Malformed> {
    let (record, rest) = OperationRecord::ref_from_prefix(bytes).map_err(|_| Malformed)?;
    let operation = Operation::from_number(record.operation).ok_or(Malformed)?;
    let buckets = usize::from(record.buckets.get());
    let (buckets, rest) =
        <[BucketRecord]>::ref_from_prefix_with_elems(rest, buckets).map_err(|_| Malformed)?;
    if buckets
        .iter()
        .any(|bucket| usize::from(bucket.bucket.get()) >= BUCKETS)
    {
        return Err(Malformed);
    }
    Ok(((operation, record, buckets), rest))
}

/// Writes the answer to [`crate::code::STATISTICS`]: records one behind the other, as long as they fit whole.
pub struct StatisticsWriter<'b>(Sheet<'b>);

impl<'b> StatisticsWriter<'b> {
    /// Into `buffer`; `None` if it has no room for the header.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Option<Self> {
        Sheet::new(buffer, size_of::<StatisticsHeader>()).map(Self)
    }

    /// Begins the record of the volume called `name`.
    pub fn record(&mut self, name: &[u16]) -> VolumeWriter<'_, 'b> {
        let mut record = self.0.record();
        record.skip(size_of::<StatisticsRecord>());
        let name_units = record.units(name);
        VolumeWriter {
            record,
            name_units,
            operations: 0,
        }
    }

    /// Writes the header, whose fields `fill` sets but for those that the writer knows: the bytes written,
    /// and whether every record is among them.
    pub fn finish(self, fill: impl FnOnce(&mut StatisticsHeader)) -> (usize, bool) {
        let mut header = StatisticsHeader::new_zeroed();
        fill(&mut header);
        header.version = U32::new(VERSION);
        header.count = U32::new(self.0.count);
        header.total = U32::new(self.0.total);
        header.bytes = U32::new(self.0.needed());
        self.0.finish(&header)
    }
}

/// The record of a volume that is being written.
pub struct VolumeWriter<'w, 'b> {
    record: SheetRecord<'w, 'b>,
    name_units: u16,
    operations: u16,
}

impl VolumeWriter<'_, '_> {
    /// Adds an operation, and the buckets of it that are not empty: each by its number and count.
    pub fn operation(
        &mut self,
        operation: Operation,
        mut counted: OperationRecord,
        buckets: impl Iterator<Item = (usize, u64)>,
    ) {
        let at = self.record.skip(size_of::<OperationRecord>());
        counted.operation = operation.number();
        for (bucket, count) in buckets {
            let bucket = u16::try_from(bucket).unwrap_or(u16::MAX);
            self.record.put(&BucketRecord {
                bucket: U16::new(bucket),
                count: U64::new(count),
            });
            counted.buckets = U16::new(counted.buckets.get().saturating_add(1));
        }
        self.record.put_at(at, &counted);
        self.operations = self.operations.saturating_add(1);
    }

    /// Ends the record; `fill` sets its fields, but for those that the writer knows.
    pub fn finish(mut self, fill: impl FnOnce(&mut StatisticsRecord)) {
        let mut fixed = StatisticsRecord::new_zeroed();
        fill(&mut fixed);
        fixed.size = U32::new(self.record.size());
        fixed.name_units = U16::new(self.name_units);
        fixed.operations = U16::new(self.operations);
        self.record.put_at(0, &fixed);
        self.record.finish();
    }
}
