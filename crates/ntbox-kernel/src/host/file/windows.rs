//! Windows: entries by their name in an open directory (`NtCreateFile` with a
//! `RootDirectory` and its family).
//!
//! Nothing but the root of a volume is opened by a path, so a directory that is
//! renamed while it is open is still the one that was meant. Reparse points are
//! opened as themselves. An entry is the one whose name is written just so, although
//! the host ignores case: who looks for another spelling lists the directory.
//!
//! An entry that is removed or replaced is gone at once, also while it is open
//! ("POSIX semantics", NTFS from Windows 10 1709 on). File systems that know nothing
//! of it (FAT, and all of Wine 8) keep the name of a removed one until the last
//! handle is closed; there the entry gets another one first, in the root, that is
//! never shown. One that is replaced must not be open there.

#![expect(unsafe_code, reason = "native calls return information by its class")]

use super::nt::{self, Wanted};
use super::{Identity, Kind, Metadata, Names, Replace, Space};
use crate::nt::case::upcase;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use windows_sys::Wdk::Storage::FileSystem as wdk;
use windows_sys::Wdk::System::SystemServices::{
    FILE_FS_FULL_SIZE_INFORMATION, FILE_FS_VOLUME_INFORMATION,
};
use windows_sys::Win32::Foundation::{
    ERROR_INVALID_FUNCTION, ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED, ERROR_SHARING_VIOLATION,
};
use windows_sys::Win32::Storage::FileSystem as win32;
use windows_sys::Win32::System::SystemServices::{
    IO_REPARSE_TAG_MOUNT_POINT, IO_REPARSE_TAG_SYMLINK,
};

/// Rights to a directory that is worked in.
const DIRECTORY: u32 =
    win32::FILE_LIST_DIRECTORY | win32::FILE_TRAVERSE | win32::FILE_READ_ATTRIBUTES;

/// How the names begin of entries that were removed and are still open.
const REMOVED: &str = ".ntbox-removed-";

/// The directory that was opened by its path; all that is reached from it is on the same volume, as
/// nothing is followed.
#[derive(Debug)]
struct Root {
    handle: OwnedHandle,
    device: u64,
}

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    handle: OwnedHandle,
    root: Arc<Root>,
}

/// An open regular file.
#[derive(Debug)]
pub struct File {
    file: fs::File,
    device: u64,
    writable: bool,
}

fn metadata(file: BorrowedHandle<'_>, device: u64) -> io::Result<Metadata> {
    // SAFETY: the layout of the class; the name at its end does not fit and is left out.
    let all: wdk::FILE_ALL_INFORMATION = unsafe { nt::query(file, wdk::FileAllInformation) }?;
    let (basic, standard) = (all.BasicInformation, all.StandardInformation);
    let kind = if basic.FileAttributes & win32::FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        // SAFETY: the layout of the class.
        let tag: win32::FILE_ATTRIBUTE_TAG_INFO =
            unsafe { nt::query(file, wdk::FileAttributeTagInformation) }?;
        match tag.ReparseTag {
            IO_REPARSE_TAG_SYMLINK | IO_REPARSE_TAG_MOUNT_POINT => Kind::Link,
            _ => Kind::Other,
        }
    } else if basic.FileAttributes & win32::FILE_ATTRIBUTE_DIRECTORY != 0 {
        Kind::Directory
    } else {
        Kind::File
    };
    Ok(Metadata {
        identity: Identity {
            device,
            number: all.InternalInformation.IndexNumber as u64,
        },
        kind,
        size: standard.EndOfFile as u64,
        allocated: standard.AllocationSize as u64,
        links: standard.NumberOfLinks,
        created: basic.CreationTime,
        // The number counts how often the file's place has been used; anybody sets the time.
        born: Some(0),
        accessed: basic.LastAccessTime,
        written: basic.LastWriteTime,
        changed: basic.ChangeTime,
    })
}

/// By a handle of its own: a file system does not keep the times of one by which they were set.
fn set_times(
    file: BorrowedHandle<'_>,
    accessed: Option<i64>,
    written: Option<i64>,
) -> io::Result<()> {
    let times = wdk::FILE_BASIC_INFORMATION {
        // Zero and less stand for something else than a time.
        LastAccessTime: accessed.map_or(0, |time| time.max(1)),
        LastWriteTime: written.map_or(0, |time| time.max(1)),
        ..wdk::FILE_BASIC_INFORMATION::default()
    };
    let own = nt::open(
        file,
        &[],
        Wanted {
            access: win32::FILE_WRITE_ATTRIBUTES,
            create: false,
            kind: 0,
        },
    );
    nt::set(own?.as_handle(), wdk::FileBasicInformation, &times)
}

