//! Which bytes of a file have room on the host, and giving it back.

use super::File;
use std::io;
use std::ops::Range;

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the C library is called with descriptors")]
mod system {
    use super::{File, Range, io};
    use std::os::fd::AsRawFd;

    /// The first byte from `at` on that is data, or is none; nothing if there is no such byte.
    pub fn seek(file: &File, at: u64, whence: i32) -> io::Result<Option<u64>> {
        let at = i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: a valid descriptor. Its position, which this moves, is used by nobody.
        let found = unsafe { libc::lseek64(file.file.as_raw_fd(), at, whence) };
        match u64::try_from(found) {
            Ok(found) => Ok(Some(found)),
            Err(_) => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
                error => Err(error),
            },
        }
    }

    pub fn first_data(file: &File, within: &Range<u64>) -> io::Result<Option<Range<u64>>> {
        let start = seek(file, within.start, libc::SEEK_DATA)?;
        let Some(start) = start.filter(|start| *start < within.end) else {
            return Ok(None);
        };
        let end = seek(file, start, libc::SEEK_HOLE)?.unwrap_or(within.end);
        Ok(Some(start..end.min(within.end)))
    }

    pub fn give_back(file: &File, bytes: &Range<u64>) -> io::Result<()> {
        let offset = |value| i64::try_from(value).map_err(|_| io::ErrorKind::InvalidInput);
        let (start, length) = (offset(bytes.start)?, offset(bytes.end - bytes.start)?);
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: a valid descriptor.
        match unsafe { libc::fallocate64(file.file.as_raw_fd(), mode, start, length) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{File, Range, io};

    /// All bytes have room.
    pub fn first_data(_: &File, within: &Range<u64>) -> io::Result<Option<Range<u64>>> {
        Ok(Some(within.clone()))
    }

    pub fn give_back(_: &File, _: &Range<u64>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl File {
    /// The bytes within a range that the host has room for, in order; all of them where it does not tell. It is asked for
    /// one after the other.
    ///
    /// # Errors
    /// As the host says; then there are no more.
    pub fn data_ranges(
        &self,
        within: &Range<u64>,
    ) -> impl Iterator<Item = io::Result<Range<u64>>> + use<'_> {
        let mut rest = within.clone();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let found = system::first_data(self, &rest).transpose();
            rest.start = match &found {
                Some(Ok(data)) => data.end,
                _ => rest.end,
            };
            found
        })
    }

    /// Those that it has none for.
    ///
    /// # Errors
    /// As the host says.
    pub fn holes(&self, within: &Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let mut at = within.start;
        let mut holes = Vec::new();
        let end = Ok(within.end..within.end);
        for data in self.data_ranges(within).chain([end]) {
            let data = data?;
            if at < data.start {
                holes.push(at..data.start);
            }
            at = data.end;
        }
        Ok(holes)
    }

    /// Gives the room of some bytes back to the host, as far as it has whole blocks of them: they are zero.
    ///
    /// # Errors
    /// As the host says, which may not be able to.
    pub fn give_back(&self, bytes: &Range<u64>) -> io::Result<()> {
        system::give_back(self, bytes)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::Directory;
    use super::{Range, io};
    use std::ffi::OsStr;
    use std::slice::from_ref;

    #[test]
    fn room_is_taken_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let file = directory.create_file(OsStr::new("f")).unwrap();
        const PAGE: u64 = 4096;
        file.set_size(64 * PAGE).unwrap();
        let all = 0..64 * PAGE;
        let data_ranges = |within: &Range<u64>| {
            let found: io::Result<Vec<_>> = file.data_ranges(within).collect();
            found.unwrap()
        };
        assert_eq!(data_ranges(&all), []);
        assert_eq!(file.holes(&all).unwrap(), from_ref(&all));
        file.write_at(&[1; PAGE as usize], 16 * PAGE).unwrap();
        let written = 16 * PAGE..17 * PAGE;
        let behind = 18 * PAGE..19 * PAGE;
        file.write_at(&[1; PAGE as usize], behind.start).unwrap();
        assert_eq!(data_ranges(&all), [written.clone(), behind.clone()]);
        file.give_back(&behind).unwrap();
        assert_eq!(data_ranges(&all), from_ref(&written));
        let around = [0..16 * PAGE, 17 * PAGE..64 * PAGE];
        assert_eq!(file.holes(&all).unwrap(), around);
        let inside = 16 * PAGE + 5..16 * PAGE + 9;
        assert_eq!(data_ranges(&inside), from_ref(&inside));
        file.give_back(&written).unwrap();
        assert_eq!(data_ranges(&all), []);
        let mut bytes = [7; 8];
        file.read_at(&mut bytes, 16 * PAGE).unwrap();
        assert_eq!(bytes, [0; 8]);
        // Of a block in part, the bytes are zero.
        file.write_at(&[1; PAGE as usize], 16 * PAGE).unwrap();
        file.give_back(&(16 * PAGE + 2..16 * PAGE + 4)).unwrap();
        file.read_at(&mut bytes, 16 * PAGE).unwrap();
        assert_eq!(bytes, [1, 1, 0, 0, 1, 1, 1, 1]);
    }
}
