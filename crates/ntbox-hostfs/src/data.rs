//! IRP_MJ_READ and IRP_MJ_WRITE.

use super::locks::{Owner, Range};
use super::notify::change;
use super::set::touch;
use super::volume::{FileNode, Object, OpenId, SECTOR, State, Stream, Volume};
use super::waiting::Reply;
use super::{host_status, workers};
use ntbox_kernel::host::file::{Metadata, now};
use ntbox_kernel::host::pageable;
use ntbox_kernel::nt::{
    NTSTATUS, STATUS_END_OF_FILE, STATUS_FILE_LOCK_CONFLICT, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_PARAMETER, STATUS_MEDIA_WRITE_PROTECTED, STATUS_SUCCESS,
};
use ntbox_kernel::user::cache;
use std::sync::Arc;

/// `FILE_WRITE_TO_END_OF_FILE` as a byte offset.
pub const END_OF_FILE: i64 = -1;

/// Where and how data is transferred.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transfer {
    /// First byte, or [`END_OF_FILE`] for a write.
    pub offset: i64,
    /// The caller's process, for locks.
    pub process: usize,
    /// The caller's key, for locks.
    pub key: u32,
    /// Paging I/O: no locks, no extension of the file.
    pub paging: bool,
    /// It must be aligned to sectors.
    pub aligned: bool,
    /// A write is on the host when it is done, not only in the cache.
    pub through: bool,
}

/// What the host says of a transfer.
pub(super) fn failed(error: std::io::Error) -> NTSTATUS {
    host_status::of(&error)
}

/// The data of an open.
pub(super) struct Data {
    /// What holds it.
    pub stream: Arc<Stream>,
    /// Where its `SECTION_OBJECT_POINTERS` are.
    pub pointers: usize,
    /// The holder of the open keeps the last write time as it is.
    pub keeps_time: bool,
}

impl Data {
    /// Where a transfer begins: for a write to the end of the file, where that is now.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER`; as the host says.
    pub fn place_of(&self, transfer: &Transfer) -> Result<u64, NTSTATUS> {
        match transfer.is_append() {
            true => Ok(self.stream.metadata().map_err(failed)?.size),
            false => u64::try_from(transfer.offset).map_err(|_| STATUS_INVALID_PARAMETER),
        }
    }

    /// Makes the file large enough for a write in the cache; where that begins, and how many of its bytes are written:
    /// pages that were lent do not make it larger. Nothing is written yet: the last write stays when it was.
    ///
    /// # Errors
    /// As [`place_of`](Self::place_of).
    pub fn make_room(&self, transfer: &Transfer, length: usize) -> Result<(u64, usize), NTSTATUS> {
        let Stream {
            file, size_guard, ..
        } = &*self.stream;
        let _alone = size_guard.write();
        let before = file.metadata().map_err(failed)?;
        let offset = match transfer.is_append() {
            true => before.size,
            false => u64::try_from(transfer.offset).map_err(|_| STATUS_INVALID_PARAMETER)?,
        };
        let room = match transfer.paging {
            true => usize::try_from(before.size.saturating_sub(offset)).unwrap_or(length),
            false => length,
        };
        let end = offset.saturating_add(length as u64);
        let grows = length != 0 && !transfer.paging && before.size < end;
        if grows {
            file.set_size(end).map_err(failed)?;
        }
        let count = length.min(room);
        let made = self.stream.make_room(offset, count);
        if grows {
            if made.is_err() {
                let _ = file.set_size(before.size);
            }
            let _ = file.set_times(None, Some(before.written));
        }
        made.map_err(failed)?;
        if grows {
            cache::set_size(self.pointers, end);
        }
        Ok((offset, count))
    }
}

