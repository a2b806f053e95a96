//! The names of files, for traces that want them (O1, O2, O3).
//!
//! A name belongs to a file object: the same file may have been opened by several of its names. It is the
//! one that the file system gives (FileNameInformation), asked for with a request of this driver's own where
//! that is safe ([`asks`]); until then it is the one that the file was opened by.
//!
//! A rename makes the names of its volume old: a number grows when it has been done, and a name that was found
//! out before is told as one that may have changed, until the file system is asked again. Nothing waits for a
//! rename (C9).
//!
//! Names go with the close of their file object, and all of them when nobody wants names any more. There is a
//! bound, which is a setting: the name of a file that is opened beyond it takes the place of an older one,
//! whose file has none until it is asked for again.

use super::memory::{Charge, Purpose};
use super::statistics::Statistics;
use super::volumes::place_of;
use core::sync::atomic::{AtomicU32, Ordering};
use fsglass_protocol::Operation;
use fsglass_protocol::trace::{MAXIMUM_PATH, flags};
use wdm::irql::{AtMostDispatch, Passive};
use wdm::list::List;
use wdm::pool::{NonPagedArc, NonPagedSlice};
use wdm::status::Status;
use wdm::sync::{Guests, SpinLock};
use zerocopy::little_endian::U64;

/// Where a name is from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The file was opened by it.
    Opened,
    /// The file system told it.
    Told,
    /// The file was opened by it, if it is known at all: the file system was asked, and did not tell.
    NotTold,
}

/// The name of an open file.
pub struct Name {
    units: NonPagedSlice<u16>,
    /// Bits of [`flags`].
    pub flags: u32,
    source: Source,
    _charge: Charge,
}

impl Name {
    /// The name whose parts are `parts`, cut off in front where it is too long; `inherited` says whether the first
    /// part is so already.
    fn new(
        inherited: u32,
        parts: [&[u16]; 3],
        source: Source,
    ) -> Result<NonPagedArc<Self>, Status> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let kept = length.min(MAXIMUM_PATH);
        let bytes = size_of::<Self>() + size_of::<Entry>() + kept * size_of::<u16>();
        let charge = Charge::new(Purpose::Names, bytes)?;
        let mut all = parts.into_iter().flatten().skip(length - kept);
        let units = NonPagedSlice::try_from_fn(kept, |_| Ok(all.next().copied().unwrap_or(0)));
        let cut = if kept < length {
            flags::NAME_CUT
        } else {
            inherited & flags::NAME_CUT
        };
        let source_flags = match source {
            Source::Told => 0,
            Source::NotTold if length == 0 => flags::NAME_UNKNOWN,
            Source::Opened | Source::NotTold => flags::NAME_AS_OPENED,
        };
        NonPagedArc::try_new(Self {
            units: units?,
            flags: cut | source_flags,
            source,
            _charge: charge,
        })
    }

    /// A name that a file is being opened by: what its parts are, as in [`Name::new`].
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn opened(inherited: u32, parts: [&[u16]; 3]) -> Result<NonPagedArc<Self>, Status> {
        Self::new(inherited, parts, Source::Opened)
    }

    /// Whether the file system has been asked.
    pub fn was_asked_for(&self) -> bool {
        self.source != Source::Opened
    }

    /// Its code units: a path from the root of the volume.
    pub fn units(&self) -> &[u16] {
        &self.units
    }
}

/// What a request tells of the name of its file: nothing, if it is not known.
#[derive(Default)]
pub struct Named {
    /// The name.
    pub name: Option<NonPagedArc<Name>>,
    /// [`Statistics::renames`] before it was found out.
    pub renames: u32,
    /// There were more since.
    pub is_old: bool,
}

impl Named {
    /// A name that the file system has told, when there had been so many renames.
    pub const fn told(name: NonPagedArc<Name>, renames: u32) -> Self {
        Self {
            name: Some(name),
            renames,
            is_old: false,
        }
    }

    /// Its code units.
    pub fn units(&self) -> &[u16] {
        self.name.as_ref().map_or(&[], |name| name.units())
    }

    /// Bits of [`flags`].
    pub fn flags(&self) -> u32 {
        let old = if self.is_old { flags::NAME_OLD } else { 0 };
        let name = self.name.as_ref();
        name.map_or(flags::NAME_UNKNOWN, |name| name.flags | old)
    }
}

/// What a file is called.
struct Entry {
    file: u64,
    /// The number of its volume.
    volume: u32,
    name: NonPagedArc<Name>,
    /// [`Statistics::renames`] before it was found out.
    renames: u32,
}

/// The names that are known, while somebody wants them.
pub struct Names {
    known: Guests<Known>,
    /// The most files whose names are kept.
    most: usize,
    /// Whether file systems are asked.
    asks: bool,
    /// How often a name gave way to another.
    forgotten: AtomicU32,
}

/// The names, by file object.
struct Known {
    lists: NonPagedSlice<SpinLock<List<Entry>>>,
    _charge: Charge,
}

/// How many names a list has at most.
const EACH: usize = 16;

impl Known {
    /// No names yet, and room for `most`.
    fn new(most: usize) -> Result<Self, Status> {
        let lists = most.div_ceil(EACH).next_power_of_two();
        let bytes = lists * size_of::<SpinLock<List<Entry>>>();
        let charge = Charge::new(Purpose::Names, bytes)?;
        let each = EACH.min(most);
        let list = |_| Ok(SpinLock::new(List::new(each)));
        Ok(Self {
            lists: NonPagedSlice::try_from_fn(lists, list)?,
            _charge: charge,
        })
    }

