//! What programs have open, by the numbers that the host's kernel has for it.

use crate::errors::{Failed, Result};
use crate::listing::Listing;
use crate::volume::Handle;
use fuser::Errno;
use ntbox_hostfs::volume::SECTOR;
use ntbox_kernel::user::access::{FILE_READ_DATA, FILE_WRITE_DATA};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// An open file.
pub struct OpenFile {
    /// Its number.
    pub node: u64,
    /// The handle.
    pub handle: Handle,
    /// The one for uncached requests (`O_DIRECT`), which have to be of whole sectors.
    pub uncached: Option<Handle>,
    /// The rights that it was opened with.
    pub access: u32,
    /// The handle that has its locks, once there are any; see [`locks`](Self::locks).
    pub lockable: OnceLock<Option<Handle>>,
}

impl OpenFile {
    /// It may be written.
    pub fn writes(&self) -> bool {
        self.access & FILE_WRITE_DATA != 0
    }
    /// It may be read.
    pub fn reads(&self) -> bool {
        self.access & FILE_READ_DATA != 0
    }
    /// The handle for locks: one of its own, so that who waits for a lock keeps nobody from reading; the file's where
    /// there is none, as when it had no name any more.
    pub fn locks(&self) -> &Handle {
        let own = self.lockable.get().and_then(Option::as_ref);
        own.unwrap_or(&self.handle)
    }
    /// The handle for a transfer. One that the host's cache has made up for itself, or of parts of sectors, is cached.
    pub fn handle_for(&self, offset: u64, length: usize, of_cache: bool) -> &Handle {
        let whole = offset.is_multiple_of(SECTOR) && (length as u64).is_multiple_of(SECTOR);
        match &self.uncached {
            Some(uncached) if whole && !of_cache => uncached,
            _ => &self.handle,
        }
    }
}

/// All of them.
#[derive(Default)]
pub struct OpenFiles {
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    last: u64,
    files: HashMap<u64, Arc<OpenFile>>,
    directories: HashMap<u64, Arc<Listing>>,
    /// The files of a node.
    by_node: HashMap<u64, Vec<u64>>,
}

impl OpenFiles {
    fn all(&self) -> std::sync::MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Keeps a file: its number.
    pub fn keep(&self, file: OpenFile) -> u64 {
        let mut all = self.all();
        all.last += 1;
        let number = all.last;
        all.by_node.entry(file.node).or_default().push(number);
        all.files.insert(number, Arc::new(file));
        number
    }
    /// Keeps a directory: its number.
    pub fn keep_directory(&self, listing: Listing) -> u64 {
        let mut all = self.all();
        all.last += 1;
        let number = all.last;
        all.directories.insert(number, Arc::new(listing));
        number
    }
    /// A file.
    ///
    /// # Errors
    /// EBADF.
    pub fn file(&self, number: u64) -> Result<Arc<OpenFile>> {
        let found = self.all().files.get(&number).cloned();
        found.ok_or(Failed(Errno::EBADF))
    }
    /// A directory.
    ///
    /// # Errors
    /// EBADF.
    pub fn directory(&self, number: u64) -> Result<Arc<Listing>> {
        let found = self.all().directories.get(&number).cloned();
        found.ok_or(Failed(Errno::EBADF))
    }
    /// A file of a node that is open, one that may be written if there is one.
    pub fn of_node(&self, node: u64) -> Option<Arc<OpenFile>> {
        let all = self.all();
        let numbers = all.by_node.get(&node)?;
        let mut files = numbers.iter().filter_map(|number| all.files.get(number));
        let first = files.next()?;
        let written = std::iter::once(first)
            .chain(files)
            .find(|file| file.writes());
        Some(Arc::clone(written.unwrap_or(first)))
    }
    /// Takes a file out. It closes with the last one that uses it.
    pub fn take(&self, number: u64) -> Option<Arc<OpenFile>> {
        let mut all = self.all();
        let file = all.files.remove(&number)?;
        if let Some(numbers) = all.by_node.get_mut(&file.node) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                all.by_node.remove(&file.node);
            }
        }
        Some(file)
    }
    /// Takes a directory out.
    pub fn take_directory(&self, number: u64) -> Option<Arc<Listing>> {
        self.all().directories.remove(&number)
    }
    /// Closes everything.
    pub fn clear(&self) {
        let taken = std::mem::take(&mut *self.all());
        drop(taken);
    }
}
