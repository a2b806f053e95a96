//! What is counted, per volume and operation (O1, O2).
//!
//! A volume has counters while somebody wants statistics. Whoever counts is inside a door, in which nobody
//! else is meanwhile ([`Guests`]), and has counters of his own there: made when an operation first occurs
//! in that door, which is the one of the processor. When they have become many, all share one set of the
//! operation instead ([`OWN`]). Nothing is made for what does not occur.
//!
//! When nobody wants statistics any more, the counters are freed while requests are below. How many of them
//! there are is kept ([`Beyond`]): a request that comes back when there are no counters is taken from it,
//! one that comes back when there are others completes there. So what is in flight is right, and never
//! has more completed than started, however often counting begins and ends.

use super::memory::{Charge, Purpose};
use super::volumes::{PLACES, Volume};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use fsglass_protocol::{Operation, OperationRecord, StatisticsWriter};
use observe::counters::{Counters, Outcome, Sum, Writers};
use wdm::irql::Passive;
use wdm::pool::{NonPagedArc, NonPagedBox, NonPagedSlice, SetOnce};
use wdm::status::Status;
use wdm::sync::Guests;
use zerocopy::FromZeros;

/// As long as all counters together have no more bytes, each door has some of its own.
const OWN: u64 = 2 << 20;

/// One of each operation.
type ByOperation<T> = [T; Operation::COUNT];

/// The counters of all volumes, by the places of these.
pub struct Statistics {
    volumes: Guests<OfVolume>,
    beyond: NonPagedSlice<SetOnce<NonPagedArc<Beyond>>>,
    missed: AtomicU64,
}

/// What is known of a place without counters, and stays.
struct Beyond {
    /// Requests that are below and not counted as started.
    below: ByOperation<AtomicI32>,
    /// It grows with each rename.
    renames: AtomicU32,
}

impl Beyond {
    fn add(&self, operation: Operation, change: i32) {
        if let Some(below) = self.below.get(usize::from(operation.number())) {
            below.fetch_add(change, Ordering::Relaxed);
        }
    }

    fn below(&self, operation: Operation) -> i32 {
        let below = self.below.get(usize::from(operation.number()));
        below.map_or(0, |below| below.load(Ordering::Relaxed))
    }
}

/// The counters of a volume.
struct OfVolume {
    own: NonPagedSlice<SetOnce<Own>>,
    shared: ByOperation<SetOnce<Counters>>,
    /// Bytes that are charged for what this holds.
    bytes: AtomicU64,
    beyond: NonPagedArc<Beyond>,
}

/// Those of a door.
#[derive(FromZeros)]
struct Own(ByOperation<SetOnce<Counters>>);

const fn none() -> ByOperation<SetOnce<Counters>> {
    [const { SetOnce::new() }; Operation::COUNT]
}

impl OfVolume {
    fn new(doors: usize, beyond: NonPagedArc<Beyond>) -> Result<Self, Status> {
        let bytes = doors * size_of::<SetOnce<Own>>() + size_of::<Self>();
        let charge = Charge::new(Purpose::Statistics, bytes)?;
        Ok(Self {
            own: NonPagedSlice::try_from_fn(doors, |_| Ok(SetOnce::new()))?,
            shared: none(),
            bytes: AtomicU64::new(charge.into_bytes()),
            beyond,
        })
    }

    /// Where whoever is inside that door counts an operation. `None` without memory.
    fn counters(&self, door: usize, operation: Operation) -> Option<(&Counters, Writers)> {
        let at = usize::from(operation.number());
        let own = self.own.get(door)?;
        match own.get().and_then(|own| own.0.get(at)?.get()) {
            Some(counters) => Some((counters, Writers::One)),
            None => self.made(own, at),
        }
    }

