//! Linux: everything relative to an open directory (`openat` and its family).

#![expect(
    unsafe_code,
    reason = "the `*at` system calls have no counterpart in std"
)]

use super::{Identity, Kind, Metadata, Names, Replace, Space, host_time, nt_time};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    handle: OwnedFd,
}

/// An open regular file.
#[derive(Debug)]
pub struct File {
    pub(super) file: std::fs::File,
    writable: bool,
}

/// The name as the system takes it; only one component that names an entry is accepted.
fn entry(name: &OsStr) -> io::Result<CString> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    CString::new(bytes).map_err(|_| io::ErrorKind::InvalidFilename.into())
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn open_at(at: BorrowedFd<'_>, name: &CStr, flags: i32) -> io::Result<OwnedFd> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    // SAFETY: a valid descriptor and a terminated name; the mode goes with O_CREAT.
    let descriptor = check(unsafe { libc::openat(at.as_raw_fd(), name.as_ptr(), flags, 0o666) })?;
    // SAFETY: the call above made the descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn statx(at: BorrowedFd<'_>, name: &CStr) -> io::Result<Metadata> {
    // SAFETY: integers only; all-zero is a valid value.
    let mut data: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
    let mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
    // SAFETY: a valid descriptor, a terminated name, and room for the answer.
    check(unsafe { libc::statx(at.as_raw_fd(), name.as_ptr(), flags, mask, &mut data) })?;
    let time = |time: libc::statx_timestamp| nt_time(time.tv_sec, time.tv_nsec);
    // Nothing but the making of a file sets it.
    let born = (data.stx_mask & libc::STATX_BTIME != 0).then(|| time(data.stx_btime));
    let changed = time(data.stx_ctime);
    let written = time(data.stx_mtime);
    let kind = match u32::from(data.stx_mode) & libc::S_IFMT {
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFLNK => Kind::Link,
        _ => Kind::Other,
    };
    Ok(Metadata {
        identity: Identity {
            device: libc::makedev(data.stx_dev_major, data.stx_dev_minor),
            number: data.stx_ino,
        },
        kind,
        size: data.stx_size,
        allocated: data.stx_blocks * 512,
        links: data.stx_nlink,
        // A file system that does not record it is given the oldest time known.
        created: born.unwrap_or(written.min(changed)),
        born,
        accessed: time(data.stx_atime),
        written,
        changed,
    })
}

fn set_times(
    handle: BorrowedFd<'_>,
    accessed: Option<i64>,
    written: Option<i64>,
) -> io::Result<()> {
    let time = |time: Option<i64>| {
        let (seconds, nanoseconds) = time.map_or((0, libc::UTIME_OMIT), |time| {
            let (seconds, nanoseconds) = host_time(time);
            (seconds, i64::from(nanoseconds))
        });
        libc::timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        }
    };
    let times = [time(accessed), time(written)];
    // SAFETY: a valid descriptor and two times.
    check(unsafe { libc::futimens(handle.as_raw_fd(), times.as_ptr()) })?;
    Ok(())
}

