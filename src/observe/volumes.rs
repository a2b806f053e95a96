//! The volumes that there are and were while the driver runs.
//!
//! A volume is known by its name, so that one that is mounted again goes on where it was. It has a number, and
//! the place of its number in the table. There are [`PLACES`]; when they are used up, the place of a volume
//! that is gone is used again, under another number: the one that has been gone for longest, of which no
//! request is known to be below, and whose name no trace still has to tell. What does not find a place is
//! not observed (O1).
//!
//! The table is looked at where names are told, at PASSIVE_LEVEL. Requests know their volume by its number.

use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use fsglass_protocol::{Kind, Operation};
use observe::stamp::Stamp;
use wdm::irql::Passive;
use wdm::pool::{NonPagedArc, NonPagedSlice};
use wdm::status::Status;
use wdm::sync::Mutex;
use wdm::time;
use wdm::unicode::{UnicodeStr, UnicodeString};

/// How many volumes and file systems are told apart.
pub const PLACES: usize = 256;

// A place and an operation fit where a request keeps them.
const _: () = assert!(PLACES * Operation::COUNT.next_power_of_two() <= Stamp::NUMBERS as usize);

/// The place of the volume with that number.
pub const fn place_of(number: u32) -> usize {
    number as usize % PLACES
}

/// A volume, or a file system.
pub struct Volume {
    /// No other has had it.
    pub number: u32,
    /// Which of both it is.
    pub kind: Kind,
    name: UnicodeString,
    /// How many filter devices it has that are attached.
    devices: AtomicU32,
    /// When the last of them was detached, in ticks.
    gone: AtomicU64,
}

impl Volume {
    /// What it is called; nothing if its device has no name.
    pub const fn name(&self) -> UnicodeStr<'_> {
        self.name.as_str()
    }

    /// Its place in the table.
    pub const fn place(&self) -> usize {
        place_of(self.number)
    }

    /// Whether it is filtered.
    pub fn is_attached(&self) -> bool {
        self.devices.load(Ordering::Relaxed) != 0
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
            self.volume.gone.store(time::ticks(), Ordering::Relaxed);
            self.volume.devices.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// One more reference to it.
    pub fn shared(&self) -> NonPagedArc<Volume> {
        self.volume.clone()
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
    table: Mutex<Table>,
    /// How many found no place.
    forgotten: AtomicU32,
}

/// What is in the table.
pub struct Table {
    volumes: NonPagedSlice<Option<NonPagedArc<Volume>>>,
    /// Whether volumes that come are counted.
    pub counting: bool,
}

impl Table {
    /// The volumes, by place.
    pub fn iter(&self) -> impl Iterator<Item = &NonPagedArc<Volume>> {
        self.volumes.iter().flatten()
    }

    /// A place that is free or may be used again, and the number of who gets it; `forgets` says whether a
    /// volume that is gone may be forgotten.
    fn free(&self, mut forgets: impl FnMut(&Volume) -> bool) -> Option<u32> {
        if let Some(place) = self.volumes.iter().position(Option::is_none) {
            return u32::try_from(place).ok();
        }
        let gone = self.iter().filter(|volume| NonPagedArc::is_unique(volume));
        let gone = gone.filter(|volume| forgets(volume));
        let oldest = gone.min_by_key(|volume| volume.gone.load(Ordering::Relaxed))?;
        oldest.number.checked_add(PLACES as u32)
    }
}

impl Volumes {
    /// None; `counting`: those that come are counted.
    pub(super) fn new(counting: bool) -> Result<Self, Status> {
        let table = Table {
            volumes: NonPagedSlice::try_from_fn(PLACES, |_| Ok(None))?,
            counting,
        };
        Ok(Self {
            table: Mutex::try_new(table)?,
            forgotten: AtomicU32::new(0),
        })
    }

    /// Calls `body` with the table. Nobody comes into it meanwhile.
    pub fn with<R>(
        &self,
        level: &mut Passive,
        body: impl FnOnce(&mut Table, &mut Passive) -> R,
    ) -> R {
        self.table.with(level, body)
    }

    /// How many found no place. IRQL: any.
    pub fn forgotten(&self) -> u32 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// The volume of that name and kind. If there is none, it gets a place: `forgets` says whether a volume
    /// that is gone may be forgotten for it, and `appears` is told of the new one before anybody else, and
    /// may refuse it.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES, and those of `appears`; it is not observed then.
    pub fn find_or_add(
        &self,
        name: UnicodeStr<'_>,
        kind: Kind,
        level: &mut Passive,
        forgets: impl FnMut(&Volume) -> bool,
        appears: impl FnOnce(&Volume, bool, &mut Passive) -> Result<(), Status>,
    ) -> Result<NonPagedArc<Volume>, Status> {
        let found = self.table.with(level, |table, level| {
            let is = |volume: &&NonPagedArc<Volume>| {
                volume.kind == kind && volume.name().eq_ignore_ascii_case(name)
            };
            if let Some(volume) = table.iter().find(is) {
                return Ok(volume.clone());
            }
            let number = table.free(forgets).ok_or(Status::INSUFFICIENT_RESOURCES)?;
            let volume = NonPagedArc::try_new(Volume {
                number,
                kind,
                name: UnicodeString::concat(&[name])?,
                devices: AtomicU32::new(0),
                gone: AtomicU64::new(0),
            })?;
            appears(&volume, table.counting, level)?;
            let place = table.volumes.get_mut(place_of(number));
            *place.ok_or(Status::INVALID_PARAMETER)? = Some(volume.clone());
            Ok(volume)
        });
        if found.is_err() {
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
        found
    }
}
