//! Windows: entries by the final path of an open directory.
//!
//! Every directory on the way is held open without share-delete, so its path
//! stays valid while it is used; links are opened as themselves and refused.

#![expect(unsafe_code, reason = "file numbers are not in std")]

use super::{Identity, Kind, Metadata, Names, Replace, Space, nt_time};
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use windows_sys::Win32::Storage::FileSystem as api;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    handle: fs::File,
    path: PathBuf,
}

/// An open regular file.
#[derive(Debug)]
pub struct File {
    file: fs::File,
    writable: bool,
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<fs::File> {
    let flags = api::FILE_FLAG_BACKUP_SEMANTICS | api::FILE_FLAG_OPEN_REPARSE_POINT;
    options.custom_flags(flags).open(path)
}

fn metadata(file: &fs::File) -> io::Result<Metadata> {
    let data = file.metadata()?;
    // SAFETY: integers only; all-zero is a valid value.
    let mut more: api::BY_HANDLE_FILE_INFORMATION = unsafe { std::mem::zeroed() };
    // SAFETY: an open handle and room for the answer.
    if unsafe { api::GetFileInformationByHandle(file.as_raw_handle(), &mut more) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let kind = if data.file_attributes() & api::FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        Kind::Link
    } else if data.is_dir() {
        Kind::Directory
    } else {
        Kind::File
    };
    Ok(Metadata {
        identity: Identity {
            device: more.dwVolumeSerialNumber.into(),
            number: u64::from(more.nFileIndexHigh) << 32 | u64::from(more.nFileIndexLow),
        },
        kind,
        size: data.len(),
        allocated: data.len().next_multiple_of(4096),
        links: more.nNumberOfLinks,
        created: data.creation_time() as i64,
        accessed: data.last_access_time() as i64,
        written: data.last_write_time() as i64,
        changed: data.last_write_time() as i64,
    })
}

fn set_times(file: &fs::File, accessed: Option<i64>, written: Option<i64>) -> io::Result<()> {
    let time = |time: i64| {
        let since = u64::try_from(time - nt_time(0, 0)).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_nanos(since.saturating_mul(100))
    };
    let mut times = fs::FileTimes::new();
    if let Some(accessed) = accessed {
        times = times.set_accessed(time(accessed));
    }
    if let Some(written) = written {
        times = times.set_modified(time(written));
    }
    file.set_times(times)
}

impl Directory {
    /// Opens the directory at `path`: the one place that takes a path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let share = api::FILE_SHARE_READ | api::FILE_SHARE_WRITE;
        let handle = open(&path, OpenOptions::new().read(true).share_mode(share))?;
        match metadata(&handle)?.kind {
            Kind::Directory => Ok(Self { handle, path }),
            Kind::Link => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
    fn at(&self, name: &OsStr) -> io::Result<PathBuf> {
        let plain = name
            .encode_wide()
            .all(|unit| !matches!(unit, 0x2F | 0x5C | 0x3A));
        if !plain || name.is_empty() || name == "." || name == ".." {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        Ok(self.path.join(name))
    }
    /// A second handle on the same directory.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            handle: self.handle.try_clone()?,
            path: self.path.clone(),
        })
    }
    /// State of the directory itself.
    pub fn metadata(&self) -> io::Result<Metadata> {
        metadata(&self.handle)
    }
    /// State of the entry `name`; of the link, if it is one.
    pub fn metadata_of(&self, name: &OsStr) -> io::Result<Metadata> {
        metadata(&open(
            &self.at(name)?,
            OpenOptions::new().access_mode(api::FILE_READ_ATTRIBUTES),
        )?)
    }
    /// Names of all entries.
    pub fn names(&self) -> Names {
        fs::read_dir(&self.path)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }
    /// Opens the directory `name`.
    pub fn open_directory(&self, name: &OsStr) -> io::Result<Self> {
        let path = self.at(name)?;
        let handle = open(&path, OpenOptions::new().read(true))?;
        match metadata(&handle)?.kind {
            Kind::Directory => Ok(Self { handle, path }),
            Kind::Link => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
    /// Opens the regular file `name`; with `write`, for writing where the host allows it.
    pub fn open_file(&self, name: &OsStr, write: bool) -> io::Result<File> {
        let path = self.at(name)?;
        if !write {
            return File::new(open(&path, OpenOptions::new().read(true))?, false);
        }
        match open(&path, OpenOptions::new().read(true).write(true)) {
            Ok(file) => File::new(file, true),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                File::new(open(&path, OpenOptions::new().read(true))?, false)
            }
            Err(error) => Err(error),
        }
    }
    /// Creates the file `name`, which must not exist.
    pub fn create_file(&self, name: &OsStr) -> io::Result<File> {
        File::new(
            open(
                &self.at(name)?,
                OpenOptions::new().read(true).write(true).create_new(true),
            )?,
            true,
        )
    }
    /// Creates the directory `name`, which must not exist.
    pub fn create_directory(&self, name: &OsStr) -> io::Result<Self> {
        fs::create_dir(self.at(name)?)?;
        self.open_directory(name)
    }
    /// Removes the entry `name`, which is not a directory.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.at(name)?)
    }
    /// Removes the empty directory `name`.
    pub fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_dir(self.at(name)?)
    }
    /// Moves the entry `name` to `new_name` in `target`.
    pub fn rename(
        &self,
        name: &OsStr,
        target: &Self,
        new_name: &OsStr,
        replace: Replace,
    ) -> io::Result<()> {
        let (from, to) = (self.at(name)?, target.at(new_name)?);
        if replace == Replace::No && from != to && to.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(from, to)
    }
    /// Makes `new_name` in `target` a second name of the file `name`.
    pub fn link(&self, name: &OsStr, target: &Self, new_name: &OsStr) -> io::Result<()> {
        fs::hard_link(self.at(name)?, target.at(new_name)?)
    }
    /// What the symbolic link `name` holds.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        fs::read_link(self.at(name)?)
    }
    /// Sets the times that are given.
    pub fn set_times(&self, accessed: Option<i64>, written: Option<i64>) -> io::Result<()> {
        set_times(
            &open(&self.path, OpenOptions::new().write(true))?,
            accessed,
            written,
        )
    }
    /// Room on the file system.
    pub fn space(&self) -> io::Result<Space> {
        let mut path: Vec<u16> = self.path.as_os_str().encode_wide().collect();
        path.push(0);
        let (mut available, mut total, mut free) = (0, 0, 0);
        // SAFETY: a terminated path and room for three answers.
        if unsafe { api::GetDiskFreeSpaceExW(path.as_ptr(), &mut available, &mut total, &mut free) }
            == 0
        {
            return Err(io::Error::last_os_error());
        }
        Ok(Space {
            cluster: 4096,
            total: total / 4096,
            free: free / 4096,
            available: available / 4096,
        })
    }
}