impl Directory {
    /// Opens the directory at `path`, following links: the one place that takes a path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = std::fs::File::open(path)?;
        if !file.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            handle: file.into(),
        })
    }
    /// A second handle on the same directory.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            handle: self.handle.try_clone()?,
        })
    }
    /// State of the directory itself.
    pub fn metadata(&self) -> io::Result<Metadata> {
        statx(self.handle.as_fd(), c"")
    }
    /// State of the entry `name`; of the link, if it is one.
    pub fn metadata_of(&self, name: &OsStr) -> io::Result<Metadata> {
        statx(self.handle.as_fd(), &entry(name)?)
    }
    /// Names of all entries.
    pub fn names(&self) -> Names {
        // A descriptor of its own: the position in the directory belongs to the open description.
        let own = open_at(
            self.handle.as_fd(),
            c".",
            libc::O_RDONLY | libc::O_DIRECTORY,
        )?;
        // SAFETY: a valid descriptor of a directory, which the stream takes over on success.
        let stream = unsafe { libc::fdopendir(own.as_raw_fd()) };
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        std::mem::forget(own);
        let mut names = Vec::new();
        loop {
            // SAFETY: an open stream that only this function knows.
            let record = unsafe { libc::readdir64(stream) };
            if record.is_null() {
                break;
            }
            // SAFETY: the record is valid until the next call.
            let name = unsafe { &raw const (*record).d_name };
            // SAFETY: the name is terminated.
            let name = unsafe { CStr::from_ptr(name.cast()) }.to_bytes();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name.to_vec()));
            }
        }
        // SAFETY: the stream is open and not used again.
        unsafe { libc::closedir(stream) };
        Ok(names)
    }
    /// Opens the directory `name`.
    pub fn open_directory(&self, name: &OsStr) -> io::Result<Self> {
        let handle = open_at(
            self.handle.as_fd(),
            &entry(name)?,
            libc::O_RDONLY | libc::O_DIRECTORY,
        )?;
        Ok(Self { handle })
    }
    /// Opens the regular file `name`; with `write`, for writing where the host allows it.
    pub fn open_file(&self, name: &OsStr, write: bool) -> io::Result<File> {
        let name = entry(name)?;
        if !write {
            return File::new(open_at(self.handle.as_fd(), &name, libc::O_RDONLY)?, false);
        }
        let (handle, writable) = match open_at(self.handle.as_fd(), &name, libc::O_RDWR) {
            Ok(handle) => (handle, true),
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EACCES | libc::EPERM | libc::EROFS | libc::ETXTBSY)
                ) =>
            {
                (open_at(self.handle.as_fd(), &name, libc::O_RDONLY)?, false)
            }
            Err(error) => return Err(error),
        };
        File::new(handle, writable)
    }
    /// Creates the file `name`, which must not exist.
    pub fn create_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        File::new(open_at(self.handle.as_fd(), &entry(name)?, flags)?, true)
    }
    /// Creates the directory `name`, which must not exist.
    pub fn create_directory(&self, name: &OsStr) -> io::Result<Self> {
        // SAFETY: a valid descriptor and a terminated name.
        check(unsafe { libc::mkdirat(self.handle.as_raw_fd(), entry(name)?.as_ptr(), 0o777) })?;
        self.open_directory(name)
    }
    /// Removes the entry `name`, which is not a directory.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        // SAFETY: a valid descriptor and a terminated name.
        check(unsafe { libc::unlinkat(self.handle.as_raw_fd(), entry(name)?.as_ptr(), 0) })?;
        Ok(())
    }
    /// Removes the empty directory `name`.
    pub fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        let name = entry(name)?;
        // SAFETY: a valid descriptor and a terminated name.
        check(unsafe {
            libc::unlinkat(self.handle.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR)
        })?;
        Ok(())
    }
    /// Moves the entry `name` to `new_name` in `target`.
    pub fn rename(
        &self,
        name: &OsStr,
        target: &Self,
        new_name: &OsStr,
        replace: Replace,
    ) -> io::Result<()> {
        let (name, new_name) = (entry(name)?, entry(new_name)?);
        let flags = if replace == Replace::No {
            libc::RENAME_NOREPLACE
        } else {
            0
        };
        let (from, to) = (self.handle.as_raw_fd(), target.handle.as_raw_fd());
        // SAFETY: valid descriptors and terminated names.
        check(unsafe { libc::renameat2(from, name.as_ptr(), to, new_name.as_ptr(), flags) })?;
        Ok(())
    }
    /// Makes `new_name` in `target` a second name of the file `name`.
    pub fn link(&self, name: &OsStr, target: &Self, new_name: &OsStr) -> io::Result<()> {
        let (name, new_name) = (entry(name)?, entry(new_name)?);
        let (from, to) = (self.handle.as_raw_fd(), target.handle.as_raw_fd());
        // SAFETY: valid descriptors and terminated names; flag 0 does not follow a link.
        check(unsafe { libc::linkat(from, name.as_ptr(), to, new_name.as_ptr(), 0) })?;
        Ok(())
    }
    /// What the symbolic link `name` holds.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        let name = entry(name)?;
        let mut bytes = vec![0_u8; libc::PATH_MAX as usize];
        // SAFETY: a valid descriptor, a terminated name, and room of the length given.
        let length = unsafe {
            libc::readlinkat(
                self.handle.as_raw_fd(),
                name.as_ptr(),
                bytes.as_mut_ptr().cast(),
                bytes.len(),
            )
        };
        bytes.truncate(usize::try_from(length).map_err(|_| io::Error::last_os_error())?);
        Ok(OsString::from_vec(bytes).into())
    }
    /// Sets the times that are given.
    pub fn set_times(&self, accessed: Option<i64>, written: Option<i64>) -> io::Result<()> {
        set_times(self.handle.as_fd(), accessed, written)
    }
    /// Room on the file system.
    pub fn space(&self) -> io::Result<Space> {
        // SAFETY: integers only; all-zero is a valid value.
        let mut data: libc::statvfs64 = unsafe { std::mem::zeroed() };
        // SAFETY: a valid descriptor and room for the answer.
        check(unsafe { libc::fstatvfs64(self.handle.as_raw_fd(), &mut data) })?;
        let cluster = u32::try_from(data.f_frsize)
            .ok()
            .filter(|size| size.is_power_of_two())
            .unwrap_or(4096);
        Ok(Space {
            cluster,
            total: data.f_blocks,
            free: data.f_bfree,
            available: data.f_bavail,
        })
    }
}

