//! Files and directories of the host, reached by handle and one name at a time.
//!
//! A path is never given to the host: every operation names one entry of an
//! open [`Directory`] and does not follow it if it is a link. Whoever resolves
//! names decides which links are followed, so nothing here can be led out of
//! the directory it was started in, also not by a link that somebody plants
//! between a check and its use.

#[cfg(windows)]
mod nt;
mod ranges;
#[cfg(target_os = "linux")]
pub(super) mod sweep;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;
mod temporary;

use std::ffi::OsString;
use std::io;

pub use system::{Directory, File, os_string_of_units, raise_open_limit, units_of_os_str};
pub use temporary::Temporary;

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else; never opened (a pipe would block, a device would act).
    Other,
}

/// What names a file on the host for as long as it exists: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Device or volume.
    pub device: u64,
    /// Number of the file on it.
    pub number: u64,
}

/// State of a file. Times are NT times: units of 100 ns since 1601.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Which file.
    pub identity: Identity,
    /// What it is.
    pub kind: Kind,
    /// Bytes of data.
    pub size: u64,
    /// Bytes occupied.
    pub allocated: u64,
    /// Number of directory entries that lead to it.
    pub links: u32,
    /// Creation.
    pub created: i64,
    /// What tells the file from an earlier one of the same number; none on a host that does not
    /// record it.
    pub born: Option<i64>,
    /// Last access.
    pub accessed: i64,
    /// Last write.
    pub written: i64,
    /// Last change of data or state.
    pub changed: i64,
}

/// Room on the file system that holds a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes per cluster, a power of two.
    pub cluster: u32,
    /// All clusters.
    pub total: u64,
    /// Free clusters.
    pub free: u64,
    /// Free clusters that the caller may use.
    pub available: u64,
}

/// Replace an existing target of a rename or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// An existing target is replaced atomically.
    Yes,
    /// An existing target makes the rename fail with `AlreadyExists`.
    No,
}

/// Names in a directory, without `.` and `..`, in the host's order.
pub type Names = io::Result<Vec<OsString>>;

/// Seconds between 1601 and 1970.
const EPOCH_DIFFERENCE: i64 = 11_644_473_600;

/// NT time of seconds and nanoseconds since 1970.
pub fn nt_time(seconds: i64, nanoseconds: u32) -> i64 {
    seconds
        .saturating_add(EPOCH_DIFFERENCE)
        .saturating_mul(10_000_000)
        .saturating_add(i64::from(nanoseconds / 100))
}

/// Seconds and nanoseconds since 1970 of an NT time.
pub fn host_time(time: i64) -> (i64, u32) {
    let seconds = time.div_euclid(10_000_000) - EPOCH_DIFFERENCE;
    (seconds, (time.rem_euclid(10_000_000) * 100) as u32)
}

/// The NT time now.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    nt_time(since.as_secs() as i64, since.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn times_convert_both_ways() {
        assert_eq!(nt_time(0, 0), 116_444_736_000_000_000);
        assert_eq!(host_time(116_444_736_000_000_000), (0, 0));
        for (seconds, nanoseconds) in [(1_700_000_000, 123_456_700), (-1, 999_999_900), (0, 100)] {
            assert_eq!(
                host_time(nt_time(seconds, nanoseconds)),
                (seconds, nanoseconds)
            );
        }
    }

    #[test]
    fn data_is_read_and_written_by_position() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let file = directory.create_file(OsStr::new("a")).unwrap();
        assert_eq!(file.write_at(b"hello", 3).unwrap(), 5);
        let mut bytes = [9; 16];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 8);
        assert_eq!(&bytes[..8], b"\0\0\0hello");
        assert_eq!(file.metadata().unwrap().size, 8);
        file.set_size(2).unwrap();
        assert_eq!(directory.metadata_of(OsStr::new("a")).unwrap().size, 2);
        let kind = directory.create_file(OsStr::new("a")).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn rename_keeps_an_existing_target_unless_told() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let (a, b) = (OsStr::new("a"), OsStr::new("b"));
        directory.create_file(a).unwrap().write_at(b"a", 0).unwrap();
        directory.create_file(b).unwrap();
        let error = directory.rename(a, &directory, b, Replace::No).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        directory.rename(a, &directory, b, Replace::Yes).unwrap();
        assert_eq!(directory.names().unwrap(), [b]);
        assert_eq!(directory.metadata_of(b).unwrap().size, 1);
    }

    #[test]
    fn times_are_set_singly() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let file = directory.create_file(OsStr::new("a")).unwrap();
        let before = file.metadata().unwrap();
        let time = nt_time(1_000_000_000, 700);
        file.set_times(None, Some(time)).unwrap();
        let after = file.metadata().unwrap();
        assert_eq!((after.accessed, after.written), (before.accessed, time));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_never_followed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), b"x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("file"))
            .unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        assert!(directory.open_directory(OsStr::new("out")).is_err());
        assert!(directory.open_file(OsStr::new("file"), true).is_err());
        assert_eq!(
            directory.metadata_of(OsStr::new("out")).unwrap().kind,
            Kind::Link
        );
        assert!(
            directory
                .open_file(OsStr::new("out/secret"), false)
                .is_err()
        );
        assert!(directory.metadata_of(OsStr::new("..")).is_err());
        assert!(directory.open_directory(OsStr::new("..")).is_err());
    }
}