/// A name that is nothing but one.
fn entry(name: &OsStr) -> io::Result<Vec<u16>> {
    let units: Vec<u16> = name.encode_wide().collect();
    // Wildcards are none of them: entries are looked for by their names.
    let plain = |unit: &u16| {
        u8::try_from(*unit).map_or(true, |unit| {
            unit >= 0x20 && !br#""*/:<>?\|"#.contains(&unit)
        })
    };
    if units.is_empty() || nt::is_dots(&units) || is_removed(&units) || !units.iter().all(plain) {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    Ok(units)
}

fn is_removed(name: &[u16]) -> bool {
    let mut prefix = REMOVED.encode_utf16();
    name.len() > REMOVED.len()
        && name
            .iter()
            .take(REMOVED.len())
            .all(|unit| prefix.next() == Some(*unit))
}

/// A name that no entry has had yet.
fn name_of_removed() -> Vec<u16> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{REMOVED}{:x}-{number:x}", std::process::id());
    name.encode_utf16().collect()
}

impl Directory {
    /// Opens the directory at `path`: the one place that takes a path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = win32::FILE_FLAG_BACKUP_SEMANTICS | win32::FILE_FLAG_OPEN_REPARSE_POINT;
        let mut options = fs::OpenOptions::new();
        options.access_mode(DIRECTORY).custom_flags(flags);
        let handle: OwnedHandle = options.open(path.canonicalize()?)?.into();
        // SAFETY: the layout of the class; the label at its end is left out.
        let volume: FILE_FS_VOLUME_INFORMATION =
            unsafe { nt::query_volume(handle.as_handle(), wdk::FileFsVolumeInformation) }?;
        let root = Root {
            handle: handle.try_clone()?,
            device: volume.VolumeSerialNumber.into(),
        };
        Self::new(handle, Arc::new(root))
    }
    fn new(handle: OwnedHandle, root: Arc<Root>) -> io::Result<Self> {
        match metadata(handle.as_handle(), root.device)?.kind {
            Kind::Directory => Ok(Self { handle, root }),
            Kind::File => Err(io::ErrorKind::NotADirectory.into()),
            Kind::Link | Kind::Other => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
    /// Opens the entry `name`, if that is how it is written.
    fn entry(&self, name: &OsStr, access: u32, kind: u32) -> io::Result<OwnedHandle> {
        let name = entry(name)?;
        let wanted = Wanted {
            access,
            create: false,
            kind,
        };
        let handle = nt::open(self.handle.as_handle(), &name, wanted)?;
        if nt::names(self.handle.as_handle(), Some(&name))?.contains(&name) {
            Ok(handle)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    fn create(&self, name: &OsStr, access: u32, kind: u32) -> io::Result<OwnedHandle> {
        let wanted = Wanted {
            access,
            create: true,
            kind,
        };
        nt::open(self.handle.as_handle(), &entry(name)?, wanted)
    }
    /// A second handle on the same directory.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            handle: self.handle.try_clone()?,
            root: Arc::clone(&self.root),
        })
    }
    /// State of the directory itself.
    pub fn metadata(&self) -> io::Result<Metadata> {
        metadata(self.handle.as_handle(), self.root.device)
    }
    /// State of the entry `name`; of the link, if it is one.
    pub fn metadata_of(&self, name: &OsStr) -> io::Result<Metadata> {
        let handle = self.entry(name, win32::FILE_READ_ATTRIBUTES, 0)?;
        metadata(handle.as_handle(), self.root.device)
    }
    /// Names of all entries.
    pub fn names(&self) -> Names {
        let names = nt::names(self.handle.as_handle(), None)?;
        let shown = names.iter().filter(|name| !is_removed(name));
        Ok(shown.map(|name| OsString::from_wide(name)).collect())
    }
    /// Opens the directory `name`.
    pub fn open_directory(&self, name: &OsStr) -> io::Result<Self> {
        let handle = self.entry(name, DIRECTORY, wdk::FILE_DIRECTORY_FILE)?;
        Self::new(handle, Arc::clone(&self.root))
    }
    /// Opens the regular file `name`; with `write`, for writing where the host allows it.
    pub fn open_file(&self, name: &OsStr, write: bool) -> io::Result<File> {
        let open = |access| self.entry(name, access, wdk::FILE_NON_DIRECTORY_FILE);
        if write {
            match open(win32::FILE_GENERIC_READ | win32::FILE_GENERIC_WRITE) {
                Ok(handle) => return File::new(handle, self.root.device, true),
                Err(error) if refuses_writing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        File::new(open(win32::FILE_GENERIC_READ)?, self.root.device, false)
    }
    /// Creates the file `name`, which must not exist.
    pub fn create_file(&self, name: &OsStr) -> io::Result<File> {
        let access = win32::FILE_GENERIC_READ | win32::FILE_GENERIC_WRITE;
        let handle = self.create(name, access, wdk::FILE_NON_DIRECTORY_FILE)?;
        File::new(handle, self.root.device, true)
    }
    /// Creates the directory `name`, which must not exist.
    pub fn create_directory(&self, name: &OsStr) -> io::Result<Self> {
        let handle = self.create(name, DIRECTORY, wdk::FILE_DIRECTORY_FILE)?;
        Self::new(handle, Arc::clone(&self.root))
    }
    /// Removes the entry `name`, which is not a directory.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        self.remove(name, false)
    }
    /// Removes the empty directory `name`.
    pub fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        self.remove(name, true)
    }
    fn remove(&self, name: &OsStr, directory: bool) -> io::Result<()> {
        let access = win32::DELETE | win32::FILE_READ_ATTRIBUTES;
        let handle = self.entry(name, access, 0)?;
        // A link to a directory is a directory for the host.
        let is_directory = metadata(handle.as_handle(), self.root.device)?.kind == Kind::Directory;
        match (is_directory, directory) {
            (true, false) => return Err(io::ErrorKind::IsADirectory.into()),
            (false, true) => return Err(io::ErrorKind::NotADirectory.into()),
            _ => {}
        }
        let at_once = wdk::FILE_DISPOSITION_INFORMATION_EX {
            Flags: wdk::FILE_DISPOSITION_DELETE
                | wdk::FILE_DISPOSITION_POSIX_SEMANTICS
                | wdk::FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE,
        };
        match nt::set(
            handle.as_handle(),
            wdk::FileDispositionInformationEx,
            &at_once,
        ) {
            Err(error) if is_unknown(&error) => self.remove_later(handle.as_handle(), name),
            done => done,
        }
    }
    /// Marks the open entry `name` for deletion, and gives it the name of one that was removed.
    fn remove_later(&self, handle: BorrowedHandle<'_>, name: &OsStr) -> io::Result<()> {
        let class = wdk::FileDispositionInformation;
        let goes = |goes| wdk::FILE_DISPOSITION_INFORMATION { DeleteFile: goes };
        // A directory that is not empty is refused here, under its own name.
        nt::set(handle, class, &goes(true))?;
        nt::set(handle, class, &goes(false))?;
        let rename = |directory: &OwnedHandle, name: &[u16]| {
            let class = wdk::FileRenameInformation;
            nt::set_name(handle, class, directory.as_handle(), name, 0)
        };
        rename(&self.root.handle, &name_of_removed())?;
        nt::set(handle, class, &goes(true)).inspect_err(|_| {
            // An entry has come meanwhile. If the name is taken as well, nothing can be done.
            let _ = entry(name).and_then(|name| rename(&self.handle, &name));
        })
    }
    /// Moves the entry `name` to `new_name` in `target`.
    pub fn rename(
        &self,
        name: &OsStr,
        target: &Self,
        new_name: &OsStr,
        replace: Replace,
    ) -> io::Result<()> {
        let handle = self.entry(name, win32::DELETE, 0)?;
        let (old, new) = (entry(name)?, entry(new_name)?);
        let (plain, more) = match replace {
            Replace::Yes => (
                wdk::FILE_RENAME_REPLACE_IF_EXISTS,
                wdk::FILE_RENAME_IGNORE_READONLY_ATTRIBUTE,
            ),
            Replace::No => (0, 0),
        };
        // What is replaced may be open, as it may on Linux.
        let posix = plain | more | wdk::FILE_RENAME_POSIX_SEMANTICS;
        let rename = |name: &[u16]| {
            let set = |class, flags| {
                let target = target.handle.as_handle();
                nt::set_name(handle.as_handle(), class, target, name, flags)
            };
            match set(wdk::FileRenameInformationEx, posix) {
                Err(error) if is_unknown(&error) => set(wdk::FileRenameInformation, plain),
                done => done,
            }
        };
        rename(&new)?;
        // Wine 8 changes nothing where the names differ only in case.
        if old != new
            && old
                .iter()
                .copied()
                .map(upcase)
                .eq(new.iter().copied().map(upcase))
            && !nt::names(target.handle.as_handle(), Some(&new))?.contains(&new)
        {
            rename(&name_of_removed())?;
            rename(&new)?;
        }
        Ok(())
    }
    /// Makes `new_name` in `target` a second name of the file `name`.
    pub fn link(&self, name: &OsStr, target: &Self, new_name: &OsStr) -> io::Result<()> {
        let handle = self.entry(
            name,
            win32::FILE_WRITE_ATTRIBUTES,
            wdk::FILE_NON_DIRECTORY_FILE,
        )?;
        nt::set_name(
            handle.as_handle(),
            wdk::FileLinkInformation,
            target.handle.as_handle(),
            &entry(new_name)?,
            0,
        )
    }
    /// What the symbolic link `name` holds; of a junction, the directory that it leads to.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        let handle = self.entry(name, win32::FILE_READ_ATTRIBUTES, 0)?;
        let data = nt::reparse_data(handle.as_handle())?;
        link_target(&data).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
    /// Sets the times that are given.
    pub fn set_times(&self, accessed: Option<i64>, written: Option<i64>) -> io::Result<()> {
        set_times(self.handle.as_handle(), accessed, written)
    }
    /// Room on the file system.
    pub fn space(&self) -> io::Result<Space> {
        // SAFETY: the layout of the class.
        let room: FILE_FS_FULL_SIZE_INFORMATION =
            unsafe { nt::query_volume(self.handle.as_handle(), wdk::FileFsFullSizeInformation) }?;
        Ok(Space {
            cluster: room.SectorsPerAllocationUnit * room.BytesPerSector,
            total: room.TotalAllocationUnits as u64,
            free: room.ActualAvailableAllocationUnits as u64,
            available: room.CallerAvailableAllocationUnits as u64,
        })
    }
}

