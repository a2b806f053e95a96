//! IRP_MJ_QUERY_VOLUME_INFORMATION and IRP_MJ_SET_VOLUME_INFORMATION.

#![expect(
    non_upper_case_globals,
    reason = "the DDI's information classes are matched by name"
)]

use super::host_status;
use super::names::MAXIMUM_COMPONENT;
use super::record::{Fields, Record};
use super::volume::{CLUSTER, OpenId, SECTOR, Volume};
use super::waiting::Reply;
use ntbox_kernel::nt::{
    FileFsAttributeInformation, FileFsDeviceInformation, FileFsFullSizeInformation,
    FileFsLabelInformation, FileFsSectorSizeInformation, FileFsSizeInformation,
    FileFsVolumeInformation, NTSTATUS, STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_INFO_CLASS,
    STATUS_INVALID_VOLUME_LABEL, STATUS_MEDIA_WRITE_PROTECTED, STATUS_SUCCESS,
};
use windows_sys::Win32::System::SystemServices::{
    FILE_CASE_PRESERVED_NAMES, FILE_CASE_SENSITIVE_SEARCH, FILE_NAMED_STREAMS,
    FILE_SUPPORTS_CASE_SENSITIVE_DIRS, FILE_SUPPORTS_EXTENDED_ATTRIBUTES, FILE_SUPPORTS_HARD_LINKS,
    FILE_SUPPORTS_OPEN_BY_FILE_ID, FILE_SUPPORTS_POSIX_UNLINK_RENAME, FILE_SUPPORTS_REPARSE_POINTS,
    FILE_SUPPORTS_SPARSE_FILES, FILE_UNICODE_ON_DISK,
};

/// What a volume says that it can ([MS-FSCC] 2.5.1).
const ATTRIBUTES: u32 = FILE_CASE_SENSITIVE_SEARCH
    | FILE_CASE_PRESERVED_NAMES
    | FILE_UNICODE_ON_DISK
    | FILE_SUPPORTS_SPARSE_FILES
    | FILE_SUPPORTS_REPARSE_POINTS
    | FILE_SUPPORTS_POSIX_UNLINK_RENAME
    | FILE_SUPPORTS_CASE_SENSITIVE_DIRS
    | FILE_NAMED_STREAMS
    | FILE_SUPPORTS_HARD_LINKS
    | FILE_SUPPORTS_EXTENDED_ATTRIBUTES
    | FILE_SUPPORTS_OPEN_BY_FILE_ID;

/// `FILE_READ_ONLY_VOLUME`.
const READ_ONLY: u32 = 0x8_0000;

/// Units that a label may have (`MAXIMUM_VOLUME_LABEL_LENGTH`).
const MAXIMUM_LABEL: usize = 32;

impl Volume {
    /// The label as it is now.
    pub fn label(&self) -> Vec<u16> {
        self.state()
            .label
            .clone()
            .unwrap_or_else(|| self.description.label.clone())
    }

    /// Answers a volume query of class `class` into `buffer`.
    pub fn query_volume(&self, id: OpenId, class: i32, buffer: &mut [u8]) -> Reply {
        match self.try_query_volume(id, class, buffer) {
            Ok(reply) => reply,
            Err(status) => (status, 0),
        }
    }

    fn try_query_volume(
        &self,
        id: OpenId,
        class: i32,
        buffer: &mut [u8],
    ) -> Result<Reply, NTSTATUS> {
        self.state().usable(id)?;
        let description = &self.description;
        Ok(match class {
            FileFsVolumeInformation => {
                let label = self.label();
                let root = self.tree.root()?;
                let root = root.metadata().map_err(|error| host_status::of(&error))?;
                Record::new()
                    .long([root.created])
                    .int([description.serial, (label.len() * 2) as u32])
                    .bytes(&[0, 0])
                    .units(&label)
                    .cut(buffer, 18, 24)
            }
            FileFsSizeInformation => {
                let (total, _, available) = self.clusters()?;
                Record::new()
                    .long([total, available])
                    .int([(CLUSTER / SECTOR) as u32, SECTOR as u32])
                    .fixed(buffer)
            }
            FileFsFullSizeInformation => {
                let (total, free, available) = self.clusters()?;
                Record::new()
                    .long([total, available, free])
                    .int([(CLUSTER / SECTOR) as u32, SECTOR as u32])
                    .fixed(buffer)
            }
            FileFsDeviceInformation => Record::new()
                .int([description.device_type, description.characteristics])
                .fixed(buffer),
            FileFsAttributeInformation => {
                let name: Vec<u16> = description.file_system.encode_utf16().collect();
                let attributes = ATTRIBUTES | if description.read_only { READ_ONLY } else { 0 };
                Record::new()
                    .int([
                        attributes,
                        MAXIMUM_COMPONENT as u32,
                        (name.len() * 2) as u32,
                    ])
                    .units(&name)
                    .cut(buffer, 12, 16)
            }
            FileFsSectorSizeInformation => {
                let sector = SECTOR as u32;
                Record::new()
                    .int([sector, sector, sector, sector, 0x3, 0, 0])
                    .fixed(buffer)
            }
            _ => return Err(STATUS_INVALID_INFO_CLASS),
        })
    }

    /// All, free and available clusters.
    fn clusters(&self) -> Result<(i64, i64, i64), NTSTATUS> {
        let root = self.tree.root()?;
        let space = root.space().map_err(|error| host_status::of(&error))?;
        let clusters = |count: u64| {
            (u128::from(count) * u128::from(space.cluster) / u128::from(CLUSTER)) as i64
        };
        Ok((
            clusters(space.total),
            clusters(space.free),
            clusters(space.available),
        ))
    }

    /// Sets volume information: the label can be set.
    pub fn set_volume(&self, id: OpenId, class: i32, buffer: &[u8]) -> NTSTATUS {
        if let Err(status) = self.state().usable(id) {
            return status;
        }
        if self.description.read_only {
            return STATUS_MEDIA_WRITE_PROTECTED;
        }
        if class != FileFsLabelInformation {
            return STATUS_INVALID_INFO_CLASS;
        }
        let fields = Fields(buffer);
        let Some(length) = fields.int(0) else {
            return STATUS_INFO_LENGTH_MISMATCH;
        };
        match fields.units(4, length as usize) {
            None => STATUS_INFO_LENGTH_MISMATCH,
            Some(label) if label.len() > MAXIMUM_LABEL => STATUS_INVALID_VOLUME_LABEL,
            Some(label) => {
                self.state().label = Some(label);
                STATUS_SUCCESS
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ntbox_kernel::nt;
    use std::mem::{offset_of, size_of};

    #[test]
    fn the_sizes_used_are_the_published_ones() {
        assert_eq!(offset_of!(nt::FILE_FS_VOLUME_INFORMATION, VolumeLabel), 18);
        assert_eq!(size_of::<nt::FILE_FS_VOLUME_INFORMATION>(), 24);
        assert_eq!(size_of::<nt::FILE_FS_SIZE_INFORMATION>(), 24);
        assert_eq!(size_of::<nt::FILE_FS_FULL_SIZE_INFORMATION>(), 32);
        assert_eq!(size_of::<nt::FILE_FS_DEVICE_INFORMATION>(), 8);
        assert_eq!(
            offset_of!(nt::FILE_FS_ATTRIBUTE_INFORMATION, FileSystemName),
            12
        );
        assert_eq!(size_of::<nt::FILE_FS_ATTRIBUTE_INFORMATION>(), 16);
        assert_eq!(size_of::<nt::FILE_FS_SECTOR_SIZE_INFORMATION>(), 28);
    }
}
