//! New files: plain ones, directories, links, special ones, and further names.

use super::{Caller, Server};
use crate::attributes;
use crate::bytes::of_units;
use crate::errors::Result;
use crate::metadata::{self, Change, Rights, TYPE};
use crate::open_files::OpenFile;
use crate::special;
use crate::volume::{Handle, Stat, Wanted};
use fuser::{Errno, FileAttr};
use ntbox_hostfs::names::BACKSLASH;
use ntbox_kernel::nt::{
    FILE_CREATE, FILE_DIRECTORY_FILE, FILE_DISPOSITION_DELETE, FILE_NON_DIRECTORY_FILE,
    FILE_OPEN_IF, FileDispositionInformationEx, FileEndOfFileInformation, FileLinkInformation,
};
use ntbox_kernel::user::access::{
    DELETE, FILE_READ_ATTRIBUTES, FILE_READ_EA, FILE_WRITE_ATTRIBUTES, FILE_WRITE_EA,
};
use std::ffi::OsStr;
use std::sync::OnceLock;

/// A file to be made.
pub struct New<'a> {
    /// The directory's number.
    pub directory: u64,
    /// Its name.
    pub name: &'a OsStr,
    /// Type and permissions, without what the caller's mask takes away.
    pub mode: u32,
    /// Who makes it.
    pub caller: Caller,
}

/// What is needed to tell of a file and to change it.
const OF_NEW: u32 = FILE_READ_ATTRIBUTES | FILE_READ_EA | FILE_WRITE_ATTRIBUTES | FILE_WRITE_EA;

impl Server {
    /// Makes a file as `wanted`, with the rights that it is to have. The handle, and the name that the kernel has for it.
    fn make(
        &self,
        new: &New<'_>,
        device: Option<(u32, u32)>,
        wanted: &Wanted<'_>,
    ) -> Result<(Handle, crate::nodes::Name)> {
        let (path, name) = self.path_in(new.directory, new.name)?;
        let rights = self.rights_of_new(new.directory, new.mode, new.caller);
        let kept = Change {
            device,
            ..metadata::of_new(rights, self.owner)
        };
        let handle = self.volume.open(
            &path,
            &Wanted {
                extended_attributes: &kept.list(),
                ..*wanted
            },
        )?;
        Ok((handle, name))
    }

    /// Makes a directory.
    pub fn make_directory(&self, new: &New<'_>) -> Result<FileAttr> {
        let _names = self.use_names();
        let wanted = Wanted {
            access: OF_NEW,
            disposition: FILE_CREATE,
            options: FILE_DIRECTORY_FILE,
            ..Wanted::existing(0)
        };
        let (handle, name) = self.make(new, None, &wanted)?;
        let stat = handle.stat()?;
        drop(handle);
        Ok(self.found(name, &stat))
    }

    /// Makes a file that is none of the plain ones, or is not to be open.
    pub fn make_special(&self, new: &New<'_>, device: u32) -> Result<FileAttr> {
        let kind = new.mode & TYPE;
        let tag = metadata::tag_of(kind);
        if tag.is_none() && kind != libc::S_IFREG {
            return Err(Errno::EINVAL.into());
        }
        let is_device = matches!(kind, libc::S_IFCHR | libc::S_IFBLK);
        let device = is_device.then(|| attributes::device(device));
        self.make_with(new, device, |handle| match tag {
            Some(tag) => Ok(special::make(handle, tag, &[])?),
            None => Ok(()),
        })
    }

    /// Makes a link to a target.
    pub fn make_link(&self, new: &New<'_>, target: &[u8]) -> Result<FileAttr> {
        self.make_with(new, None, |handle| special::make_link(handle, target))
    }

    /// Makes a file and finishes it; it is not left there half.
    fn make_with(
        &self,
        new: &New<'_>,
        device: Option<(u32, u32)>,
        finish: impl FnOnce(&Handle) -> Result<()>,
    ) -> Result<FileAttr> {
        let _names = self.use_names();
        let wanted = Wanted {
            access: OF_NEW | DELETE,
            disposition: FILE_CREATE,
            options: FILE_NON_DIRECTORY_FILE,
            ..Wanted::existing(0)
        };
        let (handle, name) = self.make(new, device, &wanted)?;
        let finished = finish(&handle).and_then(|()| Ok(self.stat_of(&handle)?));
        if finished.is_err() {
            let flags = FILE_DISPOSITION_DELETE.to_le_bytes();
            // What is wrong is told already.
            let _deleted = handle.set(FileDispositionInformationEx, &flags);
        }
        let stat: Stat = finished?;
        drop(handle);
        Ok(self.found(name, &stat))
    }

    /// Makes a file, or opens the one that is there if it need not be new: what it is, and its number as an open one.
    pub fn create(&self, new: &New<'_>, flags: i32) -> Result<(FileAttr, u64)> {
        let _names = self.use_names();
        let wanted = Wanted {
            access: super::data::access_for(flags),
            disposition: if flags & libc::O_EXCL != 0 {
                FILE_CREATE
            } else {
                FILE_OPEN_IF
            },
            options: FILE_NON_DIRECTORY_FILE,
            ..Wanted::existing(0)
        };
        let (handle, name) = self.make(new, None, &wanted)?;
        if !handle.created && flags & libc::O_TRUNC != 0 {
            handle.set(FileEndOfFileInformation, &0_i64.to_le_bytes())?;
        }
        let stat = self.stat_of(&handle)?;
        let (path, _) = self.path_in(new.directory, new.name)?;
        let uncached = self.uncached(&path, flags)?;
        let told = self.found(name, &stat);
        let number = self.open.keep(OpenFile {
            node: told.ino.0,
            handle,
            uncached,
            access: super::data::access_for(flags),
            lockable: OnceLock::new(),
        });
        Ok((told, number))
    }

    /// Gives a file another name.
    pub fn link(&self, node: u64, directory: u64, name: &OsStr) -> Result<FileAttr> {
        let _names = self.use_names();
        let (to, name) = self.path_in(directory, name)?;
        let path = self.path(node).ok_or(Errno::ENOENT)?;
        let handle = self.volume.open(&path, &Wanted::state())?;
        handle.set(FileLinkInformation, &moving(0, &to))?;
        let stat = self.stat_of(&handle)?;
        drop(handle);
        Ok(self.found(name, &stat))
    }
}

/// `FILE_RENAME_INFORMATION` and `FILE_LINK_INFORMATION`, to a full name or to one in the same directory.
pub(super) fn moving(flags: u32, to: &[u16]) -> Vec<u8> {
    let name = of_units(to);
    let mut information = Vec::with_capacity(20 + name.len());
    information.extend(u64::from(flags).to_le_bytes());
    information.extend(0_u64.to_le_bytes());
    information.extend((name.len() as u32).to_le_bytes());
    information.extend(name);
    // The structure is longer than what is in front of a name.
    information.resize(information.len().max(24), 0);
    information
}

/// The last part of a full name.
pub(super) fn last_of(path: &[u16]) -> &[u16] {
    let mut parts = path.rsplit(|unit| *unit == BACKSLASH);
    parts.next().unwrap_or_default()
}

/// Whose it is, for whoever changes that.
pub(super) fn changed(rights: Rights, mode: u32) -> u32 {
    rights.mode & TYPE | mode & metadata::PERMISSIONS
}
