//! IRP_MJ_READ and IRP_MJ_WRITE.

use super::host_status;
use super::locks::{Owner, Range};
use super::notify::change;
use super::set::touch;
use super::volume::{Object, OpenId, SECTOR, State, Stream, Volume};
use super::waiting::Reply;
use ntbox_kernel::host::pageable;
use ntbox_kernel::nt::{
    NTSTATUS, STATUS_END_OF_FILE, STATUS_FILE_LOCK_CONFLICT, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_PARAMETER, STATUS_MEDIA_WRITE_PROTECTED, STATUS_SUCCESS,
};
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
}

impl Transfer {
    fn owner(&self, open: OpenId) -> Owner {
        Owner {
            file: open.0,
            process: self.process,
            key: self.key,
        }
    }
    fn is_append(&self) -> bool {
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

impl Volume {
    /// The data of the open, and whether the caller may touch the range.
    fn data(
        &self,
        id: OpenId,
        transfer: &Transfer,
        length: usize,
        write: bool,
    ) -> Result<Arc<Stream>, NTSTATUS> {
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
                Err(_) => {
                    stream
                        .file
                        .metadata()
                        .map_err(|error| host_status::of(&error))?
                        .size
                }
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
        Ok(stream)
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
        let stream = self.data(id, transfer, buffer.len(), false)?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let _shared = stream.size_guard.read();
        let offset = u64::try_from(transfer.offset).map_err(|_| STATUS_INVALID_PARAMETER)?;
        let _paged_in = pageable::pinned(buffer);
        match stream
            .file
            .read_at(buffer, offset)
            .map_err(|error| host_status::of(&error))?
        {
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
        let append = transfer.is_append();
        let stream = self.data(id, transfer, buffer.len(), true)?;
        let failed = |error: std::io::Error| host_status::of(&error);
        // Exclusive: the size may change, and appending needs it to stand still.
        let _alone = stream.size_guard.write();
        let before = stream.file.metadata().map_err(failed)?;
        let offset = if append {
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
        if !buffer.is_empty() {
            let _paged_in = pageable::pinned(buffer);
            stream.file.write_at(buffer, offset).map_err(failed)?;
            let (keeps, whole) = self.state().note_write(id);
            match whole {
                Some(whole) if !keeps => touch(&whole),
                None if keeps => stream
                    .file
                    .set_times(None, Some(before.written))
                    .map_err(failed)?,
                _ => {}
            }
        }
        Ok((buffer.len(), offset as i64))
    }

    /// Makes the file large enough for a write of `length` bytes at `offset`, which the caller may do.
    pub fn make_room(
        &self,
        id: OpenId,
        transfer: &Transfer,
        offset: u64,
        length: u32,
    ) -> Result<(), NTSTATUS> {
        if self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        let stream = self.data(id, transfer, length as usize, true)?;
        let failed = |error: std::io::Error| host_status::of(&error);
        let _alone = stream.size_guard.write();
        let end = offset.saturating_add(length.into());
        if length != 0 && stream.file.metadata().map_err(failed)?.size < end {
            stream.file.set_size(end).map_err(failed)?;
        }
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
    /// The data that `id` has opened was written: whether its holder keeps the last write time; for a stream, the file
    /// whose time that is.
    fn note_write(&mut self, id: OpenId) -> (bool, Option<Object>) {
        let Some(open) = self.opens.get_mut(&id) else {
            return (false, None);
        };
        open.modified |= change::LAST_WRITE | change::SIZE;
        let (keeps, whole) = (open.keep_written, open.whole);
        let whole = (whole != open.file)
            .then(|| self.files.get(&whole))
            .flatten();
        (keeps, whole.map(|whole| whole.object.clone()))
    }
}
