//! The operations of the host's kernel, as calls on the volume.

mod change;
mod data;
mod holes;
mod make;

use crate::attributes;
use crate::bytes::Fields;
use crate::errors::Result;
use crate::listing::{Entry, Listing};
use crate::locks::Locks;
use crate::metadata::{PERMISSIONS, Rights, TYPE};
use crate::names;
use crate::nodes::{Name, Nodes, ROOT};
use crate::open_files::OpenFiles;
use crate::special;
use crate::tally::Tally;
use crate::volume::{Called, Handle, Stat, Volume, Wanted};
use fuser::{Errno, FileAttr};
use ntbox_kernel::nt::{
    FILE_DIRECTORY_FILE, FILE_FS_FULL_SIZE_INFORMATION, FileFsFullSizeInformation,
    STATUS_OBJECT_NAME_INVALID, Status,
};
use ntbox_kernel::user::access::{FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES};
use std::ffi::OsStr;
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use change::{Attributes, Renaming};
pub use make::New;

/// Who asks.
#[derive(Clone, Copy)]
pub struct Caller {
    /// User.
    pub user: u32,
    /// Group.
    pub group: u32,
}

/// Sizes of a volume, in clusters of so many bytes.
pub struct Space {
    /// All.
    pub total: u64,
    /// Free ones.
    pub free: u64,
    /// Those that the caller may have.
    pub available: u64,
    /// Bytes of one.
    pub cluster: u32,
}

/// A volume that is served.
pub struct Server {
    volume: Volume,
    /// Where it is mounted.
    mounted: PathBuf,
    /// Who owns what nobody was given.
    owner: (u32, u32),
    nodes: Mutex<Nodes>,
    /// Held while names are used, alone while they change: a name that was looked up is that file's until it has been
    /// used.
    naming: RwLock<()>,
    /// What programs have open.
    pub open: OpenFiles,
    /// What they have locked.
    pub locks: Locks,
}

impl Server {
    /// Serves the volume with this name at a place of the host.
    pub fn new(volume: &str, mounted: &Path, owner: (u32, u32)) -> Self {
        Self {
            volume: Volume {
                name: volume.encode_utf16().collect(),
                tally: Arc::new(Tally::default()),
            },
            mounted: mounted.to_owned(),
            owner,
            nodes: Mutex::default(),
            naming: RwLock::new(()),
            open: OpenFiles::default(),
            locks: Locks::default(),
        }
    }

    /// How the calls ended so far.
    pub fn tally(&self) -> &Tally {
        &self.volume.tally
    }

