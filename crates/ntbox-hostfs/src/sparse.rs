//! Sparse files: clusters that have no room, and are zero.
//!
//! `FSCTL_SET_SPARSE` makes the data of a file sparse: from then on what was never written has no room, nor has what it
//! is extended by until that is written, and `FSCTL_SET_ZERO_DATA` gives whole clusters back.
//! `FSCTL_QUERY_ALLOCATED_RANGES` tells which have room. They are holes of the host's file, which any file may have: of
//! one that is not sparse nobody is told. A write to the cache of a sparse file takes room before the lazy writer comes.
//! Of a file that is not open, what it had when it was closed is told, as NTFS does in directories. On a host that does
//! not know holes all clusters have room.
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
use super::workers;
use ntbox_kernel::host::file::{Identity, Kind, Metadata, now};
use ntbox_kernel::nt::{
    FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA, NTSTATUS,
    STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_FILE_DELETED,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_MEDIA_WRITE_PROTECTED,
    STATUS_SUCCESS,
};
use ntbox_kernel::user::cache;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{io, iter};

/// Bytes of zeroes that are written at a time.
const PORTION: u64 = 0x1_0000;
/// `sizeof(FILE_ALLOCATED_RANGE_BUFFER)`, and of `FILE_ZERO_DATA_INFORMATION`.
pub const RANGE: usize = 16;
/// `FILE_ZERO_DATA_INFORMATION_FLAG_PRESERVE_CACHED_DATA`, of the larger structure.
const PRESERVE_CACHED_DATA: u32 = 1;

/// Whether `control` is about room for clusters.
pub fn is_control(control: u32) -> bool {
    matches!(
        control,
        FSCTL_SET_SPARSE | FSCTL_SET_ZERO_DATA | FSCTL_QUERY_ALLOCATED_RANGES
    )
}

/// Whether an `FSCTL_SET_ZERO_DATA` with that input leaves what is cached as it is, which drivers alone may ask for.
pub fn keeps_cache(input: &[u8]) -> bool {
    let flags = Fields(input).int(RANGE);
    flags.is_some_and(|flags| flags & PRESERVE_CACHED_DATA != 0)
}

/// A range in portions.
fn portions(bytes: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = bytes.end;
    let starts = (bytes.start..end).step_by(PORTION as usize);
    starts.map(move |start| start..end.min(start + PORTION))
}

impl Stream {
    pub(super) fn is_sparse(&self) -> bool {
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
        let filled = self.fill_up(&(offset..offset.saturating_add(length as u64)));
        // Only the owner of the host's file may say so.
        let _ = self.file.set_times(None, Some(before));
        filled
    }

    /// Makes bytes zero, as far as the size goes, and tells `zeroed` of what is, one part after the other: others may use
    /// the file between two. Whether there are any.
    pub(super) fn zero(
        &self,
        bytes: &Range<u64>,
        keeps_time: bool,
        mut zeroed: impl FnMut(&Range<u64>),
    ) -> io::Result<bool> {
        let mut rest = bytes.clone();
        loop {
            let _alone = self.size_guard.write();
            let before = self.file.metadata()?;
            rest.end = rest.end.min(before.size);
            if rest.is_empty() {
                return Ok(rest.start != bytes.start);
            }
            let end = self.zero_first(&rest, before.size);
            if keeps_time {
                // As far as the host lets that be said.
                let _ = self.file.set_times(None, Some(before.written));
            }
            let end = end?;
            zeroed(&(rest.start..end));
            rest.start = end;
        }
    }

    /// Makes the first of some bytes zero; where those end. The host gets their room back, or zeroes in the place of data,
    /// no more than a portion of them.
    fn zero_first(&self, bytes: &Range<u64>, size: u64) -> io::Result<u64> {
        let end = match bytes.end == size {
            true => size.next_multiple_of(CLUSTER),
            false => bytes.end,
        };
        if self.file.give_back(&(bytes.start..end)).is_ok() {
            return Ok(bytes.end);
        }
        let Some(data) = self.file.data_ranges(bytes).next().transpose()? else {
            return Ok(bytes.end);
        };
        let portion = data.start..data.end.min(data.start + PORTION);
        self.write_zeroes(&portion)?;
        Ok(portion.end)
    }