    /// As [`OfVolume::counters`], where there are none yet.
    #[cold]
    fn made<'a>(&'a self, own: &'a SetOnce<Own>, at: usize) -> Option<(&'a Counters, Writers)> {
        let shared = self.shared.get(at)?;
        if shared.get().is_none()
            && let Some(own) = self.one(own, OWN, NonPagedBox::try_zeroed)
            && let Some(counters) = self.one(own.0.get(at)?, OWN, NonPagedBox::try_zeroed)
        {
            return Some((counters, Writers::One));
        }
        let shared = self.one(shared, u64::MAX, NonPagedBox::try_zeroed)?;
        Some((shared, Writers::Many))
    }

    /// What is in `place`, made if there is nothing and if all counters have no more than `most` bytes then.
    fn one<'p, T>(
        &self,
        place: &'p SetOnce<T>,
        most: u64,
        make: impl FnOnce() -> Result<NonPagedBox<T>, Status>,
    ) -> Option<&'p T> {
        if let Some(there) = place.get() {
            return Some(there);
        }
        let charge = Charge::of_at_most(Purpose::Statistics, size_of::<T>(), most).ok()?;
        let (value, is_new) = place.get_or_set(make().ok()?);
        if is_new {
            self.bytes.fetch_add(charge.into_bytes(), Ordering::Relaxed);
        }
        Some(value)
    }

    /// All counters of an operation.
    fn all(&self, operation: Operation) -> impl Iterator<Item = &Counters> + Clone {
        let at = usize::from(operation.number());
        let own = self
            .own
            .iter()
            .filter_map(move |own| own.get()?.0.get(at)?.get());
        own.chain(self.shared.get(at).and_then(SetOnce::get))
    }

    /// Requests that have started here and not come back.
    fn below(&self, operation: Operation) -> u64 {
        let counters = self.all(operation).map(Counters::below);
        counters.fold(0, u64::wrapping_add)
    }
}

impl Drop for OfVolume {
    /// Nobody counts here any more: what is below comes back elsewhere.
    fn drop(&mut self) {
        for operation in Operation::all() {
            let below = self.below(operation) as i32;
            if below != 0 {
                self.beyond.add(operation, below);
            }
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        drop(Charge::of(Purpose::Statistics, bytes));
    }
}

impl Statistics {
    /// Nothing is counted. Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new() -> Result<Self, Status> {
        Ok(Self {
            volumes: Guests::try_new(PLACES)?,
            beyond: NonPagedSlice::try_from_fn(PLACES, |_| Ok(SetOnce::new()))?,
            missed: AtomicU64::new(0),
        })
    }

    /// A volume comes into that place: makes what stays there.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; it is not observed then.
    pub fn prepare(&self, place: usize) -> Result<(), Status> {
        let beyond = self.beyond.get(place).ok_or(Status::INVALID_PARAMETER)?;
        let made = beyond.get_or_try(|| {
            NonPagedArc::try_new(Beyond {
                below: [const { AtomicI32::new(0) }; Operation::COUNT],
                renames: AtomicU32::new(0),
            })
        });
        made.map(|_| ())
    }

    fn beyond(&self, place: usize) -> Option<&NonPagedArc<Beyond>> {
        self.beyond.get(place)?.get()
    }

    /// Counting begins, for all volumes that [`Statistics::count`] is called with next.
    pub fn begin(&self) {
        self.missed.store(0, Ordering::Relaxed);
    }

    /// Counts the volume in that place, from 0 on. Without memory its requests are missed.
    pub fn count(&self, place: usize, level: &mut Passive) {
        let counters = self
            .beyond(place)
            .ok_or(Status::INVALID_PARAMETER)
            .and_then(|beyond| OfVolume::new(self.volumes.doors(), beyond.clone()));
        let entered = counters.and_then(|counters| self.volumes.enter(place, counters, level));
        if entered.is_err() {
            self.volumes.leave(place, level);
        }
    }

    /// The volume in that place is not counted any more; its counters are freed.
    pub fn count_no_more(&self, place: usize, level: &mut Passive) {
        self.volumes.leave(place, level);
    }