    /// Closes all that programs have open.
    pub fn end(&self) {
        self.locks.end();
        self.open.clear();
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn use_names(&self) -> RwLockReadGuard<'_, ()> {
        self.naming.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn change_names(&self) -> RwLockWriteGuard<'_, ()> {
        self.naming.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The full name of a file, if it has one.
    fn path(&self, node: u64) -> Option<Vec<u16>> {
        self.nodes().path(&self.volume.name, node)
    }

    /// The full name of an entry, and the entry. The directory has to be there still.
    fn path_in(&self, directory: u64, name: &OsStr) -> Result<(Vec<u16>, Name)> {
        let name = names::to_nt(name)?;
        let directory_path = self.path(directory).ok_or(Errno::ENOENT)?;
        Ok((names::below(&directory_path, &name)?, (directory, name)))
    }

    /// Does something with a file, by its name or, where that has gone, by what is open of it.
    fn with<R>(&self, node: u64, access: u32, act: impl FnOnce(&Handle) -> Result<R>) -> Result<R> {
        let _names = self.use_names();
        if let Some(path) = self.path(node) {
            let handle = self.volume.open(&path, &Wanted::existing(access))?;
            return act(&handle);
        }
        let file = self.open.of_node(node).ok_or(Errno::ESTALE)?;
        act(&file.handle)
    }

    /// State of a file that is open. The size of a link is that of its target, as POSIX has it.
    fn stat_of(&self, handle: &Handle) -> Called<Stat> {
        let mut stat = handle.stat()?;
        if attributes::kind(stat.tag, stat.attributes) == libc::S_IFLNK {
            stat.size = special::length(
                handle,
                &self.volume.name,
                self.mounted.as_os_str().as_bytes(),
            )?;
        }
        Ok(stat)
    }

    /// Tells the kernel of a file that was found by a name.
    fn found(&self, name: Name, stat: &Stat) -> FileAttr {
        let rights = attributes::rights(stat, self.owner);
        let number = self.nodes().found(name, stat, (rights.group, rights.mode));
        attributes::of(number, stat, self.owner)
    }

    /// Tells the kernel of a file that it knows.
    fn told(&self, node: u64, stat: &Stat) -> FileAttr {
        let rights = attributes::rights(stat, self.owner);
        self.nodes().seen(node, stat, (rights.group, rights.mode));
        attributes::of(node, stat, self.owner)
    }

    /// Whose a new file is: where the directory's group goes on to what is made in it, as `mkdir` and `open` leave to
    /// the file system, directories hand on that they do so.
    fn rights_of_new(&self, directory: u64, mode: u32, caller: Caller) -> Rights {
        let (group, directory_mode) = self.nodes().rights(directory);
        let inherits = directory_mode & libc::S_ISGID != 0;
        let hands_on = inherits && mode & TYPE == libc::S_IFDIR;
        Rights {
            user: caller.user,
            group: if inherits { group } else { caller.group },
            mode: mode & (TYPE | PERMISSIONS) | if hands_on { libc::S_ISGID } else { 0 },
        }
    }

    /// Finds an entry.
    pub fn lookup(&self, directory: u64, name: &OsStr) -> Result<FileAttr> {
        let _names = self.use_names();
        let (path, name) = self.path_in(directory, name)?;
        let handle = match self.volume.open(&path, &Wanted::state()) {
            // What cannot be the name of a file is the name of none.
            Err(Status(STATUS_OBJECT_NAME_INVALID)) => return Err(Errno::ENOENT.into()),
            opened => opened?,
        };
        let stat = self.stat_of(&handle)?;
        drop(handle);
        Ok(self.found(name, &stat))
    }

    /// The kernel has forgotten a number so many times.
    pub fn forget(&self, node: u64, times: u64) {
        self.nodes().forget(node, times);
    }

    /// State of a file.
    pub fn state(&self, node: u64) -> Result<FileAttr> {
        let stat = self.with(node, Wanted::state().access, |handle| {
            Ok(self.stat_of(handle)?)
        })?;
        Ok(self.told(node, &stat))
    }

    /// Where a link leads.
    pub fn target(&self, node: u64) -> Result<Vec<u8>> {
        self.with(node, FILE_READ_ATTRIBUTES, |handle| {
            special::target(
                handle,
                &self.volume.name,
                self.mounted.as_os_str().as_bytes(),
            )
        })
    }

    /// Sizes of the volume.
    pub fn space(&self) -> Result<Space> {
        macro_rules! at {
            ($field:ident) => {
                offset_of!(FILE_FS_FULL_SIZE_INFORMATION, $field)
            };
        }
        let length = size_of::<FILE_FS_FULL_SIZE_INFORMATION>() as u32;
        let data = self.with(ROOT, FILE_READ_ATTRIBUTES, |root| {
            Ok(root.query_volume(FileFsFullSizeInformation, length)?)
        })?;
        let fields = Fields(&data);
        let clusters = |at: usize| fields.long(at).cast_unsigned();
        Ok(Space {
            total: clusters(at!(TotalAllocationUnits)),
            free: clusters(at!(ActualAvailableAllocationUnits)),
            available: clusters(at!(CallerAvailableAllocationUnits)),
            cluster: fields.int(at!(SectorsPerAllocationUnit)) * fields.int(at!(BytesPerSector)),
        })
    }

    /// Opens a directory to list it.
    pub fn open_directory(&self, node: u64) -> Result<u64> {
        let _names = self.use_names();
        let path = self.path(node).ok_or(Errno::ENOENT)?;
        let wanted = Wanted {
            options: FILE_DIRECTORY_FILE,
            ..Wanted::existing(FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES)
        };
        let handle = self.volume.open(&path, &wanted)?;
        Ok(self.open.keep_directory(Listing::new(node, handle)))
    }

    /// Nobody has the directory open any more.
    pub fn close_directory(&self, directory: u64) -> Result<()> {
        self.open.take_directory(directory).ok_or(Errno::EBADF)?;
        Ok(())
    }

    /// Hands the entries from a place on to `take` as long as that wants more: where the next one is, its number and
    /// kind, its name. The directory itself and the one that holds it come first.
    pub fn list(
        &self,
        directory: u64,
        place: u64,
        mut take: impl FnMut(u64, u64, u32, &OsStr) -> bool,
    ) -> Result<()> {
        let listing = self.open.directory(directory)?;
        let own = [
            (".", listing.node),
            ("..", self.nodes().parent(listing.node)),
        ];
        for (at, (name, number)) in (1..).zip(own) {
            if at > place && !take(at, number, libc::S_IFDIR, OsStr::new(name)) {
                return Ok(());
            }
        }
        let dots = own.len() as u64;
        let first = place.saturating_sub(dots) as usize;
        let each = |at: usize, entry: &Entry| {
            let number = self.nodes().number_of(entry.id);
            take(dots + at as u64 + 1, number, entry.kind, &entry.name)
        };
        match listing.each_from(first, each) {
            // A directory that was removed while it was open holds nothing.
            Err(Status(ntbox_kernel::nt::STATUS_DELETE_PENDING)) => Ok(()),
            listed => Ok(listed?),
        }
    }
}
