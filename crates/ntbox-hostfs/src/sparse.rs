//! Sparse files: clusters that have no room, and are zero.
//!
//! `FSCTL_SET_SPARSE` makes the data of a file sparse: from then on what it is extended by has no room until it is
//! written, and `FSCTL_SET_ZERO_DATA` gives whole clusters back. `FSCTL_QUERY_ALLOCATED_RANGES` tells which have room.
//! They are holes of the host's file: whatever has room when a file is made sparse is written, so that it keeps it, and
//! a write to the cache takes room before the lazy writer comes. Of a file that is not open, what it had at its last
//! cleanup is told, as NTFS does in directories. On a host that does not know holes all clusters have room.
//!
//! Sources: [MS-FSA] 2.1.5.10.38, 2.1.5.10.39 and 2.1.5.10.22; the Win32 pages of the three controls; DDK guide
//! "FSCTL_SET_ZERO_DATA", DDI of `FSCTL_QUERY_ALLOCATED_RANGES`.

use super::data::{Data, Transfer, failed, flush_cached};
use super::notify::{Action, Change, change};
use super::overlay::Overlay;
use super::record::{Fields, Record};
use super::share::access;
use super::volume::{CLUSTER, Object, OpenId, State, Stream, Volume};
use super::waiting::{Effects, Reply};
use ntbox_kernel::host::file::{Identity, Kind, Metadata, now};
use ntbox_kernel::nt::{
    FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA, NTSTATUS,
    STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_FILE_DELETED,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_MEDIA_WRITE_PROTECTED,
    STATUS_SUCCESS,
};
use ntbox_kernel::user::cache;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes of zeroes that are written at a time.
const PORTION: u64 = 0x1_0000;
/// `sizeof(FILE_ALLOCATED_RANGE_BUFFER)`, and of `FILE_ZERO_DATA_INFORMATION`.
const RANGE: usize = 16;
/// `FILE_ZERO_DATA_INFORMATION_FLAG_PRESERVE_CACHED_DATA`, of the larger structure.
const PRESERVE_CACHED_DATA: u32 = 1;

/// Whether `control` is about room for clusters.
pub fn is_control(control: u32) -> bool {
    matches!(
        control,
        FSCTL_SET_SPARSE | FSCTL_SET_ZERO_DATA | FSCTL_QUERY_ALLOCATED_RANGES
    )
}

/// A range in portions.
fn portions(bytes: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = bytes.end;
    let starts = (bytes.start..end).step_by(PORTION as usize);
    starts.map(move |start| start..end.min(start + PORTION))
}

impl Stream {
    fn is_sparse(&self) -> bool {
        self.sparse.load(Ordering::Relaxed)
    }

    fn write_zeroes(&self, bytes: &Range<u64>) -> io::Result<()> {
        portions(bytes).try_for_each(|part| {
            let zeroes = vec![0; (part.end - part.start) as usize];
            self.file.write_at(&zeroes, part.start).map(|_| ())
        })
    }

    /// Gives every cluster that `bytes` touch room, within the size. Nobody changes the data meanwhile.
    fn fill_up(&self, bytes: &Range<u64>) -> io::Result<()> {
        let size = self.file.metadata()?.size;
        let start = bytes.start / CLUSTER * CLUSTER;
        let end = bytes.end.checked_next_multiple_of(CLUSTER).unwrap_or(size);
        let holes = self.file.holes(&(start..end.min(size)))?;
        holes.iter().try_for_each(|hole| self.write_zeroes(hole))
    }

    /// As [`fill_up`](Self::fill_up), for a write of so many bytes at `offset` that is still to come: the last write
    /// stays when it was. No other file needs it.
    pub(super) fn make_room(&self, offset: u64, length: usize) -> io::Result<()> {
        if !self.is_sparse() || length == 0 {
            return Ok(());
        }
        let before = self.file.metadata()?.written;
        self.fill_up(&(offset..offset.saturating_add(length as u64)))?;
        // Only the owner of the host's file may say so.
        let _ = self.file.set_times(None, Some(before));
        Ok(())
    }

    /// Makes bytes zero, which lie within the size; of a sparse file, whole clusters have no room then.
    fn zero(&self, bytes: &Range<u64>, size: u64) -> io::Result<()> {
        if !self.is_sparse() {
            return self.write_zeroes(bytes);
        }
        let start = bytes.start.next_multiple_of(CLUSTER);
        let end = match bytes.end == size {
            true => size,
            false => bytes.end / CLUSTER * CLUSTER,
        };
        let whole = start.min(bytes.end)..end.max(start.min(bytes.end));
        let clusters = whole.start..whole.end.next_multiple_of(CLUSTER);
        if !whole.is_empty() && self.file.give_back(&clusters).is_err() {
            self.write_zeroes(&whole)?;
        }
        for edge in [bytes.start..whole.start, whole.end..bytes.end] {
            for data in self.file.data_ranges(&edge)? {
                self.write_zeroes(&data)?;
            }
        }
        Ok(())
    }

