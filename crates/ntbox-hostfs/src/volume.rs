//! A mounted volume: its files, opens and attributes.
//!
//! This is the file system without IRPs. Every operation takes plain values,
//! holds the volume's lock while it changes what is open, and returns a status;
//! requests that it ends on the way leave through [`Effects`](super::waiting::Effects).
//!
//! - A [`FileNode`] (FCB) stands for a host file that is open, found by its identity, so
//!   that all names of a file share locks and sharing.
//! - A [`Link`] is one name of it that is open; deletion and renaming act on links.
//! - A named stream that is open has a node of its own, beside that of its file, whose
//!   names and attributes are its own.
//! - An [`Open`] (CCB) stands for a file object.
//!
//! NT attributes, creation and change times that the host cannot hold, and security
//! descriptors live in an [overlay](super::overlays), in memory and in a folder beside the files.

use super::directory::Scan;
use super::locks;
use super::notify::Watch;
use super::oplocks::{self, Key};
use super::overlay::NamedStream;
pub use super::overlay::attribute;
use super::overlays::Overlays;
use super::resolve::Tree;
use super::share::{Shares, Use};
use super::waiting::Ticket;
use ntbox_kernel::host::file::{Directory, File, Identity, Metadata};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Bytes of a cluster: allocation sizes are multiples of it.
pub const CLUSTER: u64 = 4096;
/// Bytes of a sector: noncached requests are aligned to it.
pub const SECTOR: u64 = 512;

/// What a volume says of itself.
#[derive(Clone, Debug)]
pub struct Description {
    /// Its label.
    pub label: Vec<u16>,
    /// Its serial number.
    pub serial: u32,
    /// The number of the medium that it is on, in its drive.
    pub medium: u32,
    /// In front of every name that is queried: `\box\share` on the network, else empty.
    pub prefix: Vec<u16>,
    /// `FILE_DEVICE_*` of the device it lies on.
    pub device_type: u32,
    /// `FILE_REMOVABLE_MEDIA`, `FILE_REMOTE_DEVICE`, …
    pub characteristics: u32,
    /// Name of the file system.
    pub file_system: &'static str,
    /// Nothing on it may change.
    pub read_only: bool,
}

/// An open, by number; numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpenId(pub u64);

/// The data of a regular file.
#[derive(Debug)]
pub struct Stream {
    /// The host's file.
    pub file: File,
    /// Shared by reads; exclusive for writes, and where size or times change.
    pub size_guard: RwLock<()>,
    /// Clusters of it may have no room on the host: it is sparse.
    pub(super) sparse: AtomicBool,
}

impl Stream {
    /// Of the host's file.
    pub fn new(file: File, is_sparse: bool) -> Self {
        Self {
            file,
            size_guard: RwLock::new(()),
            sparse: AtomicBool::new(is_sparse),
        }
    }

    /// State of it on the host, but not in the middle of a write from the cache, which leaves the times as they were.
    ///
    /// # Errors
    /// As the host says.
    pub fn metadata(&self) -> std::io::Result<Metadata> {
        let _still = self.size_guard.read();
        self.file.metadata()
    }

    /// Sets when it was accessed and written. A write from the cache, which leaves both as they were, is not under way
    /// meanwhile.
    ///
    /// # Errors
    /// As the host says.
    pub fn set_times(&self, accessed: Option<i64>, written: Option<i64>) -> std::io::Result<()> {
        let _alone = self.size_guard.write();
        self.file.set_times(accessed, written)
    }
}

/// What an open file is on the host.
#[derive(Clone, Debug)]
pub enum Object {
    /// A regular file.
    File(Arc<Stream>),
    /// A directory.
    Directory(Arc<Directory>),
    /// The volume itself.
    Volume,
}

/// One open name of a file.
#[derive(Debug)]
pub struct Link {
    /// Its path on the volume.
    pub components: Vec<Vec<u16>>,
    /// The directory that holds it; none for the root and the volume.
    pub parent: Option<Arc<Directory>>,
    /// Its name there.
    pub name: OsString,
    /// Handles opened by it, not yet cleaned up.
    pub handles: u32,
    /// File objects opened by it, not yet closed.
    pub opens: u32,
    /// It goes when its last handle does.
    pub delete_pending: bool,
    /// It is gone.
    pub removed: bool,
    /// What is gone was a link of the host to the file, which is still there.
    pub alias: bool,
}

/// An open file (FCB).
#[derive(Debug)]
pub struct FileNode {
    /// What it is on the host.
    pub object: Object,
    /// How its opens share it.
    pub shares: Shares,
    /// Its byte-range locks.
    pub locks: locks::Table,
    /// Its oplocks.
    pub oplocks: oplocks::Table,
    /// Its open names, by number.
    pub links: BTreeMap<u32, Link>,
    /// Allocation that was asked for beyond the data.
    pub reserved: u64,
    /// File objects not yet closed.
    pub opens: u32,
    /// Where its `SECTION_OBJECT_POINTERS` are, by which the memory manager knows who has mapped it.
    pub sections: usize,
    /// It is a named stream of a file.
    pub stream: Option<StreamOf>,
}

/// What an open named stream is of its file.
#[derive(Clone, Debug)]
pub struct StreamOf {
    /// The file.
    pub whole: Identity,
    /// Its number there, and its name.
    pub named: NamedStream,
    /// Handles of it, not yet cleaned up.
    pub handles: u32,
    /// It goes when its last handle does.
    pub delete_pending: bool,
    /// It is gone.
    pub removed: bool,
}