    /// Waits a moment for those who were counting when it ended.
    pub fn settle(&self, level: &mut Passive) {
        self.volumes.settle(level);
    }

    /// A request for the volume in that place is passed on. [`Statistics::complete`] ends it. IRQL: any.
    pub fn start(&self, place: usize, operation: Operation) {
        let counted = self.volumes.look().is_some_and(|look| {
            let counters = look
                .get(place)
                .and_then(|volume| volume.counters(look.door(), operation));
            counters
                .map(|(counters, writers)| counters.start(writers))
                .is_some()
        });
        if !counted {
            self.missed.fetch_add(1, Ordering::Relaxed);
            self.pass_by(place, operation, 1);
        }
    }

    /// It came back. IRQL: ≤ DISPATCH_LEVEL.
    pub fn complete(&self, place: usize, operation: Operation, outcome: &Outcome) {
        let counted = self.volumes.look().is_some_and(|look| {
            let counters = look
                .get(place)
                .and_then(|volume| volume.counters(look.door(), operation));
            counters
                .map(|(counters, writers)| counters.complete(outcome, writers))
                .is_some()
        });
        if !counted {
            self.pass_by(place, operation, -1);
        }
    }

    /// It was passed on, but nobody will hear when it comes back. IRQL: any.
    pub fn forget(&self, place: usize, operation: Operation) {
        self.pass_by(place, operation, -1);
    }

    #[cold]
    fn pass_by(&self, place: usize, operation: Operation, change: i32) {
        if let Some(beyond) = self.beyond(place) {
            beyond.add(operation, change);
        }
    }

    /// Whether a request for the volume in that place is below that is counted. IRQL: any.
    pub fn is_below(&self, place: usize) -> bool {
        let look = self.volumes.look();
        let counted = look.as_ref().and_then(|look| look.get(place));
        Operation::all().any(|operation| {
            let beyond = self.beyond(place);
            let beyond = beyond.map_or(0, |beyond| i64::from(beyond.below(operation)));
            let counted = counted.map_or(0, |counted| counted.below(operation));
            beyond.wrapping_add(counted.cast_signed()) != 0
        })
    }

    /// A rename on the volume in that place has been done (O3). IRQL: any.
    pub fn renamed(&self, place: usize) {
        if let Some(beyond) = self.beyond(place) {
            beyond.renames.fetch_add(1, Ordering::Release);
        }
    }

    /// A number that grows with each rename on the volume in that place. IRQL: any.
    pub fn renames(&self, place: usize) -> u32 {
        let beyond = self.beyond(place);
        beyond.map_or(0, |beyond| beyond.renames.load(Ordering::Acquire))
    }

    /// Requests that were not counted since counting began. IRQL: any.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Writes what was counted of a volume. IRQL: ≤ DISPATCH_LEVEL.
    pub fn write(
        &self,
        volume: &Volume,
        list: &mut StatisticsWriter<'_>,
        sum: &mut NonPagedBox<Sum>,
    ) {
        let look = self.volumes.look();
        let counted = look.as_ref().and_then(|look| look.get(volume.place()));
        let mut record = list.record(volume.name().units());
        for (operation, counted) in Operation::all().filter_map(|one| Some((one, counted?))) {
            sum.gather(counted.all(operation));
            // Only now: what has completed here may have started beyond.
            let beyond = counted.beyond.below(operation);
            let started = sum.record.started.get();
            let started = started.wrapping_add_signed(beyond.into());
            sum.record.started = started.max(sum.record.completed.get()).into();
            if sum.record != OperationRecord::default() {
                record.operation(operation, sum.record, sum.occupied());
            }
        }
        record.finish(|fixed| {
            fixed.volume = volume.number.into();
            fixed.kind = volume.kind as u8;
            fixed.attached = u8::from(volume.is_attached());
        });
    }
}
