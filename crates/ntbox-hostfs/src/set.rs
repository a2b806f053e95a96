//! IRP_MJ_SET_INFORMATION, but for renames and links.

#![expect(
    non_upper_case_globals,
    reason = "the DDI's information classes are matched by name"
)]

use super::host_status;
use super::notify::{Action, Change, change};
use super::query::stored_attributes;
use super::record::Fields;
use super::share::access;
use super::volume::{CLUSTER, Object, OpenId, Stream, Volume, attribute};
use super::waiting::Effects;
use ntbox_kernel::host::file::{Metadata, now};
use ntbox_kernel::io_manager::sections;
use ntbox_kernel::nt::{
    FileAllocationInformation, FileBasicInformation, FileCaseSensitiveInformation,
    FileDispositionInformation, FileDispositionInformationEx, FileEndOfFileInformation,
    FileShortNameInformation, FileValidDataLengthInformation, NTSTATUS, STATUS_ACCESS_DENIED,
    STATUS_CANNOT_DELETE, STATUS_DIRECTORY_NOT_EMPTY, STATUS_FILE_DELETED,
    STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_INFO_CLASS, STATUS_INVALID_PARAMETER,
    STATUS_MEDIA_WRITE_PROTECTED, STATUS_SUCCESS, STATUS_USER_MAPPED_FILE,
};
use ntbox_kernel::user::cache;
use std::sync::Arc;

/// `FILE_DISPOSITION_*`.
mod disposition {
    pub const DELETE: u32 = 0x1;
    pub const POSIX_SEMANTICS: u32 = 0x2;
    pub const ON_CLOSE: u32 = 0x8;
    pub const IGNORE_READONLY: u32 = 0x10;
}

/// A time in `FILE_BASIC_INFORMATION`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Unchanged,
    /// -1: this handle changes it no more.
    Frozen,
    /// -2: this handle changes it again.
    Thawed,
    To(i64),
}

impl Time {
    fn new(value: i64) -> Result<Self, NTSTATUS> {
        match value {
            0 => Ok(Self::Unchanged),
            -1 => Ok(Self::Frozen),
            -2 => Ok(Self::Thawed),
            value if value < 0 => Err(STATUS_INVALID_PARAMETER),
            value => Ok(Self::To(value)),
        }
    }
    fn to(self) -> Option<i64> {
        if let Self::To(value) = self {
            Some(value)
        } else {
            None
        }
    }
}

impl Volume {
    /// Sets information of class `class`. With `advance_only` the lazy writer says how much it has written, and no size
    /// changes. Position, renames and links are elsewhere.
    pub fn set_information(
        &self,
        id: OpenId,
        class: i32,
        advance_only: bool,
        buffer: &[u8],
        effects: &mut Effects<'_>,
    ) -> NTSTATUS {
        if self.description.read_only {
            return STATUS_MEDIA_WRITE_PROTECTED;
        }
        let fields = Fields(buffer);
        let length = |size: usize| {
            if buffer.len() < size {
                Err(STATUS_INFO_LENGTH_MISMATCH)
            } else {
                Ok(())
            }
        };
        let result = match class {
            FileBasicInformation => length(40).and_then(|()| self.set_basic(id, fields, effects)),
            FileDispositionInformation => length(1).and_then(|()| {
                let delete = fields.byte(0).is_some_and(|delete| delete != 0);
                self.set_disposition(id, if delete { disposition::DELETE } else { 0 })
            }),
            FileDispositionInformationEx => {
                length(4).and_then(|()| self.set_disposition(id, fields.int(0).unwrap_or(0)))
            }
            FileEndOfFileInformation => length(8).and_then(|()| {
                self.set_end_of_file(id, fields.long(0).unwrap_or(-1), advance_only, effects)
            }),
            FileAllocationInformation => length(8)
                .and_then(|()| self.set_allocation(id, fields.long(0).unwrap_or(-1), effects)),
            FileShortNameInformation => {
                length(8).and_then(|()| self.set_short_name(id, fields, effects))
            }
            FileCaseSensitiveInformation => {
                length(4).and_then(|()| self.set_case_flags(id, fields))
            }
            FileValidDataLengthInformation => length(8)
                .and_then(|()| self.set_valid_data_length(id, fields.long(0).unwrap_or(-1))),
            _ => Err(STATUS_INVALID_INFO_CLASS),
        };
        result.err().unwrap_or(STATUS_SUCCESS)
    }

