//! One trace: its filter, its rings, and who waits for it.

use super::observation::Completed;
use super::volumes::Volumes;
use fsglass_protocol::trace::{
    Filter, MAXIMUM_PATH, TraceHeader, TraceRecord, VolumeNameRecord, record, ring, wanted,
};
use fsglass_protocol::{VERSION, trace};
use observe::AtomicU64;
use observe::doorbell::Doorbell;
use observe::pattern;
use observe::ring::{Popped, Ring};
use wdm::irp::Parking;
use wdm::irql::{AtMostDispatch, Passive};
use wdm::pool::{NonPagedArc, NonPagedSlice};
use wdm::processors::PerProcessor;
use wdm::status::Status;
use wdm::sync::Mutex;
use wdm::time;
use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, IntoBytes, transmute};

/// Words of a [`TraceRecord`].
const WORDS: usize = size_of::<TraceRecord>() / size_of::<u64>();

/// Bytes that an answer needs at least, so that any record fits.
const LEAST: usize = size_of::<TraceHeader>() + size_of::<TraceRecord>() + 2 * MAXIMUM_PATH + 8;

/// A trace.
pub struct Reader {
    operations: u64,
    process: u32,
    failures_only: bool,
    names: bool,
    /// In ticks.
    slower_than: u64,
    volume: NonPagedSlice<u16>,
    pattern: NonPagedSlice<u16>,
    rings: PerProcessor<Ring<NonPagedSlice<AtomicU64>>>,
    bell: Doorbell,
    parking: NonPagedArc<Parking>,
    /// Rings have one reader at a time: a program may send any number of requests at once.
    reading: Mutex<Reading>,
}

/// Where reading is.
#[derive(Default)]
struct Reading {
    /// Volumes whose names have been told: those with a lower number.
    told: u32,
    /// The processor with whose ring the next reading begins, so that none is always the last.
    first: usize,
}

impl Reader {
    /// A trace of what `filter` wants, whose client waits in `parking`.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new(filter: &Filter<'_>, parking: NonPagedArc<Parking>) -> Result<Self, Status> {
        let fixed = filter.fixed;
        let bytes = match fixed.ring_bytes.get() {
            0 => ring::DEFAULT,
            bytes => bytes,
        };
        let words = bytes as usize / size_of::<u64>();
        let rings = PerProcessor::try_new(|| {
            Ring::new(NonPagedSlice::try_zeroed(words)?).ok_or(Status::INVALID_PARAMETER)
        });
        let wanted = fixed.wanted.get();
        Ok(Self {
            operations: fixed.operations.get(),
            process: fixed.process.get(),
            failures_only: wanted & wanted::FAILURES_ONLY != 0,
            names: wanted & wanted::NAMES != 0,
            slower_than: time::in_ticks(fixed.slower_than.get()),
            volume: copied(filter.volume)?,
            pattern: copied(filter.pattern)?,
            rings: rings?,
            bell: Doorbell::new(),
            parking,
            reading: Mutex::try_new(Reading::default())?,
        })
    }

    /// Whether the trace is about it.
    fn wants(&self, completed: &Completed<'_>) -> bool {
        let observation = completed.observation;
        let failed = completed.outcome.status >> 31 != 0;
        self.operations & (1 << observation.operation.number()) != 0
            && (self.process == 0 || self.process == observation.process)
            && (failed || !self.failures_only)
            && completed.outcome.ticks >= self.slower_than
            && (self.volume.is_empty()
                || pattern::matches(&self.volume, completed.volume.name().units()))
            && (self.pattern.is_empty() || pattern::matches(&self.pattern, completed.name))
    }

    /// Adds a record of what came back, if the trace is about it, and wakes who waits for it.
    /// IRQL: ≤ DISPATCH_LEVEL.
    pub fn record(&self, completed: &Completed<'_>, level: &mut AtMostDispatch) {
        if !self.wants(completed) {
            return;
        }
        let name: &[u16] = if self.names { completed.name } else { &[] };
        let words: [u64; WORDS] = transmute!(filled(completed, name.len(), self.names));
        let [first, rest @ ..] = words;
        let name = name.chunks(4).map(word);
        if let Some(ring) = self.rings.current() {
            ring.push(first, rest.into_iter().chain(name));
        }
        if self.bell.ring()
            && let Some(waiting) = self.parking.take(level)
        {
            waiting.complete(Status::SUCCESS);
        }
    }

    /// Whether there is nothing to read. Where another request is taking a record out, a ring looks empty in
    /// between, so that this waits for it.
    pub fn is_empty(&self, level: &mut Passive) -> bool {
        self.reading
            .with(level, |_, _| self.rings.iter().all(Ring::is_empty))
    }

    /// The client waits from here on: whoever adds a record wakes it. Whether it has to wake itself,
    /// because there was one before.
    pub fn sleeps(&self, level: &mut Passive) -> bool {
        self.bell.arm();
        self.is_empty(level) || !self.bell.disarm()
    }

    /// Writes what there is into `output`: names of volumes first, then records. That may be nothing, where
    /// another request has just taken it.
    ///
    /// Errors: STATUS_BUFFER_TOO_SMALL.
    pub fn read(
        &self,
        volumes: &Volumes,
        output: &mut [u8],
        level: &mut Passive,
    ) -> (Status, usize) {
        if output.len() < LEAST {
            return (Status::BUFFER_TOO_SMALL, 0);
        }
        let mut filled = size_of::<TraceHeader>();
        let mut count = 0;
        // Where all that there is belongs to volumes that are new since, they are told now.
        self.reading.with(level, |reading, _| {
            while self.fill(reading, volumes, output, &mut filled, &mut count) && count == 0 {}
        });
        let header = TraceHeader {
            version: VERSION.into(),
            count: count.into(),
            lost: self.rings.iter().map(Ring::lost).sum::<u64>().into(),
            frequency: time::ticks_per_second().into(),
            now: time::ticks().into(),
            time: time::now().into(),
        };
        // There is room for it.
        let _written = header.write_to_prefix(output);
        (Status::SUCCESS, filled)
    }

    /// Writes names and records behind the first `filled` bytes of `output`: whether a record stays because
    /// the name of its volume has not been told.
    fn fill(
        &self,
        reading: &mut Reading,
        volumes: &Volumes,
        output: &mut [u8],
        filled: &mut usize,
        count: &mut u32,
    ) -> bool {
        for volume in volumes.iter().skip(reading.told as usize) {
            let rest = output.get_mut(*filled..).unwrap_or_default();
            let Some(size) = write_volume(volume, rest) else {
                break;
            };
            *filled += size;
            *count += 1;
            reading.told = volume.number + 1;
        }
        let told = reading.told;
        let is_told = |record: &[u8]| {
            let record = TraceRecord::ref_from_prefix(record);
            record.map_or(true, |(record, _)| record.volume.get() < told)
        };
        let mut stays = false;
        let processors = self.rings.iter().count();
        let first = reading.first;
        reading.first = first.wrapping_add(1);
        for ring in self
            .rings
            .iter()
            .cycle()
            .skip(first % processors.max(1))
            .take(processors)
        {
            while let Some(rest) = output.get_mut(*filled..) {
                match ring.pop_if(rest, is_told) {
                    Popped::Record(size) => {
                        *filled += size;
                        *count += 1;
                    }
                    Popped::Refused => {
                        stays = true;
                        break;
                    }
                    Popped::Nothing | Popped::TooLarge(_) => break,
                }
            }
        }
        stays
    }
}

