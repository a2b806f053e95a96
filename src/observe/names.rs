//! The names of files, for traces that want them.
//!
//! A name belongs to a file object: the same file may have been opened by several of its names. It is the
//! one that the file system gives (FileNameInformation), asked for with a request of this driver's own
//! before the first request on the file object from which that is safe ([`safe_level`]); until then it is the
//! one that the file was opened by. Paging I/O and the close have what is known by then.
//!
//! A rename is waited for, so that the file system can be asked for the new name before anybody else
//! learns of it, and replaces the names of what lies below a directory too. Where it cannot be waited
//! for, every name of the volume is forgotten and asked for again.
//!
//! Names go with the close of their file object, and all of them when no trace wants names any more.

use super::Volume;
use crate::glass::Glass;
use fsglass_protocol::trace::{MAXIMUM_PATH, flags};
use fsglass_protocol::{Kind, Operation};
use wdm::device::{DeviceKind, FilterDevice};
use wdm::irp::{self, FileObject, Irp, ReturnedIrp};
use wdm::irql::{AtMostApc, AtMostDispatch, Passive};
use wdm::list::List;
use wdm::pool::{NonPagedArc, NonPagedSlice};
use wdm::status::Status;
use wdm::sync::SpinLock;

/// How many lists there are, and how many names each holds at most: 16,384 files.
const LISTS: usize = 256;
const EACH: usize = 64;

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
}

impl Name {
    /// The name whose parts are `first` and `second`, cut off in front where it is too long.
    fn new(first: &[u16], second: &[u16], source: Source) -> Result<NonPagedArc<Self>, Status> {
        Self::with(0, first, second, source)
    }

    /// As [`Name::new`], with what `inherited` says of the first part: that it is cut off already.
    fn with(
        inherited: u32,
        first: &[u16],
        second: &[u16],
        source: Source,
    ) -> Result<NonPagedArc<Self>, Status> {
        let length = first.len().saturating_add(second.len());
        let kept = length.min(MAXIMUM_PATH);
        let mut all = first.iter().chain(second).skip(length - kept);
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
        })
    }

    /// Its code units: a path from the root of the volume.
    pub fn units(&self) -> &[u16] {
        &self.units
    }

    const fn is_cut(&self) -> bool {
        self.flags & flags::NAME_CUT != 0
    }
}

/// What a file is called.
struct Entry {
    file: u64,
    volume: u32,
    name: NonPagedArc<Name>,
}

/// The names that are known, by file object.
pub struct Names(NonPagedSlice<SpinLock<List<Entry>>>);

impl Names {
    pub(super) fn new() -> Result<Self, Status> {
        NonPagedSlice::try_from_fn(LISTS, |_| Ok(SpinLock::new(List::new(EACH)))).map(Self)
    }

    fn list(&self, file: u64) -> Option<&SpinLock<List<Entry>>> {
        // File objects are aligned to 16 bytes, and about as large as 16 of those.
        let place = (file >> 4) ^ (file >> 12);
        self.0.get(place as usize % LISTS)
    }

    /// The name of a file on that volume. IRQL: ≤ DISPATCH_LEVEL.
    pub fn find(
        &self,
        volume: u32,
        file: u64,
        level: &mut AtMostDispatch,
    ) -> Option<NonPagedArc<Name>> {
        self.list(file)?.with(level, |list| {
            let mut entries = list.iter();
            let found = entries.find(|entry| entry.file == file && entry.volume == volume);
            found.map(|entry| entry.name.clone())
        })
    }

    /// A file is called that now; if there is no room for it, it has no name. IRQL: ≤ DISPATCH_LEVEL.
    pub fn set(
        &self,
        volume: u32,
        file: u64,
        name: &NonPagedArc<Name>,
        level: &mut AtMostDispatch,
    ) {
        if let Some(list) = self.list(file) {
            list.with(level, |list| {
                list.retain(|entry| entry.file != file);
                let name = name.clone();
                let _full_or_no_memory = list.push(Entry { file, volume, name });
            });
        }
    }

    /// A file goes. IRQL: ≤ DISPATCH_LEVEL.
    fn forget(&self, file: u64, level: &mut AtMostDispatch) {
        if let Some(list) = self.list(file) {
            list.with(level, |list| list.retain(|entry| entry.file != file));
        }
    }

