//! Reads and writes in the cache of a file.
//!
//! A file object uses the cache from its first cached transfer on, as with FASTFAT. A write that goes behind the end of
//! the file makes it larger first, on the host as well: what is left to the lazy writer is the data alone, whose time is
//! that of the call. Nothing is locked while the cache manager works, since it may send requests.
//!
//! DDI: `CcInitializeCacheMap`, `CcCopyRead`, `CcCopyWrite`, `CcSetFileSizes`.

#![expect(
    unsafe_code,
    reason = "the cache manager knows file objects by pointer"
)]

use super::data::{Data, Transfer, failed};
use super::volume::{OpenId, Volume};
use super::waiting::Reply;
use super::workers;
use ntbox_kernel::host::pageable;
use ntbox_kernel::nt::{
    FILE_OBJECT, NTSTATUS, STATUS_END_OF_FILE, STATUS_FILE_CLOSED, STATUS_INVALID_PARAMETER,
    STATUS_MEDIA_WRITE_PROTECTED, STATUS_SUCCESS,
};
use ntbox_kernel::processor::top_level::Component;
use ntbox_kernel::user::cache;

/// A file object whose data is cached.
pub struct CachedFile<'a> {
    volume: &'a Volume,
    open: OpenId,
    file: *mut FILE_OBJECT,
    above: Component,
}

impl<'a> CachedFile<'a> {
    /// `open`, whose file object is `file`; `above` is who asks.
    ///
    /// # Safety
    /// `file` is alive as long as this is.
    pub unsafe fn new(
        volume: &'a Volume,
        open: OpenId,
        file: *mut FILE_OBJECT,
        above: Component,
    ) -> Self {
        Self {
            volume,
            open,
            file,
            above,
        }
    }

    /// Has the file object use the cache, if it does not yet.
    fn begin(&self, data: &Data, transfer: &Transfer) -> Result<(), NTSTATUS> {
        let state = self.volume.state();
        if transfer.paging {
            // Pages that were lent come back, whatever has become of the handle.
            return Ok(());
        }
        state.usable(self.open)?;
        let _still = data.stream.size_guard.read();
        let size = data.stream.file.metadata().map_err(failed)?.size;
        // SAFETY: `new`; the size stays what it is, and the handle is not closed, while the two are locked.
        unsafe { cache::initialize(self.file, size, None) };
        Ok(())
    }

    /// Whether a read of so many bytes, or a write, needs to wait for none of them.
    pub fn is_here(&self, offset: i64, length: u32, writes: bool) -> bool {
        u64::try_from(offset).is_ok_and(|offset| {
            // SAFETY: `new`.
            unsafe { cache::is_here(self.file, &(offset..offset + u64::from(length)), writes) }
        })
    }

    /// As [`Volume::read`].
    pub fn read(&self, transfer: &Transfer, buffer: &mut [u8]) -> Reply {
        match self.try_read(transfer, buffer) {
            Ok(count) => (STATUS_SUCCESS, count),
            Err(status) => (status, 0),
        }
    }

    fn try_read(&self, transfer: &Transfer, buffer: &mut [u8]) -> Result<usize, NTSTATUS> {
        let data = self.volume.data(self.open, transfer, buffer.len(), false)?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let offset = u64::try_from(transfer.offset).map_err(|_| STATUS_INVALID_PARAMETER)?;
        self.begin(&data, transfer)?;
        let _paged_in = pageable::pinned(buffer);
        let read = workers::while_waiting(|| {
            // SAFETY: `new`.
            unsafe { cache::read(self.file, offset, buffer, self.above) }
        });
        match read? {
            0 => Err(STATUS_END_OF_FILE),
            count => Ok(count),
        }
    }

    /// As [`Volume::make_room`].
    pub fn make_room(&self, transfer: &Transfer, length: u32) -> Result<(), NTSTATUS> {
        let data = self
            .volume
            .data(self.open, transfer, length as usize, true)?;
        self.begin(&data, transfer)?;
        self.volume.make_room(self.open, transfer, length)
    }

    /// As [`Volume::write`].
    pub fn write(&self, transfer: &Transfer, buffer: &[u8]) -> (Reply, i64) {
        match self.try_write(transfer, buffer) {
            // Pages that were lent come back when nobody uses the cache any more.
            Err(STATUS_FILE_CLOSED) if transfer.paging => {
                self.volume.write(self.open, transfer, buffer)
            }
            Ok((count, offset)) => ((STATUS_SUCCESS, count), offset),
            Err(status) => ((status, 0), transfer.offset),
        }
    }

    fn try_write(&self, transfer: &Transfer, buffer: &[u8]) -> Result<(usize, i64), NTSTATUS> {
        if self.volume.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        let data = self.volume.data(self.open, transfer, buffer.len(), true)?;
        if buffer.is_empty() {
            return Ok((0, data.place_of(transfer)?.cast_signed()));
        }
        self.begin(&data, transfer)?;
        let _paged_in = pageable::pinned(buffer);
        let written = workers::while_waiting(|| self.copy(&data, transfer, buffer))?;
        self.volume.wrote(self.open, &data, true)?;
        Ok(written)
    }

    /// Writes into the cache. What may fail comes before the file is made larger.
    fn copy(
        &self,
        data: &Data,
        transfer: &Transfer,
        buffer: &[u8],
    ) -> Result<(usize, i64), NTSTATUS> {
        let begin = data.place_of(transfer)?;
        let bytes = begin..begin.saturating_add(buffer.len() as u64);
        // SAFETY: `new`.
        unsafe { cache::prepare_write(self.file, &bytes, self.above) }?;
        let (offset, count) = data.make_room(transfer, buffer.len())?;
        let buffer = buffer.get(..count).unwrap_or(buffer);
        // SAFETY: `new`.
        unsafe { cache::write_to(self.file, offset, buffer, transfer.through, self.above) }?;
        Ok((count, offset.cast_signed()))
    }
}

impl Volume {
    /// The streams of its open files, those first that were opened first.
    fn cached_streams(&self) -> Vec<usize> {
        let state = self.state();
        let mut streams = Vec::new();
        for open in state.opens.values() {
            let stream = state.files.get(&open.file).map(|file| file.sections);
            if let Some(stream) = stream.filter(|stream| !streams.contains(stream)) {
                streams.push(stream);
            }
        }
        streams
    }

    /// Writes what is cached of its files, and ends the cache of those that nobody uses.
    ///
    /// # Errors
    /// The first status that a paging request has failed with; all that can be written is.
    pub fn write_back(&self) -> Result<(), NTSTATUS> {
        let mut written = Ok(());
        for stream in self.cached_streams() {
            written = written.and(cache::close(stream));
        }
        written
    }

    /// Gives up what is cached of its files: they are gone.
    pub fn forget_cached(&self) {
        for stream in self.cached_streams() {
            cache::purge(stream, None);
        }
    }
}