/// The fixed part of a record.
fn filled(completed: &Completed<'_>, name_units: usize, names: bool) -> TraceRecord {
    let observation = completed.observation;
    let name_units = name_units as u16;
    let size = size_of::<TraceRecord>() + (usize::from(name_units) * 2).next_multiple_of(8);
    let flags = if names {
        completed.flags
    } else {
        completed.flags & !trace::flags::OF_NAMES
    };
    TraceRecord {
        size: U16::new(size as u16),
        kind: record::COMPLETED,
        operation: observation.operation.number(),
        minor: observation.minor,
        irql: completed.irql,
        name_units: name_units.into(),
        flags: flags.into(),
        irp_flags: observation.irp_flags.into(),
        status: completed.outcome.status.into(),
        volume: observation.volume.into(),
        process: observation.process.into(),
        thread: observation.thread.into(),
        information: completed.information.into(),
        started: observation.started.into(),
        duration: completed.outcome.ticks.into(),
        file: observation.file.into(),
        parameters: observation.numbers.map(Into::into),
    }
}

/// Up to four code units as one word.
fn word(units: &[u16]) -> u64 {
    let units = units.iter().rev();
    units.fold(0, |word, unit| (word << 16) | u64::from(*unit))
}

/// Writes the name of a volume into `output`, if it fits: the bytes written. It fits into an answer of
/// [`LEAST`] bytes, so that no trace ends at a volume.
fn write_volume(volume: &super::Volume, output: &mut [u8]) -> Option<usize> {
    let name = volume.name();
    let units = name.units();
    let units = units.get(..MAXIMUM_PATH).unwrap_or(units);
    let size = (size_of::<VolumeNameRecord>() + size_of_val(units)).next_multiple_of(8);
    let output = output.get_mut(..size)?;
    let (fixed, rest) = VolumeNameRecord::mut_from_prefix(output).ok()?;
    *fixed = VolumeNameRecord {
        size: U16::new(u16::try_from(size).ok()?),
        kind: record::VOLUME,
        what: volume.kind as u8,
        volume: volume.number.into(),
        name_units: U16::new(u16::try_from(units.len()).ok()?),
        reserved: U16::ZERO,
    };
    for (place, unit) in rest.chunks_exact_mut(2).zip(units) {
        place.copy_from_slice(&unit.to_le_bytes());
    }
    Some(size)
}

fn copied(units: &[U16]) -> Result<NonPagedSlice<u16>, Status> {
    NonPagedSlice::try_from_fn(units.len(), |at| {
        Ok(units.get(at).map_or(0, |unit| unit.get()))
    })
}
