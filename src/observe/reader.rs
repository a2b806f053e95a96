//! One trace: its filter, its rings, and who waits for it (O1, O2).

use super::memory::{Charge, Purpose};
use super::observation::Observation;
use super::volumes::{PLACES, Volume, Volumes, place_of};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, Ordering};
use fsglass_protocol::trace::{
    Filter, MAXIMUM_PATH, TraceHeader, TraceRecord, VolumeNameRecord, record, ring, wanted,
};
use fsglass_protocol::{VERSION, trace};
use observe::AtomicU64;
use observe::doorbell::Doorbell;
use observe::pattern;
use observe::ring::{Popped, Record, Ring};
use wdm::irp::{DirectOutput, Parking};
use wdm::irql::{AtMostDispatch, Passive};
use wdm::pool::{NonPagedArc, NonPagedSlice};
use wdm::processors::{self, PerProcessor};
use wdm::status::Status;
use wdm::sync::{Mutex, unsuspended};
use wdm::time;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U16;

/// Bytes of a word of a ring.
const WORD: usize = size_of::<u64>();

/// Words of a [`TraceRecord`].
const WORDS: usize = size_of::<TraceRecord>() / WORD;

/// Bytes that an answer needs at least, so that any record fits.
const LEAST: usize = size_of::<TraceHeader>() + size_of::<TraceRecord>() + 2 * MAXIMUM_PATH + WORD;

/// No ring is smaller, so that the longest records fit.
const LEAST_RING: usize = 4 << 10;

type Words = NonPagedSlice<AtomicU64>;

/// A trace.
pub struct Reader {
    operations: u64,
    process: u32,
    failures_only: bool,
    names: bool,
    /// In ticks.
    slower_than: u64,
    /// Whether it is about the volumes whose names match `volume` alone.
    some_volumes: bool,
    volume: NonPagedSlice<u16>,
    volumes: NonPagedSlice<OfVolume>,
    pattern: NonPagedSlice<u16>,
    rings: PerProcessor<Ring<Words>>,
    bell: Doorbell,
    parking: NonPagedArc<Parking>,
    missed_before: u64,
    _charge: Charge,
}

/// Where reading is. Rings have one reader at a time, the one that has this: a program may send any number of
/// requests at once.
#[derive(Default)]
pub struct Reading {
    /// The ring with which the next one begins, so that none is always the last.
    first: usize,
}

/// What a trace knows of a place in the table of volumes. Numbers are one more than they are, so that 0 is
/// none.
struct OfVolume {
    /// Of the volume that is there.
    there: AtomicU32,
    /// Of the one that it is about.
    wanted: AtomicU32,
    /// Of the one whose name has been told.
    told: AtomicU32,
}

/// How many rings there are, and how many bytes each has, a power of two; with what else a trace needs, they
/// are no more than `total`.
fn rings(total: usize, processors: usize) -> (usize, usize) {
    let others = size_of::<Reader>() + PLACES * size_of::<OfVolume>();
    let others = others + 2 * trace::MAXIMUM_PATTERN * size_of::<u16>();
    let others = others + Mutex::<Reading>::BYTES;
    let most = total.saturating_sub(others);
    let each = size_of::<Ring<Words>>() + PerProcessor::<Ring<Words>>::BEHIND;
    let mut bytes = (total / processors.next_power_of_two().max(1)).max(LEAST_RING);
    while bytes > LEAST_RING && bytes + each > most {
        bytes /= 2;
    }
    let count = most / (bytes + each);
    (count.clamp(1, processors.max(1)), bytes)
}

