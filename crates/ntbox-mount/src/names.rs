//! Names of the host's kernel and those of the volume.
//!
//! What NT forbids, and bytes that are no text, are the characters in the volume's names that hostfs shows for them
//! in names of the host ([`ntbox_hostfs::names`]): every name that POSIX has comes back as itself.

use crate::errors::Result;
use fuser::Errno;
use ntbox_hostfs::names;
use std::ffi::{OsStr, OsString};

/// Bytes of a name, at most (`NAME_MAX`).
pub const LONGEST: usize = 255;
/// Units of a path, at most: a `UNICODE_STRING` counts its bytes in 16 bits.
const LONGEST_PATH: usize = 32_767;

/// The volume's name for one of the host's kernel.
///
/// # Errors
/// ENAMETOOLONG.
pub fn to_nt(name: &OsStr) -> Result<Vec<u16>> {
    if name.len() > LONGEST {
        return Err(Errno::ENAMETOOLONG.into());
    }
    Ok(names::to_nt(name).ok_or(Errno::ENAMETOOLONG)?)
}

/// The host's name for one of the volume; `None` for those that no program can open.
pub fn to_host(name: &[u16]) -> Option<OsString> {
    names::to_host(name).ok()
}

/// The full name of a file by that of its directory.
///
/// # Errors
/// ENAMETOOLONG.
pub fn below(directory: &[u16], name: &[u16]) -> Result<Vec<u16>> {
    let mut path = directory.to_vec();
    if path.last() != Some(&names::BACKSLASH) {
        path.push(names::BACKSLASH);
    }
    path.extend_from_slice(name);
    match path.len() <= LONGEST_PATH {
        true => Ok(path),
        false => Err(Errno::ENAMETOOLONG.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    /// Each byte but the two that POSIX forbids, alone, at both ends, and behind each other one.
    #[test]
    fn every_byte_of_a_name_comes_back() {
        let bytes = || (1..=255).filter(|byte| *byte != b'/');
        for first in bytes() {
            for second in bytes() {
                let name = [first, second, b'x', first];
                let name = OsStr::from_bytes(&name);
                let there = to_nt(name).unwrap();
                assert_eq!(to_host(&there).as_deref(), Some(name), "{name:?}");
            }
        }
    }

    #[test]
    fn a_name_has_255_bytes_whatever_they_are() {
        for byte in [b'a', b':', 0xFF, 0xED] {
            let longest = vec![byte; LONGEST];
            let there = to_nt(OsStr::from_bytes(&longest)).unwrap();
            assert_eq!(to_host(&there).unwrap().as_bytes(), longest);
            let more = vec![byte; LONGEST + 1];
            let refused = to_nt(OsStr::from_bytes(&more));
            assert_eq!(refused, Err(Errno::ENAMETOOLONG.into()));
        }
        // The characters that stand for others are names as well.
        let stands_in = "\u{F03A}".repeat(85);
        let there = to_nt(OsStr::new(&stands_in)).unwrap();
        assert_eq!(to_host(&there).unwrap(), *stands_in);
    }

    #[test]
    fn a_path_has_a_bound() {
        let root: Vec<u16> = r"\??\C:\".encode_utf16().collect();
        let name: Vec<u16> = "a".encode_utf16().collect();
        let path = below(&root, &name).unwrap();
        assert_eq!(String::from_utf16_lossy(&path), r"\??\C:\a");
        let path = below(&path, &name).unwrap();
        assert_eq!(String::from_utf16_lossy(&path), r"\??\C:\a\a");
        let long = vec![u16::from(b'a'); LONGEST_PATH - 1];
        assert_eq!(below(&long, &name), Err(Errno::ENAMETOOLONG.into()));
    }
}