    /// Clusters of a range that have room, in order, within the size.
    fn allocated_clusters(&self, bytes: &Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let size = self.file.metadata()?.size;
        let start = bytes.start / CLUSTER * CLUSTER;
        let data = self.file.data_ranges(&(start..bytes.end.min(size)))?;
        let mut clusters: Vec<Range<u64>> = Vec::new();
        for part in data {
            let part = part.start / CLUSTER * CLUSTER..part.end.next_multiple_of(CLUSTER);
            match clusters.last_mut() {
                Some(last) if last.end >= part.start => last.end = part.end,
                _ => clusters.push(part),
            }
        }
        Ok(clusters)
    }

    fn allocated(&self) -> io::Result<u64> {
        let clusters = self.allocated_clusters(&(0..u64::MAX))?;
        Ok(clusters.iter().map(|part| part.end - part.start).sum())
    }
}

impl State {
    /// Of a sparse file, the bytes that had room at its last cleanup.
    pub(super) fn sparse(&self, file: &Metadata) -> Option<u64> {
        self.overlays.of(file)?.sparse
    }

    /// Bytes that a file has room for.
    pub(super) fn allocated(&self, file: &Metadata) -> u64 {
        let node = self.files.get(&file.identity);
        let open = match node.map(|node| &node.object) {
            Some(Object::File(stream)) if stream.is_sparse() => stream.allocated().ok(),
            _ => None,
        };
        match (open.or(self.sparse(file)), file.kind) {
            (Some(allocated), _) => allocated,
            (None, Kind::Directory) => 0,
            (None, _) => file.size.next_multiple_of(CLUSTER),
        }
    }

    /// Keeps what a sparse file has room for: it may be closed soon.
    pub(super) fn note_allocation(&mut self, file: Identity) {
        let Some(Ok(Some(metadata))) = self.files.get(&file).map(|node| node.metadata()) else {
            return;
        };
        if self.sparse(&metadata).is_some() {
            let allocated = self.allocated(&metadata);
            let keep = |overlay: &mut Overlay| overlay.sparse = Some(allocated);
            self.overlays.change(&metadata, keep);
        }
    }
}

impl Volume {
    /// A file-system control about room for clusters. `caller` is who asks, for locks.
    pub fn sparse_control(
        &self,
        id: OpenId,
        control: u32,
        caller: &Transfer,
        (input, output): (&[u8], &mut [u8]),
        effects: &mut Effects<'_>,
    ) -> Reply {
        let result = match control {
            FSCTL_SET_SPARSE => {
                let on = input.first().is_none_or(|on| *on != 0);
                self.set_sparse(id, on, effects)
                    .map(|()| (STATUS_SUCCESS, 0))
            }
            FSCTL_SET_ZERO_DATA => {
                let zeroed = self.zero_data(id, caller, input);
                zeroed.map(|()| (STATUS_SUCCESS, 0))
            }
            _ => self.allocated_ranges(id, input, output),
        };
        result.unwrap_or_else(|status| (status, 0))
    }

    fn set_sparse(&self, id: OpenId, on: bool, effects: &mut Effects<'_>) -> Result<(), NTSTATUS> {
        let mut state = self.state();
        let granted = state.usable(id)?.granted;
        let node = state.file_of(id)?;
        let Object::File(stream) = &node.object else {
            return Err(STATUS_INVALID_PARAMETER);
        };
        if self.description.read_only {
            return Err(STATUS_MEDIA_WRITE_PROTECTED);
        }
        if granted & (access::WRITE_DATA | access::WRITE_ATTRIBUTES) == 0 {
            return Err(STATUS_ACCESS_DENIED);
        }
        if node.stream.is_some() {
            return Err(STATUS_INVALID_DEVICE_REQUEST);
        }
        if stream.is_sparse() == on {
            return Ok(());
        }
        let stream = Arc::clone(stream);
        let (allocated, metadata) = {
            let _alone = stream.size_guard.write();
            let before = stream.file.metadata().map_err(failed)?;
            // What has room keeps it, and what has none gets it.
            stream.fill_up(&(0..before.size)).map_err(failed)?;
            // Only the owner of the host's file may say so.
            let _ = stream.file.set_times(None, Some(before.written));
            stream.sparse.store(on, Ordering::Relaxed);
            let allocated = stream.allocated().map_err(failed)?;
            (allocated, stream.file.metadata().map_err(failed)?)
        };
        state.overlays.change(&metadata, |overlay| {
            overlay.sparse = on.then_some(allocated);
            overlay.changed = Some((now(), metadata.changed));
        });
        let changed = Change {
            path: state.link_of(id)?.components.clone(),
            action: Action::Modified,
            filter: change::ATTRIBUTES,
            entry: state.entry_of(id),
        };
        state.report(&[changed], effects);
        Ok(())
    }