/// A component by whose short name a file was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedBy {
    /// Which component.
    pub at: usize,
    /// Its short name.
    pub short: Vec<u16>,
}

/// A file object (CCB).
#[derive(Debug)]
pub struct Open {
    /// Its file, or stream.
    pub file: Identity,
    /// Its file; another than [`file`](Self::file) for a named stream.
    pub whole: Identity,
    /// The name it was opened by.
    pub link: u32,
    /// How it shares.
    pub shared: Use,
    /// Access that was granted.
    pub granted: u32,
    /// The components of its name that were given by short names.
    pub(super) opened_by: Vec<OpenedBy>,
    /// The key of its oplocks, if it was opened with one.
    pub oplock_key: Option<Key>,
    /// It was opened by the id of its file, and so has no name that it could change or delete.
    pub by_id: bool,
    /// Names differed in case for its create, and so they do for where it is renamed to (`FO_OPENED_CASE_SENSITIVE`).
    pub case_sensitive: bool,
    /// It was opened to delete.
    pub delete_on_close: bool,
    /// Deletion by this handle does not wait for others.
    pub delete_at_cleanup: bool,
    /// Its last handle is closed.
    pub cleaned_up: bool,
    /// Where its directory query is.
    pub scan: Option<Scan>,
    /// What it watches.
    pub watch: Option<Watch>,
    /// `FILE_NOTIFY_CHANGE_*` bits to report at cleanup.
    pub modified: u32,
    /// The extended attribute that a query goes on with.
    pub next_extended_attribute: usize,
    /// Writes through it leave the last write time alone (its holder set it to -1).
    pub keep_written: bool,
}

/// State of a file as NT sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Creation, last access, last write, change.
    pub times: [i64; 4],
    /// Bytes reserved for data.
    pub allocation: i64,
    /// Bytes of data.
    pub size: i64,
    /// `FILE_ATTRIBUTE_*`.
    pub attributes: u32,
    /// Tag of its reparse point, or zero.
    pub reparse_tag: u32,
    /// It is a directory.
    pub directory: bool,
    /// Names it has.
    pub links: u32,
    /// How many of them are to be deleted.
    pub links_going: u32,
    /// Its number on the volume.
    pub index: u64,
    /// Bytes of its extended attributes, with their head.
    pub extended_attributes: u32,
}

/// All that changes.
#[derive(Debug, Default)]
pub struct State {
    /// Open files.
    pub files: HashMap<Identity, FileNode>,
    /// File objects.
    pub opens: BTreeMap<OpenId, Open>,
    /// What the host cannot hold.
    pub(super) overlays: Overlays,
    /// Security descriptor of the volume itself, if it was given one.
    pub security: Option<Vec<u8>>,
    /// Label, if it was changed.
    pub label: Option<Vec<u16>>,
    /// Who has locked the volume.
    pub locked_by: Option<OpenId>,
    /// The volume is gone.
    pub dismounted: bool,
    /// Another medium is in the drive, or none: see `media`.
    pub absent: bool,
    pub(super) next: u64,
}

/// A mounted volume.
#[derive(Debug)]
pub struct Volume {
    /// What it says of itself.
    pub description: Description,
    /// The host directory it shows.
    pub tree: Tree,
    state: Mutex<State>,
}

/// The identity under which opens of the volume itself are kept.
pub const VOLUME_FILE: Identity = Identity {
    device: u64::MAX,
    number: u64::MAX,
};

impl Volume {
    /// Shows `directory` as a volume.
    ///
    /// # Errors
    /// As the host says.
    pub fn open(directory: &Path, description: Description) -> std::io::Result<Self> {
        let tree = Tree::open(directory)?;
        let root = tree.root().map_err(|_| std::io::ErrorKind::NotFound)?;
        let overlays = Overlays::open(&root, directory.to_owned(), description.read_only);
        Ok(Self {
            description,
            tree,
            state: Mutex::new(State {
                overlays,
                ..State::default()
            }),
        })
    }
    /// Takes the volume's lock. No request is completed and no driver called while it is held.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Number of file objects that are not closed.
    pub fn open_count(&self) -> usize {
        self.state().opens.len()
    }
    /// Takes a waiting request out of its queue, for its cancel routine.
    pub fn remove_waiting(&self, open: OpenId, ticket: Ticket) -> bool {
        let mut state = self.state();
        let Some(open) = state.opens.get_mut(&open) else {
            return false;
        };
        if open
            .watch
            .as_mut()
            .is_some_and(|watch| watch.remove_waiting(ticket))
        {
            return true;
        }
        let file = open.file;
        let own = state.files.get_mut(&file);
        // What would replace another file waits for that one's oplocks.
        own.is_some_and(|file| file.locks.remove_waiting(ticket))
            || state.remove_waiting_for_oplock(ticket)
    }
    /// As [`remove_waiting`](Self::remove_waiting), for a create: it has no open yet.
    pub fn remove_waiting_create(&self, ticket: Ticket) -> bool {
        self.state().remove_waiting_for_oplock(ticket)
    }
    /// Whether fast I/O may go ahead without looking at locks and oplocks.
    pub fn has_no_locks(&self, open: OpenId) -> bool {
        self.state()
            .file_of(open)
            .is_ok_and(|file| file.locks.is_empty() && file.oplocks.is_empty())
    }
}