    /// Forgets what `gone` says of the number of each volume. IRQL: ≤ DISPATCH_LEVEL.
    fn forget_volumes(&self, gone: impl Fn(u32) -> bool, level: &mut AtMostDispatch) {
        for list in self.0.iter() {
            list.with(level, |list| list.retain(|entry| !gone(entry.volume)));
        }
    }

    /// Forgets all of them. IRQL: ≤ DISPATCH_LEVEL.
    pub fn clear(&self, level: &mut AtMostDispatch) {
        self.forget_volumes(|_| true, level);
    }

    /// Something on the volume was renamed, and it is not known what. IRQL: ≤ DISPATCH_LEVEL.
    pub fn renamed_somehow(&self, volume: u32, level: &mut AtMostDispatch) {
        self.forget_volumes(|other| other == volume, level);
    }

    /// What was called `old` is called `new`, and so is the beginning of what lies below it. A name for
    /// which there is no memory is forgotten, and so is one whose beginning is not known.
    /// IRQL: ≤ DISPATCH_LEVEL.
    fn renamed(&self, volume: u32, old: &Name, new: &Name, level: &mut AtMostDispatch) {
        if old.is_cut() || new.is_cut() {
            return self.renamed_somehow(volume, level);
        }
        for list in self.0.iter() {
            list.with(level, |list| {
                list.retain(|entry| {
                    if entry.volume != volume {
                        return true;
                    }
                    if entry.name.is_cut() {
                        return false;
                    }
                    let Some(rest) = below(&entry.name.units, &old.units) else {
                        return true;
                    };
                    let renamed = Name::new(&new.units, rest, entry.name.source);
                    renamed.map(|name| entry.name = name).is_ok()
                });
            });
        }
    }
}

/// What follows `directory` in `name`, if that is the name or one of something below it, or of a stream of
/// it.
fn below<'n>(name: &'n [u16], directory: &[u16]) -> Option<&'n [u16]> {
    let fold =
        |unit: &u16| u8::try_from(*unit).map_or(*unit, |byte| byte.to_ascii_uppercase().into());
    let (first, rest) = name.split_at_checked(directory.len())?;
    let same = !directory.is_empty() && first.iter().map(fold).eq(directory.iter().map(fold));
    let ends = rest
        .first()
        .is_none_or(|unit| [b'\\', b':'].map(u16::from).contains(unit));
    (same && ends).then_some(rest)
}

/// The name of the file of a request that is about to be passed on. IRQL: ≤ APC_LEVEL.
pub fn of_request(
    irp: &Irp<'_, Glass>,
    volume: &Volume,
    level: &mut AtMostApc,
) -> Option<NonPagedArc<Name>> {
    let names = super::of(irp.driver()).names();
    let file = irp.file()?;
    let number = file.number();
    if irp.major() == Operation::CREATE.number() {
        // The close of what had that address may have passed by, where the volume was detached.
        names.forget(number, level.at_most_dispatch());
        return opened(names, irp, volume, level);
    }
    let known = names.find(volume.number, number, level.at_most_dispatch());
    if irp.major() == Operation::CLOSE.number() {
        names.forget(number, level.at_most_dispatch());
        return known;
    }
    let asked = |name: &NonPagedArc<Name>| name.source != Source::Opened;
    if known.as_ref().is_some_and(asked) || !has_files(irp.device(), volume) {
        return known;
    }
    let Some(level) = safe_level(irp, &file, level) else {
        return known;
    };
    let asked = match told(irp.ask_name(level)) {
        Ok(name) => name,
        Err(Status::INSUFFICIENT_RESOURCES) => return known,
        // It has none, or cannot tell: not asked again.
        Err(_) => {
            let (flags, units) = known
                .as_ref()
                .map_or((0, &[][..]), |name| (name.flags, name.units()));
            Name::with(flags, units, &[], Source::NotTold).ok()?
        }
    };
    names.set(
        volume.number,
        number,
        &asked,
        level.at_most_apc().at_most_dispatch(),
    );
    Some(asked)
}