    fn list(&self, file: u64) -> Option<&SpinLock<List<Entry>>> {
        // File objects are aligned to 16 bytes, and about as large as 16 of those.
        let place = (file >> 4) ^ (file >> 12) ^ (file >> 20);
        self.lists.get(place as usize & (self.lists.len() - 1))
    }
}

/// The place of what is known.
const HERE: usize = 0;

impl Names {
    /// None, and room for those of `most` files once somebody wants them.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub(super) fn new(most: u32, asks: bool) -> Result<Self, Status> {
        Ok(Self {
            known: Guests::try_new(1)?,
            most: most as usize,
            asks,
            forgotten: AtomicU32::new(0),
        })
    }

    /// Somebody wants names. Without memory for them none is known.
    pub(super) fn begin(&self, level: &mut Passive) {
        self.forgotten.store(0, Ordering::Relaxed);
        if let Ok(known) = Known::new(self.most) {
            let _no_memory = self.known.enter(HERE, known, level);
        }
    }

    /// Nobody wants names any more.
    pub(super) fn end(&self, level: &mut Passive) {
        self.known.leave(HERE, level);
        self.known.settle(level);
    }

    /// Calls `body` with the list of a file. IRQL: ≤ DISPATCH_LEVEL.
    fn with<R>(
        &self,
        file: u64,
        level: &mut AtMostDispatch,
        body: impl FnOnce(&mut List<Entry>) -> R,
    ) -> Option<R> {
        let look = self.known.look()?;
        Some(look.get(HERE)?.list(file)?.with(level, body))
    }

    /// The name of a file on the volume of that number. IRQL: ≤ DISPATCH_LEVEL.
    pub fn find(
        &self,
        statistics: &Statistics,
        volume: u32,
        file: u64,
        level: &mut AtMostDispatch,
    ) -> Named {
        let renames = statistics.renames(place_of(volume));
        let found = self.with(file, level, |list| {
            let mut entries = list.iter();
            let found = entries.find(|entry| entry.file == file && entry.volume == volume);
            found.map(|entry| Named {
                name: Some(entry.name.clone()),
                renames: entry.renames,
                is_old: entry.renames != renames,
            })
        });
        found.flatten().unwrap_or_default()
    }

    /// A file is called that, or was when the name was found out. Without memory it has no name.
    /// IRQL: ≤ DISPATCH_LEVEL.
    pub fn set(&self, volume: u32, file: u64, named: &Named, level: &mut AtMostDispatch) {
        let Some(name) = named.name.clone() else {
            return;
        };
        let entry = Entry {
            file,
            volume,
            name,
            renames: named.renames,
        };
        let pushed = self.with(file, level, |list| {
            list.retain(|entry| entry.file != file);
            list.push_out(entry)
        });
        if let Some(Ok(true)) = pushed {
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A file goes. IRQL: ≤ DISPATCH_LEVEL.
    pub fn forget(&self, file: u64, level: &mut AtMostDispatch) {
        self.with(file, level, |list| list.retain(|entry| entry.file != file));
    }

    /// Whether file systems are asked.
    pub const fn asks(&self) -> bool {
        self.asks
    }

    /// The most files whose names are kept.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// How often a name gave way to another since somebody wanted names. IRQL: any.
    pub fn forgotten(&self) -> u32 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// Files whose names are kept at this moment. IRQL: ≤ DISPATCH_LEVEL.
    pub fn count(&self, level: &mut AtMostDispatch) -> usize {
        let look = self.known.look();
        let known = look.as_ref().and_then(|look| look.get(HERE));
        let lists = known.map_or(&[][..], |known| &known.lists);
        lists
            .iter()
            .map(|list| list.with(level, |list| list.len()))
            .sum()
    }
}

/// The name of a file whose file system has answered; `None` without memory for it. A file that has none, or
/// whose file system cannot tell, is called what is `known`, and not asked about again.
pub fn told(
    answer: Result<NonPagedSlice<u16>, Status>,
    known: Option<&Name>,
) -> Option<NonPagedArc<Name>> {
    let name = match answer {
        Ok(units) => Name::new(0, [&units, &[], &[]], Source::Told),
        Err(Status::INSUFFICIENT_RESOURCES) => return None,
        Err(_) => {
            let (flags, units) = known.map_or((0, &[][..]), |name| (name.flags, name.units()));
            Name::new(flags, [units, &[], &[]], Source::NotTold)
        }
    };
    name.ok()
}

/// Whether an IRP_MJ_SET_INFORMATION of that class may rename its file: a link to the name that the file has in another
/// case gives it that, and who has opened it by a short name that goes finds it under its long one.
pub const fn renames(class: u32) -> bool {
    // FileRenameInformation, FileRenameInformationBypassAccessCheck, FileRenameInformationEx,
    // FileRenameInformationExBypassAccessCheck.
    matches!(class, 10 | 56 | 65 | 66)
        // FileLinkInformation, and the same kin of it.
        || matches!(class, 11 | 57 | 72 | 73)
        // FileShortNameInformation.
        || class == 40
}

/// Whether a request may rename its file.
pub fn is_rename(operation: Operation, numbers: [U64; 2]) -> bool {
    let [class, _length] = numbers;
    operation.plain() == Operation::SET_INFORMATION && u32::try_from(class.get()).is_ok_and(renames)
}