impl File {
    fn new(handle: OwnedFd, writable: bool) -> io::Result<Self> {
        let file = Self {
            file: handle.into(),
            writable,
        };
        match file.metadata()?.kind {
            Kind::File => Ok(file),
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
        statx(self.file.as_fd(), c"")
    }
    /// Reads until `buffer` is full or the file ends; returns the bytes read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
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
        self.file.write_all_at(buffer, offset)?;
        Ok(buffer.len())
    }
    /// Cuts or extends the file; new bytes are zero.
    pub fn set_size(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }
    /// Sets the times that are given.
    pub fn set_times(&self, accessed: Option<i64>, written: Option<i64>) -> io::Result<()> {
        set_times(self.file.as_fd(), accessed, written)
    }
}

/// The UTF-16 form of a host name, one result per unit: `Err` holds a byte that is not UTF-8. A surrogate that is not
/// one of a pair is in the name as UTF-8 would have it if it had surrogates (WTF-8).
pub fn units_of_os_str(name: &OsStr) -> Vec<Result<u16, u8>> {
    let mut units = Vec::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        units.extend(chunk.valid().encode_utf16().map(Ok));
        units.extend(chunk.invalid().iter().copied().map(Err));
    }
    if units.contains(&Err(SURROGATE)) {
        units = with_surrogates(&units);
    }
    units
}

/// The first of the three bytes of a surrogate.
const SURROGATE: u8 = 0xED;

/// The surrogate whose bytes begin the units.
fn surrogate(units: &[Result<u16, u8>]) -> Option<u16> {
    match units {
        [
            Err(SURROGATE),
            Err(second @ 0xA0..=0xBF),
            Err(third @ 0x80..=0xBF),
            ..,
        ] => Some(0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F)),
        _ => None,
    }
}

/// The units with surrogates in the place of their bytes. Those of a pair stay bytes: the pair is a character, which
/// has other ones.
fn with_surrogates(units: &[Result<u16, u8>]) -> Vec<Result<u16, u8>> {
    const BYTES: usize = 3;
    let mut found = Vec::with_capacity(units.len());
    let mut rest = units;
    while let Some((first, behind)) = rest.split_first() {
        let behind_bytes = rest.get(BYTES..).unwrap_or_default();
        let paired = |high| {
            (0xD800..0xDC00).contains(&high)
                && surrogate(behind_bytes).is_some_and(|low| low >= 0xDC00)
        };
        match surrogate(rest) {
            Some(high) if paired(high) => {
                let (pair, behind) = rest.split_at(2 * BYTES);
                found.extend_from_slice(pair);
                rest = behind;
            }
            Some(alone) => {
                found.push(Ok(alone));
                rest = behind_bytes;
            }
            None => {
                found.push(*first);
                rest = behind;
            }
        }
    }
    found
}

/// The host name of such a form.
pub fn os_string_of_units(units: &[Result<u16, u8>]) -> Option<OsString> {
    let mut bytes = Vec::with_capacity(units.len());
    for run in units.chunk_by(|a, b| a.is_ok() == b.is_ok()) {
        bytes.extend(run.iter().filter_map(|unit| unit.err()));
        for character in char::decode_utf16(run.iter().filter_map(|unit| unit.ok())) {
            match character {
                Ok(character) => {
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Err(alone) => {
                    let unit = alone.unpaired_surrogate();
                    let low = |bits: u16| 0x80 | (bits & 0x3F) as u8;
                    bytes.extend([SURROGATE, low(unit >> 6), low(unit)]);
                }
            }
        }
    }
    Some(OsString::from_vec(bytes))
}

/// Raises the limit of open files to what the system allows: each open file of a volume holds one.
pub fn raise_open_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: room for the answer.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0
        && limit.rlim_cur < limit.rlim_max
    {
        limit.rlim_cur = limit.rlim_max.min(65_536);
        // SAFETY: a limit not above the hard one. Failure leaves the limit as it is.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
}