    fn set_basic(
        &self,
        id: OpenId,
        fields: Fields<'_>,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        let time = |offset: usize| Time::new(fields.long(offset).unwrap_or(0));
        let (created, accessed, written, changed) = (time(0)?, time(8)?, time(16)?, time(24)?);
        let attributes = fields.int(32).unwrap_or(0);
        let mut state = self.state();
        state.usable(id)?;
        let file = state.whole_of(id)?;
        let metadata = file.metadata()?.ok_or(STATUS_INVALID_PARAMETER)?;
        let directory = file.is_directory();
        let wrong_kind = attributes & attribute::DIRECTORY != 0 && !directory
            || attributes & attribute::TEMPORARY != 0 && directory;
        if wrong_kind {
            return Err(STATUS_INVALID_PARAMETER);
        }
        let object = file.object.clone();
        // The host's change time cannot be set; what is set holds until it moves on.
        let set_changed = changed
            .to()
            .or((attributes != 0 || created.to().is_some()).then(now));
        if set_changed.is_some() {
            state.overlays.prepare(&metadata);
        }
        set_host_times(&object, accessed.to(), written.to())?;
        let changed = match set_changed {
            Some(value) => Some((value, host_metadata(&object)?.changed)),
            None => None,
        };
        state.overlays.change(&metadata, |overlay| {
            if attributes != 0 {
                overlay.set_attributes(metadata.kind, stored_attributes(attributes));
            }
            overlay.created = created.to().or(overlay.created);
            overlay.changed = changed.or(overlay.changed);
        });
        if let Some(open) = state.opens.get_mut(&id) {
            match written {
                Time::Frozen | Time::To(_) => open.keep_written = true,
                Time::Thawed => open.keep_written = false,
                Time::Unchanged => {}
            }
        }
        let mut filter = if attributes != 0 {
            change::ATTRIBUTES
        } else {
            0
        };
        for (time, bit) in [
            (created, change::CREATION),
            (accessed, change::LAST_ACCESS),
            (written, change::LAST_WRITE),
        ] {
            filter |= if time.to().is_some() { bit } else { 0 };
        }
        let path = state.link_of(id)?.components.clone();
        if filter != 0 {
            let changed = Change {
                path,
                action: Action::Modified,
                filter,
                entry: state.entry_of(id),
            };
            state.report(&[changed], effects);
        }
        Ok(())
    }

    fn set_disposition(&self, id: OpenId, flags: u32) -> Result<(), NTSTATUS> {
        let mut state = self.state();
        if state.usable(id)?.by_id {
            return Err(STATUS_INVALID_PARAMETER);
        }
        let delete = flags & disposition::DELETE != 0;
        if flags & disposition::ON_CLOSE != 0 {
            let open = state.opens.get_mut(&id).ok_or(STATUS_INVALID_PARAMETER)?;
            open.delete_on_close = delete;
            return Ok(());
        }
        let file = state.whole_of(id)?;
        let metadata = file.metadata()?.ok_or(STATUS_INVALID_PARAMETER)?;
        if state.link_of(id)?.removed {
            return Err(STATUS_FILE_DELETED);
        }
        let is_stream = state.file_of(id)?.stream.is_some();
        if delete {
            if state.link_of(id)?.parent.is_none() && !is_stream {
                return Err(STATUS_CANNOT_DELETE);
            }
            let read_only = state.attributes(&metadata) & attribute::READONLY != 0;
            if read_only && flags & disposition::IGNORE_READONLY == 0 {
                return Err(STATUS_CANNOT_DELETE);
            }
            if sections::is_mapped(state.file_of(id)?.sections) {
                return Err(STATUS_CANNOT_DELETE);
            }
            if let Object::Directory(directory) = &file.object
                && !is_stream
                && !directory
                    .names()
                    .map_err(|error| host_status::of(&error))?
                    .is_empty()
            {
                return Err(STATUS_DIRECTORY_NOT_EMPTY);
            }
        }
        match state.file_of_mut(id)?.stream.as_mut() {
            Some(stream) => stream.delete_pending = delete,
            None => state.link_of_mut(id)?.delete_pending = delete,
        }
        if let Some(open) = state.opens.get_mut(&id) {
            open.delete_at_cleanup = delete && flags & disposition::POSIX_SEMANTICS != 0;
        }
        Ok(())
    }