impl Transfer {
    fn owner(&self, open: OpenId) -> Owner {
        Owner {
            file: open.0,
            process: self.process,
            key: self.key,
        }
    }
    pub(super) fn is_append(&self) -> bool {
        self.offset == END_OF_FILE && !self.paging
    }
    fn check(&self, length: usize) -> Result<(), NTSTATUS> {
        let odd = |value: u64| !value.is_multiple_of(SECTOR);
        match u64::try_from(self.offset) {
            Ok(offset) if self.aligned && (odd(offset) || odd(length as u64)) => {
                Err(STATUS_INVALID_PARAMETER)
            }
            Ok(offset)
                if offset
                    .checked_add(length as u64)
                    .is_none_or(|end| end > i64::MAX as u64) =>
            {
                Err(STATUS_INVALID_PARAMETER)
            }
            Ok(_) => Ok(()),
            Err(_) => Err(STATUS_INVALID_PARAMETER),
        }
    }
}

/// What is cached of a range is written before who goes around the cache looks at it.
pub(super) fn flush_cached(pointers: usize, offset: u64, length: usize) -> Result<(), NTSTATUS> {
    let bytes = offset..offset + length as u64;
    workers::while_waiting(|| cache::flush(pointers, Some(bytes)))
}

impl Volume {
    /// The data of the open, and whether the caller may touch the range.
    pub(super) fn data(
        &self,
        id: OpenId,
        transfer: &Transfer,
        length: usize,
        write: bool,
    ) -> Result<Data, NTSTATUS> {
        let state = self.state();
        if !transfer.paging {
            state.usable(id)?;
        }
        let file = state.file_of(id)?;
        let Object::File(stream) = &file.object else {
            return Err(STATUS_INVALID_DEVICE_REQUEST);
        };
        let stream = Arc::clone(stream);
        if !(write && transfer.is_append()) {
            transfer.check(length)?;
        }
        if !transfer.paging && !file.locks.is_empty() {
            let offset = match u64::try_from(transfer.offset) {
                Ok(offset) => offset,
                Err(_) => stream.file.metadata().map_err(failed)?.size,
            };
            let range = Range::new(offset, length as u64)?;
            let owner = transfer.owner(id);
            let allowed = if write {
                file.locks.allows_write(owner, range)
            } else {
                file.locks.allows_read(owner, range)
            };
            if !allowed {
                return Err(STATUS_FILE_LOCK_CONFLICT);
            }
        }
        Ok(Data {
            stream,
            pointers: file.sections,
            keeps_time: state.opens.get(&id).is_some_and(|open| open.keep_written),
        })
    }

    /// Reads; fewer bytes than asked for at the end of the file, `STATUS_END_OF_FILE` behind it.
    pub fn read(&self, id: OpenId, transfer: &Transfer, buffer: &mut [u8]) -> Reply {
        match self.try_read(id, transfer, buffer) {
            Ok(count) => (STATUS_SUCCESS, count),
            Err(status) => (status, 0),
        }
    }
    fn try_read(
        &self,
        id: OpenId,
        transfer: &Transfer,
        buffer: &mut [u8],
    ) -> Result<usize, NTSTATUS> {
        let data = self.data(id, transfer, buffer.len(), false)?;
        let stream = &data.stream;
        if buffer.is_empty() {
            return Ok(0);
        }
        let offset = u64::try_from(transfer.offset).map_err(|_| STATUS_INVALID_PARAMETER)?;
        if !transfer.paging {
            flush_cached(data.pointers, offset, buffer.len())?;
        }
        let _shared = stream.size_guard.read();
        let _paged_in = pageable::pinned(buffer);
        match stream.file.read_at(buffer, offset).map_err(failed)? {
            0 => Err(STATUS_END_OF_FILE),
            count => Ok(count),
        }
    }