    /// Clusters that a range touches and that have room, in order, within the size.
    fn allocated_clusters(
        &self,
        bytes: &Range<u64>,
    ) -> io::Result<impl Iterator<Item = io::Result<Range<u64>>> + use<'_>> {
        let size = self.file.metadata()?.size;
        let start = bytes.start / CLUSTER * CLUSTER;
        let end = bytes.end.checked_next_multiple_of(CLUSTER).unwrap_or(size);
        let whole =
            |part: Range<u64>| part.start / CLUSTER * CLUSTER..part.end.next_multiple_of(CLUSTER);
        let data = self.file.data_ranges(&(start..end.min(size)));
        let mut parts = data.map(move |part| part.map(whole)).peekable();
        Ok(iter::from_fn(move || {
            let mut clusters = match parts.next()? {
                Ok(part) => part,
                failed => return Some(failed),
            };
            let touches = |part: &io::Result<Range<u64>>, end| {
                part.as_ref().is_ok_and(|part| part.start <= end)
            };
            while let Some(Ok(part)) = parts.next_if(|part| touches(part, clusters.end)) {
                clusters.end = part.end;
            }
            Some(Ok(clusters))
        }))
    }

    fn allocated(&self) -> io::Result<u64> {
        let mut clusters = self.allocated_clusters(&(0..u64::MAX))?;
        clusters.try_fold(0, |sum, part| {
            part.map(|part| sum + (part.end - part.start))
        })
    }
}

impl State {
    /// Of a sparse file, the bytes that had room when it was closed last, or when that was looked at.
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
                let set = self.set_sparse(id, on, effects);
                set.and_then(|becomes| match becomes {
                    true => self.give_cached_room(id),
                    false => Ok(()),
                })
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

    /// Makes the file sparse or not; whether it has become sparse.
    fn set_sparse(
        &self,
        id: OpenId,
        on: bool,
        effects: &mut Effects<'_>,
    ) -> Result<bool, NTSTATUS> {
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
            return Ok(false);
        }
        let stream = Arc::clone(stream);
        let (allocated, metadata) = {
            let _alone = stream.size_guard.write();
            let allocated = stream.allocated().map_err(failed)?;
            let metadata = stream.file.metadata().map_err(failed)?;
            stream.sparse.store(on, Ordering::Relaxed);
            (allocated, metadata)
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
        Ok(on)
    }

    /// What was in the cache alone when the file became sparse has room from now on.
    fn give_cached_room(&self, id: OpenId) -> Result<(), NTSTATUS> {
        let (pointers, whole) = {
            let state = self.state();
            (state.file_of(id)?.sections, state.usable(id)?.whole)
        };
        workers::while_waiting(|| cache::flush(pointers, None))?;
        self.state().note_allocation(whole);
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
        let bytes = start..end.cast_unsigned();
        let keeps_cache = keeps_cache(input);
        let zeroed = stream.zero(&bytes, data.keeps_time, |part| {
            if !keeps_cache {
                cache::zeroed_around(*pointers, part);
            }
        });
        match zeroed.map_err(failed)? {
            // What was zero was not written.
            true => self.wrote(id, &data, true),
            false => Ok(()),
        }
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
        let mut room = output.chunks_exact_mut(RANGE);
        let mut count = 0;
        let mut tell = |range: Range<u64>| -> Result<(), NTSTATUS> {
            let room = room.next().ok_or(STATUS_BUFFER_OVERFLOW)?;
            let (start, end) = (range.start.max(asked.start), range.end.min(asked.end));
            let range = [start, end - start].map(u64::cast_signed);
            room.copy_from_slice(&Record::new().long(range).finish());
            count += RANGE;
            Ok(())
        };
        let told = if stream.is_sparse() {
            let _still = stream.size_guard.read();
            let mut clusters = stream.allocated_clusters(&asked).map_err(failed)?;
            clusters.try_for_each(|range| tell(range.map_err(failed)?))
        } else {
            tell(asked.clone())
        };
        match told {
            Ok(()) => Ok((STATUS_SUCCESS, count)),
            Err(STATUS_BUFFER_OVERFLOW) => Ok((STATUS_BUFFER_OVERFLOW, count)),
            Err(status) => Err(status),
        }
    }
}
