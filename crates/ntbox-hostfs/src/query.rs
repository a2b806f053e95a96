//! IRP_MJ_QUERY_INFORMATION.
//!
//! `FileAccessInformation`, `FileModeInformation` and `FileAlignmentInformation` are the
//! I/O manager's; inside `FileAllInformation` their fields are left as it set them.

#![expect(
    non_upper_case_globals,
    reason = "the DDI's information classes are matched by name"
)]

use super::attribute_list::Attribute;
use super::names;
use super::record::Record;
use super::volume::{CLUSTER, FileNode, FileState, Object, Open, OpenId, Volume, attribute};
use super::waiting::Reply;
use ntbox_kernel::host::file::Metadata;
use ntbox_kernel::nt::{
    FileAllInformation, FileAlternateNameInformation, FileAttributeTagInformation,
    FileBasicInformation, FileCaseSensitiveInformation, FileCompressionInformation,
    FileEaInformation, FileHardLinkInformation, FileIdInformation, FileInternalInformation,
    FileIsRemoteDeviceInformation, FileNameInformation, FileNetworkOpenInformation,
    FileNormalizedNameInformation, FilePositionInformation, FileStandardInformation,
    FileStandardLinkInformation, FileStatInformation, FileStatLxInformation, FileStreamInformation,
    LX_FILE_METADATA_HAS_DEVICE_ID, LX_FILE_METADATA_HAS_GID, LX_FILE_METADATA_HAS_MODE,
    LX_FILE_METADATA_HAS_UID, NTSTATUS, STATUS_INVALID_HANDLE, STATUS_INVALID_INFO_CLASS,
    STATUS_INVALID_PARAMETER,
};

/// Bytes of `FILE_ALL_INFORMATION` in front of its name.
const ALL_HEAD: usize = 100;
/// `sizeof(FILE_ALL_INFORMATION)`.
const ALL_SIZE: usize = 104;
/// Where the fields that the I/O manager fills lie in it: access, and mode with alignment.
const ALL_ACCESS: std::ops::Range<usize> = 76..80;
const ALL_MODE_AND_ALIGNMENT: std::ops::Range<usize> = 88..96;

fn basic(state: &FileState) -> Record {
    Record::new().long(state.times).int([state.attributes, 0])
}

fn standard(state: &FileState, going: bool) -> Record {
    let links = state.links.saturating_sub(state.links_going);
    Record::new()
        .long([state.allocation, state.size])
        .int([links])
        .bytes(&[going.into(), state.directory.into(), 0, 0])
}

/// `FILE_NETWORK_OPEN_INFORMATION`.
pub fn network_open(state: &FileState) -> Record {
    Record::new()
        .long(state.times)
        .long([state.allocation, state.size])
        .int([state.attributes, 0])
}

/// `FILE_STAT_INFORMATION`.
fn stat(state: &FileState, granted: u32) -> Record {
    let links = state.links.saturating_sub(state.links_going);
    Record::new()
        .long([state.index as i64])
        .long(state.times)
        .long([state.allocation, state.size])
        .int([state.attributes, state.reparse_tag, links, granted])
}

/// What the Windows Subsystem for Linux keeps beside a file: the names of the attributes, the bytes of each, and its
/// flag in `LxFlags`. Source: DDI of `FILE_STAT_LX_INFORMATION`.
const LX_ATTRIBUTES: [(&[u8], usize, u32); 4] = [
    (b"$LXUID", 4, LX_FILE_METADATA_HAS_UID),
    (b"$LXGID", 4, LX_FILE_METADATA_HAS_GID),
    (b"$LXMOD", 4, LX_FILE_METADATA_HAS_MODE),
    (b"$LXDEV", 8, LX_FILE_METADATA_HAS_DEVICE_ID),
];

/// What `FILE_STAT_LX_INFORMATION` has behind `FILE_STAT_INFORMATION`: flags, user, group, mode, device.
fn lx(attributes: &[Attribute]) -> Record {
    let mut flags = 0;
    let mut values = Vec::new();
    for (name, bytes, flag) in LX_ATTRIBUTES {
        let there = attributes
            .iter()
            .find(|attribute| attribute.name == name && attribute.value.len() == bytes);
        match there {
            Some(attribute) => {
                flags |= flag;
                values.extend_from_slice(&attribute.value);
            }
            None => values.resize(values.len() + bytes, 0),
        }
    }
    Record::new().int([flags]).bytes(&values)
}

fn name(name: &[u16]) -> Record {
    Record::new().int([(name.len() * 2) as u32]).units(name)
}

impl Volume {
    /// State of an open file and whether its name is to be deleted; none for the volume.
    ///
    /// # Errors
    /// As [`State::usable`](super::volume::State::usable), and the host's.
    pub fn file_state(&self, id: OpenId) -> Result<Option<(FileState, bool)>, NTSTATUS> {
        let state = self.state();
        state.usable(id)?;
        let going = state.is_going(id)?;
        let Some(metadata) = state.whole_of(id)?.metadata()? else {
            return Ok(None);
        };
        let mut seen = state.file_state(&metadata);
        let node = state.file_of(id)?;
        if node.stream.is_some()
            && let Some(data) = node.metadata()?
        {
            seen = stream_state(seen, node, &data);
        }
        Ok(Some((seen, going)))
    }

