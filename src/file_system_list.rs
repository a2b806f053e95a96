//! The file systems that there are.

use core::ops::Range;
use wdm::device::{DeviceObject, DeviceReference};
use wdm::irql::Passive;
use wdm::list::List;
use wdm::status::Status;
use wdm::sync::Mutex;

/// The file systems that there are, filtered or not: the list of volumes begins with them.
///
/// The list is locked only for as long as it is looked at: the I/O manager holds its own lock when it
/// tells of a file system.
pub struct FileSystems {
    known: Mutex<Known>,
}

struct Known {
    /// The newest first.
    file_systems: List<FileSystem>,
    /// How many there have been.
    count: u64,
    /// How many of them [`crate::file_systems::settle`] has taken on; `None` until it is first called.
    settled: Option<u64>,
    /// Those that found no place in the list.
    forgotten: u32,
}

struct FileSystem {
    number: u64,
    control_device: DeviceReference,
}

impl FileSystems {
    /// More than Windows and its usual additions have.
    const LIMIT: usize = 64;

    /// None yet. Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new() -> Result<Self, Status> {
        let known = Known {
            file_systems: List::new(Self::LIMIT),
            count: 0,
            settled: None,
            forgotten: 0,
        };
        Ok(Self {
            known: Mutex::try_new(known)?,
        })
    }

    /// One more. Errors: STATUS_INSUFFICIENT_RESOURCES; it is counted then.
    pub fn add(&self, control_device: &DeviceObject, level: &mut Passive) -> Result<(), Status> {
        self.known.with(level, |known, _| {
            let mut there = known.file_systems.iter();
            if there.any(|known| known.control_device.is(control_device)) {
                return Ok(());
            }
            drop(there);
            let added = known.file_systems.push(FileSystem {
                number: known.count,
                control_device: control_device.reference(),
            });
            match added {
                Ok(()) => known.count += 1,
                Err(_) => known.forgotten = known.forgotten.saturating_add(1),
            }
            added
        })
    }

    /// It has gone.
    pub fn remove(&self, control_device: &DeviceObject, level: &mut Passive) {
        self.known.with(level, |known, _| {
            let file_systems = &mut known.file_systems;
            file_systems.retain(|known| !known.control_device.is(control_device));
        });
    }

    /// Calls `visit` with the control device of each, the newest first; of one that comes meanwhile
    /// not.
    pub fn each(&self, level: &mut Passive, visit: impl FnMut(&DeviceObject, &mut Passive)) {
        self.each_of(0..u64::MAX, level, visit);
    }

    /// As [`FileSystems::each`], of those with these numbers.
    pub fn each_of(
        &self,
        mut numbers: Range<u64>,
        level: &mut Passive,
        mut visit: impl FnMut(&DeviceObject, &mut Passive),
    ) {
        let last = |numbers: &Range<u64>, level: &mut Passive| {
            self.known.with(level, |known, _| {
                let mut there = known.file_systems.iter();
                let last = there.find(|known| numbers.contains(&known.number))?;
                Some((last.number, last.control_device.reference()))
            })
        };
        while let Some((number, control_device)) = last(&numbers, level) {
            numbers.end = number;
            visit(&control_device, level);
        }
    }

    /// Whether [`crate::file_systems::settle`] has been called.
    pub fn have_settled(&self, level: &mut Passive) -> bool {
        self.known.with(level, |known, _| known.settled.is_some())
    }

    /// Takes on those that nobody has taken on: their numbers.
    pub fn take_on(&self, level: &mut Passive) -> Range<u64> {
        self.known.with(level, |known, _| {
            let before = known.settled.replace(known.count);
            before.unwrap_or(0)..known.count
        })
    }

    /// How many found no place in the list.
    pub fn forgotten(&self, level: &mut Passive) -> u32 {
        self.known.with(level, |known, _| known.forgotten)
    }
}