    /// Writes; returns the offset that was written at as well, which the caller of a write to
    /// the end of the file does not know.
    pub fn write(&self, id: OpenId, transfer: &Transfer, buffer: &[u8]) -> (Reply, i64) {
        match self.try_write(id, transfer, buffer) {
            Ok((count, offset)) => ((STATUS_SUCCESS, count), offset),
            Err(status) => ((status, 0), transfer.offset),
        }
    }
    fn try_write(
        &self,
        id: OpenId,
        transfer: &Transfer,
        buffer: &[u8],
    ) -> Result<(usize, i64), NTSTATUS> {
        if self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        let data = self.data(id, transfer, buffer.len(), true)?;
        if !transfer.paging
            && let Ok(offset) = u64::try_from(transfer.offset)
        {
            flush_cached(data.pointers, offset, buffer.len())?;
        }
        let Stream {
            file, size_guard, ..
        } = &*data.stream;
        // Exclusive: the size may change, and appending needs it to stand still.
        let alone = size_guard.write();
        let before = file.metadata().map_err(failed)?;
        let offset = if transfer.is_append() {
            before.size
        } else {
            u64::try_from(transfer.offset).map_err(|_| STATUS_INVALID_PARAMETER)?
        };
        let room = if transfer.paging {
            before.size.saturating_sub(offset)
        } else {
            u64::MAX
        };
        let buffer = buffer
            .get(..usize::try_from(room).unwrap_or(usize::MAX))
            .unwrap_or(buffer);
        if buffer.is_empty() {
            return Ok((0, offset as i64));
        }
        let end = offset + buffer.len() as u64;
        let _paged_in = pageable::pinned(buffer);
        file.write_at(buffer, offset).map_err(failed)?;
        let is_lazy = transfer.paging && cache::is_being_written(data.pointers, &(offset..end));
        if is_lazy || data.keeps_time {
            // As far as the host lets that be said. Of the cache it was written when the program wrote it.
            let _ = file.set_times(None, Some(before.written));
        }
        if !transfer.paging {
            if end > before.size {
                cache::set_size(data.pointers, end);
            }
            cache::written_around(data.pointers, offset, buffer);
        }
        drop(alone);
        match is_lazy {
            true => self.state().keep_changed(id, &before),
            false => self.wrote(id, &data, false)?,
        }
        Ok((buffer.len(), offset as i64))
    }

    /// `id` has written, in the cache alone or on the host: its last write is now, unless the holder keeps it as it was.
    pub(super) fn wrote(&self, id: OpenId, data: &Data, cached: bool) -> Result<(), NTSTATUS> {
        let whole = self.state().note_write(id);
        if data.keeps_time {
            return Ok(());
        }
        match whole {
            Some(whole) => touch(&whole),
            // Only the owner of the host's file may say so.
            None if cached => drop(data.stream.set_times(None, Some(now()))),
            None => {}
        }
        Ok(())
    }

    /// Makes the file large enough for a write of `length` bytes, which the caller may do.
    pub fn make_room(&self, id: OpenId, transfer: &Transfer, length: u32) -> Result<(), NTSTATUS> {
        if self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        let data = self.data(id, transfer, length as usize, true)?;
        data.make_room(transfer, length as usize)?;
        Ok(())
    }

    /// Size of the data of the open; none if it has no data.
    pub fn size(&self, id: OpenId) -> Option<u64> {
        let object = self.state().file_of(id).ok()?.object.clone();
        match object {
            Object::File(stream) => Some(stream.file.metadata().ok()?.size),
            _ => None,
        }
    }
}

impl State {
    /// The data that `id` has opened was written: for a stream, the file whose time that is.
    fn note_write(&mut self, id: OpenId) -> Option<Object> {
        let open = self.opens.get_mut(&id)?;
        open.modified |= change::LAST_WRITE | change::SIZE;
        let whole = (open.whole != open.file).then_some(open.whole)?;
        self.files.get(&whole).map(|whole| whole.object.clone())
    }

    /// The lazy writer has written to the host's file, of which `before` is known: a change time that was set holds on.
    fn keep_changed(&mut self, id: OpenId, before: &Metadata) {
        let now = self.file_of(id).and_then(FileNode::metadata);
        let Ok(Some(now)) = now else { return };
        let set = self
            .overlays
            .of(before)
            .and_then(|overlay| overlay.changed)
            .filter(|(_, host)| *host == before.changed);
        if let Some((time, _)) = set {
            self.overlays.change(&now, |overlay| {
                overlay.changed = Some((time, now.changed));
            });
        }
    }
}