impl File {
    fn new(file: fs::File, writable: bool) -> io::Result<Self> {
        match metadata(&file)?.kind {
            Kind::File => Ok(Self { file, writable }),
            Kind::Directory => Err(io::ErrorKind::IsADirectory.into()),
            Kind::Link | Kind::Other => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
    /// Whether the host allows writing.
    pub fn is_writable(&self) -> bool {
        self.writable
    }
    /// State of the file.
    pub fn metadata(&self) -> io::Result<Metadata> {
        metadata(&self.file)
    }
    /// Reads until `buffer` is full or the file ends; returns the bytes read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.seek_read(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
    /// Writes all of `buffer`.
    pub fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get(done..).filter(|rest| !rest.is_empty()) {
            match self.file.seek_write(rest, offset + done as u64)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => done += count,
            }
        }
        Ok(done)
    }
    /// Cuts or extends the file; new bytes are zero.
    pub fn set_size(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }
    /// Sets the times that are given.
    pub fn set_times(&self, accessed: Option<i64>, written: Option<i64>) -> io::Result<()> {
        set_times(&self.file, accessed, written)
    }
}

/// The UTF-16 form of a host name, one result per unit; names are UTF-16 already.
pub fn units_of_os_str(name: &OsStr) -> Vec<Result<u16, u8>> {
    name.encode_wide().map(Ok).collect()
}

/// The host name of such a form; `None` if it holds bytes.
pub fn os_string_of_units(units: &[Result<u16, u8>]) -> Option<OsString> {
    let units: Option<Vec<u16>> = units.iter().map(|unit| unit.ok()).collect();
    Some(OsString::from_wide(&units?))
}

/// Handles are not limited here.
pub fn raise_open_limit() {}