impl Reader {
    /// A trace of what `filter` wants, whose client waits in `parking`; `missed` records were lost on the way
    /// to all rings before it began.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new(
        filter: &Filter<'_>,
        parking: NonPagedArc<Parking>,
        missed: u64,
    ) -> Result<Self, Status> {
        let fixed = filter.fixed;
        let total = match fixed.ring_bytes.get() {
            0 => ring::DEFAULT,
            bytes => bytes,
        } as usize;
        let charge = Charge::new(Purpose::Traces, total)?;
        let (count, bytes) = rings(total, processors::active());
        let rings = PerProcessor::try_new(count, || {
            Ring::new(NonPagedSlice::try_zeroed(bytes / WORD)?).ok_or(Status::INVALID_PARAMETER)
        });
        let of_volume = |_| {
            Ok(OfVolume {
                there: AtomicU32::new(0),
                wanted: AtomicU32::new(0),
                told: AtomicU32::new(0),
            })
        };
        let wanted = fixed.wanted.get();
        Ok(Self {
            operations: fixed.operations.get(),
            process: fixed.process.get(),
            failures_only: wanted & wanted::FAILURES_ONLY != 0,
            names: wanted & wanted::NAMES != 0,
            slower_than: time::in_ticks(fixed.slower_than.get()),
            some_volumes: !filter.volume.is_empty(),
            volume: copied(filter.volume)?,
            volumes: NonPagedSlice::try_from_fn(PLACES, of_volume)?,
            pattern: copied(filter.pattern)?,
            rings: rings?,
            bell: Doorbell::new(),
            parking,
            missed_before: missed,
            _charge: charge,
        })
    }

    /// A volume has come into the table, or was there when the trace was started.
    pub fn appears(&self, volume: &Volume) {
        let number = volume.number + 1;
        if let Some(place) = self.volumes.get(volume.place()) {
            place.there.store(number, Ordering::Relaxed);
            if pattern::matches(&self.volume, volume.name().units()) {
                place.wanted.store(number, Ordering::Relaxed);
            }
        }
    }

    /// Whether its name has been told.
    pub fn has_told(&self, volume: &Volume) -> bool {
        let told = self.volumes.get(volume.place());
        told.is_some_and(|place| place.told.load(Ordering::Relaxed) == volume.number + 1)
    }

    /// Whether the trace is about it.
    fn wants(&self, observation: &Observation) -> bool {
        let failed = observation.told.status.get() >> 31 != 0;
        self.operations & (1 << observation.subject.operation.number()) != 0
            && (self.process == 0 || self.process == observation.told.process.get())
            && (failed || !self.failures_only)
            && observation.ticks >= self.slower_than
            && (!self.some_volumes || self.wants_volume(observation.subject.volume))
            && (self.pattern.is_empty()
                || pattern::matches(&self.pattern, observation.named.units()))
    }

    fn wants_volume(&self, number: u32) -> bool {
        let place = self.volumes.get(place_of(number));
        place.is_some_and(|place| place.wanted.load(Ordering::Relaxed) == number + 1)
    }

    /// Adds a record of what came back, if the trace is about it, and wakes who waits for it.
    /// IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Out of line, so that the frame of who calls it is not there for what else is called.
    #[inline(never)]
    pub fn record(&self, observation: &Observation, level: &mut AtMostDispatch) {
        if !self.wants(observation) {
            return;
        }
        let name: &[u16] = if self.names {
            observation.named.units()
        } else {
            &[]
        };
        let flags = observation.told.flags.get();
        let flags = if self.names {
            flags
        } else {
            flags & !trace::flags::OF_NAMES
        };
        let words = (1..WORDS).map(|at| word(observation, flags, at));
        let units = name.chunks(WORD / size_of::<u16>()).map(units);
        let processor = processors::current();
        // There is at least one, and never more than fit into a number.
        let count = self.rings.count().max(1);
        if let Some(ring) = self.rings.get(processor % count) {
            let first = first_word(observation, name.len());
            // The ring is read no further than a record that is being written: who writes it is not suspended
            // in between, for as long as a debugger likes.
            unsuspended(level, || ring.push(first, words.chain(units)));
        }
        if self.bell.ring() {
            // It may have been cancelled.
            let _waited = self.parking.complete(Status::SUCCESS, level);
        }
    }

    /// Whether this is the trace whose client waits there.
    pub fn waits_in(&self, parking: &Parking) -> bool {
        core::ptr::eq(&*self.parking, parking)
    }

    /// Whether there is nothing to read. Where another request is taking a record out, a ring looks empty in
    /// between, so that only who has the [`Reading`] asks.
    pub fn is_empty(&self) -> bool {
        self.rings.iter().all(Ring::is_empty)
    }

    /// The client waits from here on: whoever adds a record wakes it. Whether it has to wake itself,
    /// because there was one before.
    pub fn sleeps(&self) -> bool {
        self.bell.arm();
        self.is_empty() || !self.bell.disarm()
    }

    /// Writes what there is into `output`: names of volumes first, then records. `missed` records were lost on
    /// the way to all rings by now. What is written may be nothing, where another request has just taken it.
    ///
    /// Errors: STATUS_BUFFER_TOO_SMALL.
    pub fn read(
        &self,
        reading: &mut Reading,
        volumes: &Volumes,
        missed: u64,
        output: &mut DirectOutput<'_>,
        level: &mut Passive,
    ) -> (Status, usize) {
        if output.room() < LEAST {
            return (Status::BUFFER_TOO_SMALL, 0);
        }
        let mut answer = Answer {
            output,
            filled: size_of::<TraceHeader>(),
            count: 0,
        };
        // Where all that there is belongs to volumes that are new since, they are told now.
        while self.fill(reading, volumes, &mut answer, level) && answer.count == 0 {}
        let lost = self.rings.iter().map(Ring::lost).sum::<u64>();
        let header = TraceHeader {
            version: VERSION.into(),
            count: answer.count.into(),
            lost: lost
                .wrapping_add(missed.wrapping_sub(self.missed_before))
                .into(),
            frequency: time::ticks_per_second().into(),
            now: time::ticks().into(),
            time: time::now().into(),
        };
        // There is room for it.
        let _written = answer.output.put(0, header.as_bytes());
        (Status::SUCCESS, answer.filled)
    }

    /// Adds names and records to `answer`: whether a record stays because the name of its volume has not
    /// been told.
    fn fill(
        &self,
        reading: &mut Reading,
        volumes: &Volumes,
        answer: &mut Answer<'_, '_>,
        level: &mut Passive,
    ) -> bool {
        volumes.with(level, |table, _| {
            for volume in table.iter().filter(|volume| !self.has_told(volume)) {
                if !answer.volume(volume) {
                    break;
                }
                if let Some(place) = self.volumes.get(volume.place()) {
                    place.told.store(volume.number + 1, Ordering::Relaxed);
                }
            }
        });
        let mut stays = false;
        let count = self.rings.count();
        let first = reading.first % count.max(1);
        reading.first = first.wrapping_add(1);
        let rings = self.rings.iter().cycle().skip(first);
        for ring in rings.take(count) {
            loop {
                match answer.record(ring, |record| self.is_told(record)) {
                    Popped::Record(_) => {}
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

    /// Whether a reader of the record knows its volume. Of one that is gone nobody can tell the name any more.
    fn is_told(&self, record: &Record<'_, Words>) -> bool {
        const AT: usize = offset_of!(TraceRecord, volume);
        const _: () = assert!(AT % WORD == WORD / 2);
        let number = (record.word((AT / WORD) as u64) >> 32) as u32;
        let place = self.volumes.get(place_of(number));
        place.is_none_or(|place| {
            place.told.load(Ordering::Relaxed) == number + 1
                || place.there.load(Ordering::Relaxed) != number + 1
        })
    }
}

/// An answer that is being written into the reader's pages.
struct Answer<'a, 'o> {
    output: &'a mut DirectOutput<'o>,
    filled: usize,
    count: u32,
}

impl Answer<'_, '_> {
    fn room(&self) -> usize {
        self.output.room().saturating_sub(self.filled)
    }

    /// Adds the oldest record of a ring.
    fn record(
        &mut self,
        ring: &Ring<Words>,
        takes: impl FnOnce(&Record<'_, Words>) -> bool,
    ) -> Popped {
        let mut at = self.filled;
        let output = &mut *self.output;
        let room = output.room().saturating_sub(at);
        let popped = ring.pop(room, takes, |word| {
            // There is room for it.
            let _written = output.put(at, &word.to_le_bytes());
            at += WORD;
        });
        if let Popped::Record(_) = popped {
            self.filled = at;
            self.count += 1;
        }
        popped
    }

    /// Adds the name of a volume: whether there was room. It fits into an answer of [`LEAST`] bytes, so that no
    /// trace ends at a volume.
    fn volume(&mut self, volume: &Volume) -> bool {
        let name = volume.name();
        let units = name.units();
        let units = units.get(..MAXIMUM_PATH).unwrap_or(units);
        let bytes = size_of::<VolumeNameRecord>() + size_of_val(units);
        let size = bytes.next_multiple_of(WORD);
        if size > self.room() {
            return false;
        }
        let fixed = VolumeNameRecord {
            // Both are small: a name has at most MAXIMUM_PATH units here.
            size: U16::new(size as u16),
            kind: record::VOLUME,
            what: volume.kind as u8,
            volume: volume.number.into(),
            name_units: U16::new(units.len() as u16),
            reserved: U16::ZERO,
        };
        let mut at = self.filled;
        let mut put = |bytes: &[u8]| {
            // There is room for it.
            let _written = self.output.put(at, bytes);
            at += bytes.len();
        };
        put(fixed.as_bytes());
        units.iter().for_each(|unit| put(&unit.to_le_bytes()));
        put([0; WORD].get(..size - bytes).unwrap_or_default());
        self.filled += size;
        self.count += 1;
        true
    }
}

// What `first_word` and `word` write is a `TraceRecord`.
const _: () = {
    assert!(offset_of!(TraceRecord, flags) == WORD);
    assert!(offset_of!(TraceRecord, status) == 2 * WORD);
    assert!(offset_of!(TraceRecord, process) == 3 * WORD);
    assert!(offset_of!(TraceRecord, information) == 4 * WORD);
    assert!(offset_of!(TraceRecord, started) == 5 * WORD);
    assert!(offset_of!(TraceRecord, duration) == 6 * WORD);
    assert!(offset_of!(TraceRecord, file) == 7 * WORD);
    assert!(offset_of!(TraceRecord, parameters) == 8 * WORD);
    assert!(WORDS == 10);
};

/// The first word of a record: size, kind, operation, minor function, level, and units of the name.
fn first_word(observation: &Observation, units: usize) -> u64 {
    let size = size_of::<TraceRecord>() + size_of::<u16>() * units;
    u64::from_le_bytes([
        size.next_multiple_of(WORD) as u8,
        (size.next_multiple_of(WORD) >> 8) as u8,
        record::COMPLETED,
        observation.subject.operation.number(),
        observation.told.minor,
        observation.told.irql,
        units as u8,
        (units >> 8) as u8,
    ])
}

/// A further word of it.
fn word(observation: &Observation, flags: u32, at: usize) -> u64 {
    let told = &observation.told;
    let both = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let [first, second] = told.numbers;
    match at {
        1 => both(flags, told.irp_flags.get()),
        2 => both(told.status.get(), observation.subject.volume),
        3 => both(told.process.get(), told.thread.get()),
        4 => told.information.get(),
        5 => observation.started,
        6 => observation.ticks,
        7 => told.file.get(),
        8 => first.get(),
        _ => second.get(),
    }
}

/// Up to four code units as one word.
fn units(units: &[u16]) -> u64 {
    let units = units.iter().rev();
    units.fold(0, |word, unit| (word << 16) | u64::from(*unit))
}

fn copied(units: &[U16]) -> Result<NonPagedSlice<u16>, Status> {
    NonPagedSlice::try_from_fn(units.len(), |at| {
        Ok(units.get(at).map_or(0, |unit| unit.get()))
    })
}
