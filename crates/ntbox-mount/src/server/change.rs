//! What changes of files that are there: rights, times, sizes, names.

use super::Server;
use super::make::{changed, last_of, moving};
use crate::attributes;
use crate::errors::Result;
use crate::metadata::Change;
use crate::nodes::Name;
use crate::times;
use crate::volume::{Handle, Wanted, offset};
use fuser::{Errno, FileAttr, TimeOrNow};
use ntbox_hostfs::volume::attribute;
use ntbox_kernel::nt::{
    FILE_BASIC_INFORMATION, FILE_DIRECTORY_FILE, FILE_DISPOSITION_DELETE,
    FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE, FILE_DISPOSITION_POSIX_SEMANTICS,
    FILE_RENAME_IGNORE_READONLY_ATTRIBUTE, FILE_RENAME_POSIX_SEMANTICS,
    FILE_RENAME_REPLACE_IF_EXISTS, FileBasicInformation, FileDispositionInformationEx,
    FileEndOfFileInformation, FileRenameInformationEx,
};
use ntbox_kernel::user::access::{
    DELETE, FILE_READ_ATTRIBUTES, FILE_READ_EA, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA,
    FILE_WRITE_EA,
};
use std::ffi::OsStr;

/// What a program sets of a file.
#[derive(Clone, Copy, Default)]
pub struct Attributes {
    /// Type and permissions.
    pub mode: Option<u32>,
    /// Owner.
    pub user: Option<u32>,
    /// Group.
    pub group: Option<u32>,
    /// Bytes.
    pub size: Option<u64>,
    /// When it was read.
    pub accessed: Option<TimeOrNow>,
    /// When it was written.
    pub written: Option<TimeOrNow>,
    /// The file as it is open.
    pub open: Option<u64>,
}

/// A name and its new one.
pub struct Renaming<'a> {
    /// The directory and the name in it.
    pub from: (u64, &'a OsStr),
    /// The same of the new one.
    pub to: (u64, &'a OsStr),
    /// `RENAME_*`.
    pub flags: u32,
}

impl Server {
    /// Sets attributes of a file.
    pub fn set(&self, node: u64, new: &Attributes) -> Result<FileAttr> {
        if let Some(size) = new.size {
            self.set_size(node, size, new.open)?;
        }
        let access = FILE_READ_ATTRIBUTES | FILE_READ_EA | FILE_WRITE_ATTRIBUTES | FILE_WRITE_EA;
        let stat = self.with(node, access, |handle| {
            self.set_rights(handle, new)?;
            set_times(handle, new)?;
            Ok(self.stat_of(handle)?)
        })?;
        Ok(self.told(node, &stat))
    }

    fn set_size(&self, node: u64, size: u64, open: Option<u64>) -> Result<()> {
        let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
        let set = |handle: &Handle| {
            handle.set(FileEndOfFileInformation, &size.to_le_bytes())?;
            Ok(())
        };
        match open {
            Some(open) => set(&self.open.file(open)?.handle),
            None => self.with(node, FILE_WRITE_DATA, set),
        }
    }

    fn set_rights(&self, handle: &Handle, new: &Attributes) -> Result<()> {
        if new.mode.is_none() && new.user.is_none() && new.group.is_none() {
            return Ok(());
        }
        let mode = match new.mode {
            Some(mode) => Some(changed(
                attributes::rights(&handle.stat()?, self.owner),
                mode,
            )),
            None => None,
        };
        let change = Change {
            user: new.user,
            group: new.group,
            mode,
            device: None,
        };
        Ok(handle.set_extended_attributes(&change.list())?)
    }

    /// Takes a name away. The file goes with its last name and its last handle.
    pub fn unlink(&self, directory: u64, name: &OsStr) -> Result<()> {
        let _alone = self.change_names();
        let (path, name) = self.path_in(directory, name)?;
        self.delete(&path, &name, 0)
    }

    /// Takes a directory away.
    pub fn remove_directory(&self, directory: u64, name: &OsStr) -> Result<()> {
        let _alone = self.change_names();
        let (path, name) = self.path_in(directory, name)?;
        self.delete(&path, &name, FILE_DIRECTORY_FILE)
    }

    fn delete(&self, path: &[u16], name: &Name, options: u32) -> Result<()> {
        let wanted = Wanted {
            options,
            ..Wanted::existing(DELETE | FILE_READ_ATTRIBUTES | FILE_READ_EA)
        };
        let handle = self.volume.open(path, &wanted)?;
        let links = handle.stat()?.links;
        let flags = FILE_DISPOSITION_DELETE
            | FILE_DISPOSITION_POSIX_SEMANTICS
            | FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE;
        handle.set(FileDispositionInformationEx, &flags.to_le_bytes())?;
        drop(handle);
        self.nodes().unnamed(name, Some(links.saturating_sub(1)));
        Ok(())
    }

    /// Gives a file another name, in the place of one that is there.
    pub fn rename(&self, renaming: &Renaming<'_>) -> Result<()> {
        let replaces = match renaming.flags {
            0 => true,
            libc::RENAME_NOREPLACE => false,
            _ => return Err(Errno::EINVAL.into()),
        };
        let _alone = self.change_names();
        let (from, old) = self.path_in(renaming.from.0, renaming.from.1)?;
        let (to, new) = self.path_in(renaming.to.0, renaming.to.1)?;
        let handle = self.volume.open(
            &from,
            &Wanted::existing(DELETE | FILE_READ_ATTRIBUTES | FILE_READ_EA),
        )?;
        let stat = handle.stat()?;
        if replaces
            && stat.attributes & attribute::DIRECTORY != 0
            && self.nodes().at(&new).is_some()
        {
            // NT replaces no directory: the empty one goes first.
            self.delete(&to, &new, FILE_DIRECTORY_FILE)?;
        }
        let flags = match replaces {
            true => {
                FILE_RENAME_REPLACE_IF_EXISTS
                    | FILE_RENAME_POSIX_SEMANTICS
                    | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE
            }
            false => 0,
        };
        let within = old.0 == new.0;
        let target = if within { last_of(&to) } else { &to };
        handle.set(FileRenameInformationEx, &moving(flags, target))?;
        drop(handle);
        let mut nodes = self.nodes();
        nodes.unnamed(&new, None);
        nodes.renamed(&old, new);
        Ok(())
    }
}

fn set_times(handle: &Handle, new: &Attributes) -> Result<()> {
    if new.accessed.is_none() && new.written.is_none() {
        return Ok(());
    }
    let mut information = vec![0; size_of::<FILE_BASIC_INFORMATION>()];
    let times = [0, times::asked(new.accessed)?, times::asked(new.written)?];
    let bytes = times.map(i64::to_le_bytes).concat();
    information.splice(..bytes.len(), bytes);
    handle.set(FileBasicInformation, &information)?;
    if new.written.is_some() {
        // What is written by this handle later moves it again, where programs have it open.
        let mut again = vec![0; size_of::<FILE_BASIC_INFORMATION>()];
        again.splice(16..24, (-2_i64).to_le_bytes());
        handle.set(FileBasicInformation, &again)?;
    }
    Ok(())
}

/// An offset and a length as an end.
pub(super) fn end_of(start: u64, length: u64) -> Result<i64> {
    offset(start.checked_add(length).ok_or(Errno::EFBIG)?)
}