/// Whether file objects of a device are files: those of volumes, and of network file systems, which have no
/// volumes.
fn has_files(device: &FilterDevice<Glass>, volume: &Volume) -> bool {
    volume.kind == Kind::Volume || device.object().kind() == DeviceKind::NetworkFileSystem
}

/// The name by which a file is being opened, from the root of its volume. Nothing for one that is opened
/// by its id, or below a directory whose name is not known.
fn opened(
    names: &Names,
    irp: &Irp<'_, Glass>,
    volume: &Volume,
    level: &mut AtMostApc,
) -> Option<NonPagedArc<Name>> {
    /// FILE_OPEN_BY_FILE_ID.
    const BY_ID: u64 = 0x2000;
    let [options, _access] = irp.numbers(level);
    if options & BY_ID != 0 {
        return None;
    }
    let related = irp.file()?.related_number();
    let directory = match related {
        None => None,
        Some(related) => Some(names.find(volume.number, related, level.at_most_dispatch())?),
    };
    let name = irp.opened_name(level)?;
    let Some(directory) = directory else {
        return Name::new(name.units(), &[], Source::Opened).ok();
    };
    let backslash = [u16::from(b'\\')];
    // A stream of the directory itself begins with a colon.
    let between: &[u16] = match name.units().first() {
        None => &[],
        Some(&first) if first == u16::from(b':') => &[],
        Some(_) if directory.units().last() == backslash.first() => &[],
        Some(_) => &backslash,
    };
    let (flags, units) = (directory.flags, directory.units());
    let directory = Name::with(flags, units, between, Source::Opened).ok()?;
    let (flags, units) = (directory.flags, directory.units());
    Name::with(flags, units, name.units(), Source::Opened).ok()
}

/// What the file system has answered.
///
/// Errors: its status; STATUS_INSUFFICIENT_RESOURCES.
fn told(answer: Result<NonPagedSlice<u16>, Status>) -> Result<NonPagedArc<Name>, Status> {
    Name::new(&answer?, &[], Source::Told)
}

/// Whether the file system may be asked: at PASSIVE_LEVEL, in a request that is no paging I/O and does not
/// come from within a file system, on a file that has not been cleaned up.
fn safe_level<'l>(
    irp: &Irp<'_, Glass>,
    file: &FileObject<'_>,
    level: &'l mut AtMostApc,
) -> Option<&'l mut Passive> {
    let safe = !irp.is_paging_io() && !irp::is_within_file_system() && !file.is_cleaned_up();
    level.passive().filter(|_| safe)
}

/// Whether a request renames its file.
pub fn is_rename(irp: &Irp<'_, Glass>, level: &AtMostApc) -> bool {
    /// FileRenameInformation, FileRenameInformationBypassAccessCheck, FileRenameInformationEx,
    /// FileRenameInformationExBypassAccessCheck.
    const RENAMES: [u64; 4] = [10, 56, 65, 66];
    irp.major() == Operation::SET_INFORMATION.number() && RENAMES.contains(&irp.numbers(level)[0])
}

/// A request that renames a file, and can be waited for.
pub struct Rename<'l> {
    old: NonPagedArc<Name>,
    /// Where it is waited for.
    pub level: &'l mut Passive,
}

impl<'l> Rename<'l> {
    /// If `irp` is one, its file is called `name`, and it can be waited for.
    pub fn of(
        irp: &Irp<'_, Glass>,
        name: Option<&NonPagedArc<Name>>,
        level: &'l mut AtMostApc,
    ) -> Option<Self> {
        let file = irp.file()?;
        let old = name?.clone();
        if !is_rename(irp, level) {
            return None;
        }
        let level = safe_level(irp, &file, level)?;
        Some(Self { old, level })
    }

    /// It has been done: asks for the new name, and puts it in place of the old one.
    pub fn done(self, returned: &ReturnedIrp<'_, Glass>, volume: u32) {
        let names = super::of(returned.driver()).names();
        let new = told(returned.ask_name(self.level));
        let level = self.level.at_most_apc().at_most_dispatch();
        match new {
            Ok(new) => names.renamed(volume, &self.old, &new, level),
            Err(_) => names.renamed_somehow(volume, level),
        }
    }
}
