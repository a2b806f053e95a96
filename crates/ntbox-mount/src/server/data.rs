//! Open files: their data, and what is locked of it.

use super::Server;
use super::change::end_of;
use crate::errors::Result;
use crate::locks::Asked;
use crate::open_files::OpenFile;
use crate::volume::{Handle, Wanted, offset};
use fuser::Errno;
use ntbox_kernel::nt::{
    FILE_NO_INTERMEDIATE_BUFFERING, FILE_NON_DIRECTORY_FILE, FILE_WRITE_THROUGH,
};
use ntbox_kernel::user::access::{
    FILE_READ_ATTRIBUTES, FILE_READ_DATA, FILE_READ_EA, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA,
    FILE_WRITE_EA,
};
use std::sync::OnceLock;

/// The rights for how a file is opened. With them its state can be told and changed when it has no name any more.
pub(super) fn access_for(flags: i32) -> u32 {
    let state = FILE_READ_ATTRIBUTES | FILE_READ_EA | FILE_WRITE_ATTRIBUTES | FILE_WRITE_EA;
    let data = match flags & libc::O_ACCMODE {
        libc::O_RDONLY => FILE_READ_DATA,
        libc::O_WRONLY => FILE_WRITE_DATA,
        _ => FILE_READ_DATA | FILE_WRITE_DATA,
    };
    state | data
}

impl Server {
    /// Opens a file: its number as an open one.
    pub fn open(&self, node: u64, flags: i32) -> Result<u64> {
        let _names = self.use_names();
        let path = self.path(node).ok_or(Errno::ESTALE)?;
        let through = flags & (libc::O_SYNC | libc::O_DSYNC) != 0;
        let wanted = Wanted {
            options: FILE_NON_DIRECTORY_FILE | if through { FILE_WRITE_THROUGH } else { 0 },
            ..Wanted::existing(access_for(flags))
        };
        let handle = self.volume.open(&path, &wanted)?;
        let uncached = self.uncached(&path, flags)?;
        Ok(self.open.keep(OpenFile {
            node,
            handle,
            uncached,
            access: access_for(flags),
            lockable: OnceLock::new(),
        }))
    }

    /// The handle that passes by the cache, if a program wants to.
    pub(super) fn uncached(&self, path: &[u16], flags: i32) -> Result<Option<Handle>> {
        if flags & libc::O_DIRECT == 0 {
            return Ok(None);
        }
        let wanted = Wanted {
            options: FILE_NON_DIRECTORY_FILE | FILE_NO_INTERMEDIATE_BUFFERING,
            asynchronous: true,
            ..Wanted::existing(access_for(flags))
        };
        Ok(Some(self.volume.open(path, &wanted)?))
    }

    /// Reads.
    pub fn read(&self, file: u64, start: u64, length: u32) -> Result<Vec<u8>> {
        let file = self.open.file(file)?;
        let handle = file.handle_for(start, length as usize, false);
        Ok(handle.read(offset(start)?, length)?)
    }

    /// Writes; `of_cache` is what the host's kernel kept of a mapped file.
    pub fn write(&self, file: u64, start: u64, data: &[u8], of_cache: bool) -> Result<usize> {
        let file = self.open.file(file)?;
        end_of(start, data.len() as u64)?;
        let handle = file.handle_for(start, data.len(), of_cache);
        Ok(handle.write(offset(start)?, data)?)
    }

    /// Writes what is cached of a file, by whoever it was written. NT wants to write who flushes.
    pub fn flush(&self, node: u64, file: Option<u64>) -> Result<()> {
        let flush = |handle: &Handle| Ok(handle.flush()?);
        if let Some(file) = file {
            let file = self.open.file(file)?;
            if file.writes() {
                return flush(&file.handle);
            }
        }
        self.with(node, FILE_WRITE_DATA, flush)
    }

    /// A program has closed a file; what it has locked is free.
    pub fn closed(&self, node: u64, owner: u64) -> Result<()> {
        self.locks.release(node, owner);
        Ok(())
    }

    /// Nobody has the file open any more that this number is of.
    pub fn release(&self, file: u64, owner: Option<u64>) -> Result<()> {
        let file = self.open.take(file).ok_or(Errno::EBADF)?;
        if let Some(owner) = owner {
            self.locks.release(file.node, owner);
        }
        Ok(())
    }

    /// Locks, or unlocks, a range of an open file. A thread that is named waits for it.
    pub fn lock(&self, file: u64, asked: &Asked, waits: Option<u32>) -> Result<()> {
        let file = self.open.file(file)?;
        file.lockable.get_or_init(|| {
            let _names = self.use_names();
            let wanted = Wanted {
                asynchronous: true,
                ..Wanted::existing(file.access)
            };
            self.volume.open(&self.path(file.node)?, &wanted).ok()
        });
        match waits {
            Some(thread) => self.locks.wait(&file, asked, thread),
            None => self.locks.set(&file, asked),
        }
    }
}
