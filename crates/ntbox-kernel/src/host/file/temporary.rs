//! A directory for volumes.

#[cfg(target_os = "linux")]
use super::sweep::Kept;
use super::{Directory, Kind};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// An empty directory of the system's place for such, which goes with its value, and on Linux hosts with the
/// process at the latest. Volumes that show
/// it may be mounted still: where the host keeps the names of open entries for that long, they are
/// out of the way.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    #[cfg(target_os = "linux")]
    _kept: Kept,
}

impl Temporary {
    /// Makes it.
    ///
    /// # Errors
    /// As the host says.
    pub fn new() -> io::Result<Self> {
        let made = tempfile::Builder::new().prefix("ntbox-").tempdir()?;
        let path = made.keep();
        Ok(Self {
            #[cfg(target_os = "linux")]
            _kept: Kept::new(&path),
            path,
        })
    }
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) {
            // What cannot be removed stays: nobody is left to hear of it.
            let _ = Directory::open(parent).and_then(|parent| remove(&parent, name));
        }
    }
}

/// Removes an entry, and what is below it.
fn remove(parent: &Directory, name: &OsStr) -> io::Result<()> {
    if parent.metadata_of(name)?.kind != Kind::Directory {
        return parent.remove_file(name);
    }
    let directory = parent.open_directory(name)?;
    for name in directory.names()? {
        remove(&directory, &name)?;
    }
    drop(directory);
    parent.remove_directory(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_all_that_is_in_it_also_while_that_is_open() {
        let folder = Temporary::new().unwrap();
        let path = folder.path().to_owned();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/c"), b"c").unwrap();
        let open = Directory::open(&path.join("a/b")).unwrap();
        let file = open.open_file(OsStr::new("c"), false).unwrap();
        drop(folder);
        assert!(!path.exists());
        let mut byte = [0];
        assert_eq!((file.read_at(&mut byte, 0).unwrap(), byte), (1, *b"c"));
    }
}
