//! Writing only what differs.
//!
//! Cargo and bindgen's change tracking go by modification time. Generated files
//! are therefore compared with what is there already and left alone when equal:
//! this keeps a second build at seconds and needs no record of what was done
//! before, which could be wrong.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What to try when something below `target/kit` cannot be written.
const REMEDY: &str = "check its permissions and the space left, or delete target/kit";

/// Creates a directory and its parents.
///
/// # Errors
/// Names the directory.
pub fn create_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path)
        .with_context(|| format!("cannot create the directory {}; {REMEDY}", path.display()))
}

/// Creates a directory anew, without what was in it.
///
/// # Errors
/// Names the directory.
pub fn empty_directory(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot make {} anew", path.display()))
        }
        _ => create_directory(path),
    }
}

/// Reads a file whole.
///
/// # Errors
/// Names the file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a text file whole.
///
/// # Errors
/// Names the file.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes `contents` unless the file holds just that; says whether it wrote.
///
/// # Errors
/// Names the file.
pub fn write_if_changed(path: &Path, contents: impl AsRef<[u8]>) -> Result<bool> {
    let contents = contents.as_ref();
    if fs::read(path).is_ok_and(|present| present == contents) {
        return Ok(false);
    }
    if let Some(parent) = path.parent() {
        create_directory(parent)?;
    }
    // A link left from another version would otherwise be written through.
    remove_link(path)?;
    fs::write(path, contents)
        .with_context(|| format!("cannot write {}; {REMEDY}", path.display()))?;
    Ok(true)
}

/// Copies a file unless the destination equals it; says whether it copied.
///
/// # Errors
/// Names the file that cannot be read or written.
pub fn copy_if_changed(source: &Path, destination: &Path) -> Result<bool> {
    write_if_changed(destination, read(source)?)
}

/// Removes a file, if it is there.
///
/// # Errors
/// Names the file.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The files below a directory, in the order of their paths.
///
/// # Errors
/// Names the directory that cannot be read.
pub fn below(directory: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the directory {}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        match path.is_dir() {
            true => files.extend(below(&path)?),
            false => files.push(path),
        }
    }
    files.sort();
    Ok(files)
}

/// Makes `link` a symbolic link to `target`.
///
/// # Errors
/// Names the link; also when something other than a link is in its place.
pub fn link(target: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|present| present == target) {
        return Ok(());
    }
    remove_link(link)?;
    symbolic_link(target, link).with_context(|| {
        format!(
            "cannot link {} to {}; {REMEDY}",
            link.display(),
            target.display()
        )
    })
}

/// Removes `path` if it is a symbolic link.
fn remove_link(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => fs::remove_file(path)
            .with_context(|| format!("cannot remove the link {}; {REMEDY}", path.display())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => bail!("cannot look at {}: {error}", path.display()),
    }
}

#[cfg(unix)]
fn symbolic_link(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symbolic_link(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_once_and_leaves_equal_contents_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/down/file");
        assert!(write_if_changed(&path, "one").unwrap());
        let first = fs::metadata(&path).unwrap().modified().unwrap();
        assert!(!write_if_changed(&path, "one").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), first);
        assert!(write_if_changed(&path, "two").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_written_over_a_link_does_not_touch_what_the_link_names() {
        let directory = tempfile::tempdir().unwrap();
        let original = directory.path().join("original");
        fs::write(&original, "kept").unwrap();
        let path = directory.path().join("link");
        link(&original, &path).unwrap();
        write_if_changed(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&original).unwrap(), "kept");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_turned_to_another_target() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("link");
        link(Path::new("/one"), &path).unwrap();
        link(Path::new("/two"), &path).unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("/two"));
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_in_the_place_of_a_link_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("link");
        fs::create_dir(&path).unwrap();
        let error = link(Path::new("/one"), &path).unwrap_err();
        assert!(error.to_string().contains("cannot link"), "{error}");
        assert!(path.is_dir());
    }
}