    /// The name of an open file as a query gives it: with the short names that it was opened by.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`.
    pub fn name(&self, id: OpenId) -> Result<Vec<u16>, NTSTATUS> {
        self.name_by(id, Open::as_opened)
    }

    /// Its name, of which `by` makes the path what it is to be.
    fn name_by(
        &self,
        id: OpenId,
        by: impl FnOnce(&Open, &[Vec<u16>]) -> Vec<Vec<u16>>,
    ) -> Result<Vec<u16>, NTSTATUS> {
        let state = self.state();
        let mut name = self.description.prefix.clone();
        match state.file_of(id)?.object {
            // The volume has no name of its own below its device.
            Object::Volume => {}
            _ => {
                let open = state.opens.get(&id).ok_or(STATUS_INVALID_HANDLE)?;
                let components = by(open, &state.link_of(id)?.components);
                name.extend(names::join(&components));
            }
        }
        if let Some(stream) = &state.file_of(id)?.stream {
            name.push(names::COLON);
            name.extend_from_slice(&stream.named.name);
        }
        Ok(name)
    }

    /// Answers a query of class `class` into `buffer`. `position` is the file object's.
    pub fn query_information(
        &self,
        id: OpenId,
        class: i32,
        position: i64,
        buffer: &mut [u8],
    ) -> Reply {
        match self.try_query(id, class, position, buffer) {
            Ok(reply) => reply,
            Err(status) => (status, 0),
        }
    }

    fn try_query(
        &self,
        id: OpenId,
        class: i32,
        position: i64,
        buffer: &mut [u8],
    ) -> Result<Reply, NTSTATUS> {
        let Some((state, going)) = self.file_state(id)? else {
            // The volume has a position and a name, nothing else.
            return match class {
                FilePositionInformation => Ok(Record::new().long([position]).fixed(buffer)),
                FileNameInformation => Ok(name(&self.name(id)?).cut(buffer, 4, 8)),
                _ => Err(STATUS_INVALID_PARAMETER),
            };
        };
        Ok(match class {
            FileBasicInformation => basic(&state).fixed(buffer),
            FileStandardInformation => standard(&state, going).fixed(buffer),
            FileInternalInformation => Record::new().long([state.index as i64]).fixed(buffer),
            FileEaInformation => Record::new().int([state.extended_attributes]).fixed(buffer),
            FilePositionInformation => Record::new().long([position]).fixed(buffer),
            FileNetworkOpenInformation => network_open(&state).fixed(buffer),
            FileAttributeTagInformation => Record::new()
                .int([state.attributes, state.reparse_tag])
                .fixed(buffer),
            FileNameInformation => name(&self.name(id)?).cut(buffer, 4, 8),
            FileNormalizedNameInformation => {
                let long = self.name_by(id, |_, components| components.to_vec())?;
                name(&long).cut(buffer, 4, 8)
            }
            FileAlternateNameInformation => self.alternate_name(id, buffer)?,
            FileCompressionInformation => {
                // Of a stream, what that is counts.
                let size = match &self.state().file_of(id)?.object {
                    Object::File(stream) if stream.is_sparse() => state.allocation,
                    _ => state.size,
                };
                Record::new().long([size]).int([0, 0]).fixed(buffer)
            }
            FileStandardLinkInformation => Record::new()
                .int([state.links.saturating_sub(state.links_going), state.links])
                .bytes(&[going.into(), state.directory.into(), 0, 0])
                .fixed(buffer),
            FileStatInformation => {
                let granted = self.state().usable(id)?.granted;
                stat(&state, granted).fixed(buffer)
            }
            FileStatLxInformation => {
                let all = self.state();
                let granted = all.usable(id)?.granted;
                let metadata = all.whole_of(id)?.metadata()?;
                let kept = metadata.and_then(|metadata| all.overlays.of(&metadata).cloned());
                let kept = kept.map_or_else(Vec::new, |kept| kept.extended_attributes);
                Record::new()
                    .bytes(&stat(&state, granted).finish())
                    .bytes(&lx(&kept).finish())
                    .fixed(buffer)
            }
            FileIdInformation => Record::new()
                .long([i64::from(self.description.serial), state.index as i64, 0])
                .fixed(buffer),
            FileCaseSensitiveInformation => Record::new().int([self.case_flags(id)?]).fixed(buffer),
            FileIsRemoteDeviceInformation => {
                let remote = !self.description.prefix.is_empty();
                Record::new().bytes(&[remote.into()]).fixed(buffer)
            }
            FileStreamInformation => self.streams(id, buffer)?,
            FileHardLinkInformation => self.hard_links(id, buffer)?,
            FileAllInformation => {
                let name = self.name(id)?;
                all(&state, going, position, &name, buffer)
            }
            _ => return Err(STATUS_INVALID_INFO_CLASS),
        })
    }
}