    fn stream(&self, id: OpenId) -> Result<Arc<Stream>, NTSTATUS> {
        let state = self.state();
        state.usable(id)?;
        match &state.file_of(id)?.object {
            Object::File(stream) if stream.file.is_writable() => Ok(Arc::clone(stream)),
            Object::File(_) => Err(STATUS_ACCESS_DENIED),
            Object::Directory(_) | Object::Volume => Err(STATUS_INVALID_PARAMETER),
        }
    }

    fn set_end_of_file(
        &self,
        id: OpenId,
        size: i64,
        advance_only: bool,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        if advance_only {
            // As much is valid as there is, of what is cleaned up or deleted too: there is nothing to note.
            return Ok(());
        }
        let size = u64::try_from(size).map_err(|_| STATUS_INVALID_PARAMETER)?;
        let stream = self.stream(id)?;
        let sections = self.state().file_of(id)?.sections;
        {
            let _alone = stream.size_guard.write();
            let before = stream
                .file
                .metadata()
                .map_err(|error| host_status::of(&error))?
                .size;
            if size == before {
                return Ok(());
            }
            if size < before && sections::is_mapped(sections) {
                return Err(STATUS_USER_MAPPED_FILE);
            }
            stream
                .file
                .set_size(size)
                .map_err(|error| host_status::of(&error))?;
            cache::set_size(sections, size);
        }
        let mut state = self.state();
        let file = state.file_of_mut(id)?;
        // Cutting gives allocation back; what was reserved beyond the end stays when growing.
        file.reserved = if size >= file.reserved {
            0
        } else {
            file.reserved
        };
        state.report_data(id, change::SIZE, effects);
        let whole = state.usable(id)?.whole;
        state.note_allocation(whole);
        if state.file_of(id)?.stream.is_some() && !state.usable(id)?.keep_written {
            touch(&state.whole_of(id)?.object);
        }
        Ok(())
    }

    /// Allocation below the size cuts the file; above, it is remembered and shown.
    fn set_allocation(
        &self,
        id: OpenId,
        size: i64,
        effects: &mut Effects<'_>,
    ) -> Result<(), NTSTATUS> {
        let size = u64::try_from(size).map_err(|_| STATUS_INVALID_PARAMETER)?;
        let stream = self.stream(id)?;
        let data = stream
            .file
            .metadata()
            .map_err(|error| host_status::of(&error))?
            .size;
        if size < data {
            self.set_end_of_file(id, size as i64, false, effects)?;
            self.state().file_of_mut(id)?.reserved = 0;
            return Ok(());
        }
        let clusters = size
            .checked_next_multiple_of(CLUSTER)
            .ok_or(STATUS_INVALID_PARAMETER)?;
        self.state().file_of_mut(id)?.reserved = clusters;
        Ok(())
    }

    /// All data up to the end is valid here; the call must only be right.
    fn set_valid_data_length(&self, id: OpenId, length: i64) -> Result<(), NTSTATUS> {
        let length = u64::try_from(length).map_err(|_| STATUS_INVALID_PARAMETER)?;
        let stream = self.stream(id)?;
        let granted = self.state().usable(id)?.granted;
        let size = stream
            .file
            .metadata()
            .map_err(|error| host_status::of(&error))?
            .size;
        if length != size || granted & access::WRITE_DATA == 0 {
            return Err(STATUS_INVALID_PARAMETER);
        }
        let sections = self.state().file_of(id)?.sections;
        match sections::can_be_truncated(sections, Some(length)) {
            true => Ok(()),
            false => Err(STATUS_USER_MAPPED_FILE),
        }
    }
}

fn host_metadata(object: &Object) -> Result<Metadata, NTSTATUS> {
    match object {
        Object::File(stream) => stream
            .file
            .metadata()
            .map_err(|error| host_status::of(&error)),
        Object::Directory(directory) => directory
            .metadata()
            .map_err(|error| host_status::of(&error)),
        Object::Volume => Err(STATUS_INVALID_PARAMETER),
    }
}

fn set_host_times(
    object: &Object,
    accessed: Option<i64>,
    written: Option<i64>,
) -> Result<(), NTSTATUS> {
    if accessed.is_none() && written.is_none() {
        return Ok(());
    }
    match object {
        Object::File(stream) => stream.set_times(accessed, written),
        Object::Directory(directory) => directory.set_times(accessed, written),
        Object::Volume => return Err(STATUS_INVALID_PARAMETER),
    }
    .map_err(|error| host_status::of(&error))
}

/// A stream of `whole` was written: its last write is the file's. Only the owner of the host's file may say so.
pub(super) fn touch(whole: &Object) {
    let _ = set_host_times(whole, None, Some(now()));
}
