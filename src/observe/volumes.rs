//! The volumes that there were while the driver ran, and what was counted of each.
//!
//! A volume is known by its name, so that one that is mounted again goes on where it was. It is never
//! forgotten: a request of it may come back long after it was dismounted, and finds its counters by
//! number. What does not fit into the table is not observed.

use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use fsglass_protocol::{Kind, Operation, OperationRecord, StatisticsWriter};
use observe::counters::{Counters, Outcome, Sum};
use observe::stamp::Stamp;
use wdm::irql::Passive;
use wdm::pool::{NonPagedArc, NonPagedBox, NonPagedSlice, SetOnce};
use wdm::processors::PerProcessor;
use wdm::status::Status;
use wdm::sync::Mutex;
use wdm::time;
use wdm::unicode::{UnicodeStr, UnicodeString};

/// How many volumes and file systems are told apart.
const LIMIT: usize = 256;

// Their numbers fit where a request keeps them.
const _: () = assert!(LIMIT <= Stamp::NUMBERS as usize);

/// A volume, or a file system.
pub struct Volume {
    /// Its place in the table.
    pub number: u32,
    /// Which of both it is.
    pub kind: Kind,
    name: UnicodeString,
    /// How many filter devices it has that are attached.
    devices: AtomicU32,
    /// By operation; made when that first occurs.
    operations: [SetOnce<PerProcessor<Counters>>; Operation::COUNT],
}

impl Volume {
    /// What it is called; nothing if its device has no name.
    pub const fn name(&self) -> UnicodeStr<'_> {
        self.name.as_str()
    }

    /// The counters of an operation, made if it is the first. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; then it is not counted.
    pub fn counters(&self, operation: Operation) -> Result<&PerProcessor<Counters>, Status> {
        let place = self.operations.get(usize::from(operation.number()));
        place
            .ok_or(Status::INSUFFICIENT_RESOURCES)?
            .get_or_try(PerProcessor::try_zeroed)
    }

    /// Counts what came back. IRQL: ≤ DISPATCH_LEVEL.
    pub fn complete(&self, operation: Operation, outcome: &Outcome) {
        let place = self.operations.get(usize::from(operation.number()));
        let counters = place.and_then(SetOnce::get).and_then(PerProcessor::current);
        if let Some(counters) = counters {
            counters.complete(outcome);
        }
    }
}

/// A volume, as one of its filter devices has it.
pub struct Filtered {
    volume: NonPagedArc<Volume>,
    attached: AtomicBool,
}

impl Filtered {
    /// For a device that is being attached.
    pub fn new(volume: NonPagedArc<Volume>) -> Self {
        volume.devices.fetch_add(1, Ordering::Relaxed);
        Self {
            volume,
            attached: AtomicBool::new(true),
        }
    }

    /// The device is detached; requests that are inside still belong to the volume.
    pub fn detached(&self) {
        if self.attached.swap(false, Ordering::Relaxed) {
            self.volume.devices.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Deref for Filtered {
    type Target = Volume;
    fn deref(&self) -> &Volume {
        &self.volume
    }
}

impl Drop for Filtered {
    /// Of a device that could not be attached, too.
    fn drop(&mut self) {
        self.detached();
    }
}

/// The table.
pub struct Volumes {
    table: NonPagedSlice<SetOnce<NonPagedArc<Volume>>>,
    /// How many there are; held while one is added.
    count: Mutex<u32>,
    /// How many were not.
    forgotten: AtomicU32,
}

impl Volumes {
    pub(super) fn new() -> Result<Self, Status> {
        Ok(Self {
            table: NonPagedSlice::try_from_fn(LIMIT, |_| Ok(SetOnce::new()))?,
            count: Mutex::try_new(0)?,
            forgotten: AtomicU32::new(0),
        })
    }

    /// The volume of that number. IRQL: any.
    pub fn get(&self, number: u32) -> Option<&NonPagedArc<Volume>> {
        self.table.get(number as usize)?.get()
    }

    /// All of them, by number. IRQL: any.
    pub fn iter(&self) -> impl Iterator<Item = &NonPagedArc<Volume>> {
        self.table.iter().map_while(SetOnce::get)
    }

    /// The volume of that name and kind, which is new if there is none.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; it is not observed then.
    pub fn find_or_add(
        &self,
        name: UnicodeStr<'_>,
        kind: Kind,
        level: &mut Passive,
    ) -> Result<NonPagedArc<Volume>, Status> {
        let found = self.count.with(level, |count, _| {
            let is = |volume: &&NonPagedArc<Volume>| {
                volume.kind == kind && volume.name().eq_ignore_ascii_case(name)
            };
            if let Some(volume) = self.iter().find(is) {
                return Ok(volume.clone());
            }
            let place = self.table.get(*count as usize);
            let place = place.ok_or(Status::INSUFFICIENT_RESOURCES)?;
            let volume = NonPagedArc::try_new(Volume {
                number: *count,
                kind,
                name: UnicodeString::concat(&[name])?,
                devices: AtomicU32::new(0),
                operations: [const { SetOnce::new() }; Operation::COUNT],
            })?;
            place.get_or_try(|| Ok(volume.clone()))?;
            *count += 1;
            Ok(volume)
        });
        if found.is_err() {
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Writes what was counted into `output`; `kept` says whether that goes on.
    pub fn write(&self, output: &mut [u8], kept: bool) -> (Status, usize) {
        let Ok(mut sum) = NonPagedBox::<Sum>::try_zeroed() else {
            return (Status::INSUFFICIENT_RESOURCES, 0);
        };
        let Some(mut list) = StatisticsWriter::new(output) else {
            return (Status::BUFFER_TOO_SMALL, 0);
        };
        for volume in self.iter() {
            let mut record = list.record(volume.name().units());
            for operation in Operation::all() {
                let place = volume.operations.get(usize::from(operation.number()));
                let Some(counters) = place.and_then(SetOnce::get) else {
                    continue;
                };
                sum.gather(counters.iter());
                if sum.record != OperationRecord::default() {
                    record.operation(operation, sum.record, sum.occupied());
                }
            }
            record.finish(|fixed| {
                fixed.volume = volume.number.into();
                fixed.kind = volume.kind as u8;
                fixed.attached = u8::from(volume.devices.load(Ordering::Relaxed) != 0);
            });
        }
        let (written, complete) = list.finish(|header| {
            header.frequency = time::ticks_per_second().into();
            header.now = time::ticks().into();
            header.kept = u32::from(kept).into();
            header.forgotten = self.forgotten.load(Ordering::Relaxed).into();
        });
        let status = if complete {
            Status::SUCCESS
        } else {
            Status::BUFFER_OVERFLOW
        };
        (status, written)
    }
}