    fn zero_data(&self, id: OpenId, caller: &Transfer, input: &[u8]) -> Result<(), NTSTATUS> {
        let invalid = STATUS_INVALID_PARAMETER;
        let fields = Fields(input);
        let (start, end) = (
            fields.long(0).ok_or(invalid)?,
            fields.long(8).ok_or(invalid)?,
        );
        let length = end
            .checked_sub(start)
            .and_then(|length| u64::try_from(length).ok());
        let (length, start) = (
            length.ok_or(invalid)?,
            u64::try_from(start).map_err(|_| invalid)?,
        );
        if fields
            .int(RANGE)
            .is_some_and(|flags| flags & PRESERVE_CACHED_DATA != 0)
        {
            return Err(STATUS_ACCESS_DENIED);
        }
        {
            let state = self.state();
            state.usable(id)?;
            if !matches!(state.file_of(id)?.object, Object::File(_)) {
                return Err(invalid);
            }
            if self.description.read_only {
                return Err(STATUS_MEDIA_WRITE_PROTECTED);
            }
            if state.link_of(id)?.removed {
                return Err(STATUS_FILE_DELETED);
            }
        }
        let transfer = Transfer {
            offset: start.cast_signed(),
            ..*caller
        };
        let length = usize::try_from(length).map_err(|_| invalid)?;
        let data = self.data(id, &transfer, length, true)?;
        let Data {
            stream, pointers, ..
        } = &data;
        flush_cached(*pointers, start, length)?;
        let alone = stream.size_guard.write();
        let before = stream.file.metadata().map_err(failed)?;
        let bytes = start..before.size.min(end.cast_unsigned());
        if bytes.is_empty() {
            return Ok(());
        }
        stream.zero(&bytes, before.size).map_err(failed)?;
        for part in portions(&bytes) {
            let zeroes = vec![0; (part.end - part.start) as usize];
            cache::written_around(*pointers, part.start, &zeroes);
        }
        if data.keeps_time {
            // As far as the host lets that be said.
            let _ = stream.file.set_times(None, Some(before.written));
        }
        drop(alone);
        self.wrote(id, &data, false)
    }

    fn allocated_ranges(
        &self,
        id: OpenId,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<Reply, NTSTATUS> {
        let invalid = STATUS_INVALID_PARAMETER;
        let stream = {
            let state = self.state();
            state.usable(id)?;
            match &state.file_of(id)?.object {
                Object::File(stream) => Arc::clone(stream),
                Object::Directory(_) | Object::Volume => return Err(invalid),
            }
        };
        let fields = Fields(input);
        let (start, length) = (
            fields.long(0).ok_or(invalid)?,
            fields.long(8).ok_or(invalid)?,
        );
        let end = start
            .checked_add(length)
            .filter(|_| start >= 0 && length >= 0);
        let asked = start.cast_unsigned()..end.ok_or(invalid)?.cast_unsigned();
        if asked.is_empty() {
            return Ok((STATUS_SUCCESS, 0));
        }
        if output.len() < RANGE {
            return Err(STATUS_BUFFER_TOO_SMALL);
        }
        let ranges = match stream.is_sparse() {
            false => vec![asked.clone()],
            true => {
                let _still = stream.size_guard.read();
                stream.allocated_clusters(&asked).map_err(failed)?
            }
        };
        let mut room = output.chunks_exact_mut(RANGE);
        let mut count = 0;
        for range in ranges {
            let Some(room) = room.next() else {
                return Ok((STATUS_BUFFER_OVERFLOW, count));
            };
            let (start, end) = (range.start.max(asked.start), range.end.min(asked.end));
            let range = [start, end - start].map(u64::cast_signed);
            room.copy_from_slice(&Record::new().long(range).finish());
            count += RANGE;
        }
        Ok((STATUS_SUCCESS, count))
    }
}