/// The state of a stream: the file's, but for its data.
fn stream_state(whole: FileState, node: &FileNode, data: &Metadata) -> FileState {
    let attributes = whole.attributes & !(attribute::DIRECTORY | attribute::NORMAL);
    FileState {
        allocation: data.size.next_multiple_of(CLUSTER).max(node.reserved) as i64,
        size: data.size as i64,
        attributes: match attributes {
            0 => attribute::NORMAL,
            some => some,
        },
        directory: false,
        ..whole
    }
}

fn all(
    state: &FileState,
    going: bool,
    position: i64,
    file_name: &[u16],
    buffer: &mut [u8],
) -> Reply {
    let mut record = basic(state).finish();
    record.extend(standard(state, going).finish());
    let mut record = Record::new()
        .bytes(&record)
        .long([state.index as i64])
        .int([state.extended_attributes, 0])
        .long([position])
        .int([0, 0, (file_name.len() * 2) as u32])
        .units(file_name)
        .finish();
    for kept in [ALL_ACCESS, ALL_MODE_AND_ALIGNMENT] {
        if let (Some(record), Some(buffer)) = (record.get_mut(kept.clone()), buffer.get(kept)) {
            record.copy_from_slice(buffer);
        }
    }
    Record::new().bytes(&record).cut(buffer, ALL_HEAD, ALL_SIZE)
}

/// Attributes in the form in which they are stored: without `NORMAL` and `DIRECTORY`.
pub fn stored_attributes(attributes: u32) -> u32 {
    attributes & attribute::SETTABLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_kernel::nt;
    use std::mem::{offset_of, size_of};

    const STATE: FileState = FileState {
        times: [1, 2, 3, 4],
        allocation: 4096,
        size: 10,
        attributes: attribute::ARCHIVE,
        directory: false,
        reparse_tag: 0,
        links: 1,
        links_going: 0,
        index: 77,
        extended_attributes: 9,
    };

    #[test]
    fn records_have_the_published_sizes() {
        assert_eq!(
            basic(&STATE).finish().len(),
            size_of::<nt::FILE_BASIC_INFORMATION>()
        );
        assert_eq!(
            standard(&STATE, false).finish().len(),
            size_of::<nt::FILE_STANDARD_INFORMATION>()
        );
        assert_eq!(
            network_open(&STATE).finish().len(),
            size_of::<nt::FILE_NETWORK_OPEN_INFORMATION>()
        );
        assert_eq!(
            stat(&STATE, 0).finish().len(),
            size_of::<nt::FILE_STAT_INFORMATION>()
        );
        assert_eq!(offset_of!(nt::FILE_STAT_INFORMATION, EffectiveAccess), 68);
        assert_eq!(
            stat(&STATE, 0).finish().len() + lx(&[]).finish().len(),
            size_of::<nt::FILE_STAT_LX_INFORMATION>()
        );
        assert_eq!(offset_of!(nt::FILE_STAT_LX_INFORMATION, LxFlags), 72);
        assert_eq!(ALL_SIZE, size_of::<nt::FILE_ALL_INFORMATION>());
        let name = offset_of!(nt::FILE_ALL_INFORMATION, NameInformation);
        assert_eq!(
            ALL_HEAD,
            name + offset_of!(nt::FILE_NAME_INFORMATION, FileName)
        );
        assert_eq!(
            ALL_ACCESS.start,
            offset_of!(nt::FILE_ALL_INFORMATION, AccessInformation)
        );
        assert_eq!(
            ALL_MODE_AND_ALIGNMENT.start,
            offset_of!(nt::FILE_ALL_INFORMATION, ModeInformation)
        );
        assert_eq!(size_of::<nt::FILE_STREAM_INFORMATION>(), 32);
        assert_eq!(offset_of!(nt::FILE_STREAM_INFORMATION, StreamName), 24);
        assert_eq!(size_of::<nt::FILE_COMPRESSION_INFORMATION>(), 16);
        assert_eq!(size_of::<nt::FILE_STANDARD_LINK_INFORMATION>(), 12);
        assert_eq!(size_of::<nt::FILE_ID_INFORMATION>(), 24);
        assert_eq!(offset_of!(nt::FILE_LINKS_INFORMATION, Entry), 8);
        assert_eq!(offset_of!(nt::FILE_LINK_ENTRY_INFORMATION, FileName), 20);
    }

    #[test]
    fn all_information_keeps_what_the_io_manager_set() {
        let mut buffer = [0xEE; 120];
        let (status, length) = all(&STATE, true, 5, &[0x5C, 0x61], &mut buffer);
        assert_eq!((status, length), (nt::STATUS_SUCCESS, 104));
        assert_eq!(buffer[ALL_ACCESS], [0xEE; 4]);
        assert_eq!(buffer[ALL_MODE_AND_ALIGNMENT], [0xEE; 8]);
        assert_eq!(
            (buffer[60], buffer[72], buffer[80], buffer[96]),
            (1, 9, 5, 4)
        );
        let mut small = [0; 104];
        let long: Vec<u16> = (0..50).collect();
        assert_eq!(
            all(&STATE, false, 0, &long, &mut small),
            (nt::STATUS_BUFFER_OVERFLOW, 104)
        );
        assert_eq!(small[96], 100);
    }
}
