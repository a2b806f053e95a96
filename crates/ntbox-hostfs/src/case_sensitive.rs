//! Directories in which names are told apart by case (`FileCaseSensitiveInformation`).
//!
//! In such a directory, and of its own names alone, an open, a rename, a link and the pattern of a listing mean the name
//! as it is written, whatever `OBJ_CASE_INSENSITIVE` says. A directory that is made in one is one. It may be made one
//! while it has entries, as with `NtfsEnableDirCaseSensitivity` at 1, and is none any more only if no two of them differ
//! in case alone. Names of streams are not told apart. Sources: DDI of `FILE_CASE_SENSITIVE_INFORMATION`; what the tests
//! of the Btrfs driver find on NTFS (`src/tests/cs.cpp`).

use super::host_status;
use super::names;
use super::record::Fields;
use super::volume::{Object, OpenId, State, Volume};
use ntbox_kernel::host::file::{Directory, Metadata, now};
use ntbox_kernel::nt::{NTSTATUS, STATUS_CASE_DIFFERING_NAMES_IN_DIR, STATUS_INVALID_PARAMETER};
use windows_sys::Win32::System::SystemServices::FILE_CS_FLAG_CASE_SENSITIVE_DIR;

impl State {
    /// Whether names in a directory are told apart by case.
    pub(super) fn tells_case(&self, directory: &Metadata) -> bool {
        let overlay = self.overlays.of(directory);
        overlay.is_some_and(|overlay| overlay.case_sensitive)
    }
}

impl Volume {
    /// `FILE_CASE_SENSITIVE_INFORMATION` of an open file; none if it is no directory.
    pub(super) fn case_flags(&self, id: OpenId) -> Result<u32, NTSTATUS> {
        let state = self.state();
        let file = state.whole_of(id)?.metadata()?;
        let tells = file.is_some_and(|file| state.tells_case(&file));
        Ok(if tells {
            FILE_CS_FLAG_CASE_SENSITIVE_DIR
        } else {
            0
        })
    }

    /// Sets it.
    pub(super) fn set_case_flags(&self, id: OpenId, fields: Fields<'_>) -> Result<(), NTSTATUS> {
        let flags = fields.int(0).ok_or(STATUS_INVALID_PARAMETER)?;
        if flags & !FILE_CS_FLAG_CASE_SENSITIVE_DIR != 0 {
            return Err(STATUS_INVALID_PARAMETER);
        }
        let mut state = self.state();
        state.usable(id)?;
        let node = state.file_of(id)?;
        let Object::Directory(directory) = &node.object else {
            return Err(STATUS_INVALID_PARAMETER);
        };
        let metadata = node.metadata()?.ok_or(STATUS_INVALID_PARAMETER)?;
        let tells = flags != 0;
        if state.tells_case(&metadata) == tells {
            return Ok(());
        }
        if !tells && self.has_names_in_two_cases(directory)? {
            return Err(STATUS_CASE_DIFFERING_NAMES_IN_DIR);
        }
        state.overlays.change(&metadata, |overlay| {
            overlay.case_sensitive = tells;
            overlay.changed = Some((now(), metadata.changed));
        });
        Ok(())
    }

    fn has_names_in_two_cases(&self, directory: &Directory) -> Result<bool, NTSTATUS> {
        let names = self.tree.names(directory);
        let names = names.map_err(|error| host_status::of(&error))?;
        let mut names: Vec<Vec<u16>> = names.iter().filter_map(|name| names::to_nt(name)).collect();
        names.sort_by(|a, b| names::order(a, b));
        let mut pairs = names.iter().zip(names.iter().skip(1));
        Ok(pairs.any(|(one, next)| names::equal(one, next)))
    }
}