/// The file is there, but cannot be written: it is read-only, or others keep writers out.
fn refuses_writing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    ) || is_code(error, &[ERROR_SHARING_VIOLATION])
}

/// The file system does not know what it was asked for.
fn is_unknown(error: &io::Error) -> bool {
    let codes = [
        ERROR_INVALID_FUNCTION,
        ERROR_INVALID_PARAMETER,
        ERROR_NOT_SUPPORTED,
    ];
    is_code(error, &codes)
}

fn is_code(error: &io::Error, codes: &[u32]) -> bool {
    let code = error
        .raw_os_error()
        .and_then(|code| u32::try_from(code).ok());
    code.is_some_and(|code| codes.contains(&code))
}

/// The path in the data of a symbolic link or a junction.
fn link_target(data: &[u8]) -> Option<PathBuf> {
    let half = |at: usize| Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?));
    let tag = u32::from_le_bytes(*data.first_chunk()?);
    // Behind tag and length: place and length of the name that is followed, and of the one that is
    // shown; of a symbolic link, flags.
    let names = match tag {
        IO_REPARSE_TAG_SYMLINK => 20,
        IO_REPARSE_TAG_MOUNT_POINT => 16,
        _ => return None,
    };
    let from = names + usize::from(half(8)?);
    let bytes = data.get(from..from + usize::from(half(10)?))?;
    let mut units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    // `\??\` in the kernel is `\\?\` in Win32.
    if let [0x5C, second @ 0x3F, 0x3F, 0x5C, ..] = units.as_mut_slice() {
        *second = 0x5C;
    }
    Some(OsString::from_wide(&units).into())
}

impl File {
    fn new(handle: OwnedHandle, device: u64, writable: bool) -> io::Result<Self> {
        match metadata(handle.as_handle(), device)?.kind {
            Kind::File => Ok(Self {
                file: handle.into(),
                device,
                writable,
            }),
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
        metadata(self.file.as_handle(), self.device)
    }
    /// Reads until `buffer` is full or the file ends; returns the bytes read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.seek_read(rest, offset + done as u64)? {
                0 => break,
                count => done += count,
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
        set_times(self.file.as_handle(), accessed, written)
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
