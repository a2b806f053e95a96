//! Files that are a reparse point: symbolic links, pipes, sockets, devices.
//!
//! A link that is made here is one of the Windows Subsystem for Linux (`IO_REPARSE_TAG_LX_SYMLINK`), whose target is
//! bytes and leads wherever they say. Those that Windows makes are read.

use crate::bytes::Fields;
use crate::errors::Result;
use crate::metadata::LX_SYMLINK;
use crate::names;
use crate::volume::{Called, Handle};
use fuser::Errno;
use ntbox_hostfs::names::BACKSLASH;
use ntbox_kernel::nt::{FSCTL_GET_REPARSE_POINT, FSCTL_SET_REPARSE_POINT, Status, reparse};
use std::os::unix::ffi::OsStrExt;

/// The version that the data of a link begins with.
const VERSION: u32 = 2;

/// Makes an open file a special one.
///
/// # Errors
/// As `FSCTL_SET_REPARSE_POINT`.
pub fn make(handle: &Handle, tag: u32, data: &[u8]) -> Called<()> {
    let mut point = tag.to_le_bytes().to_vec();
    point.extend((data.len() as u16).to_le_bytes());
    point.extend([0; 2]);
    point.extend_from_slice(data);
    handle.control(FSCTL_SET_REPARSE_POINT, &point, 0).map(drop)
}

/// Makes it a link.
///
/// # Errors
/// ENAMETOOLONG, or as [`make`].
pub fn make_link(handle: &Handle, target: &[u8]) -> Result<()> {
    if target.len() > libc::PATH_MAX as usize {
        return Err(Errno::ENAMETOOLONG.into());
    }
    let data = [&VERSION.to_le_bytes()[..], target].concat();
    Ok(make(handle, LX_SYMLINK, &data)?)
}

/// Where an open link leads; a name on the volume itself begins with `mounted`.
///
/// # Errors
/// EINVAL: it is no link.
pub fn target(handle: &Handle, volume: &[u16], mounted: &[u8]) -> Result<Vec<u8>> {
    let point = handle.control(FSCTL_GET_REPARSE_POINT, &[], reparse::MAXIMUM as u32)?;
    Ok(target_of(&point, volume, mounted).ok_or(Errno::EINVAL)?)
}

fn target_of(point: &[u8], volume: &[u16], mounted: &[u8]) -> Option<Vec<u8>> {
    if reparse::tag(point) == LX_SYMLINK {
        let data = point.get(reparse::HEADER..)?;
        let known = Fields(data).int(0) == VERSION;
        return data.get(4..).filter(|_| known).map(<[u8]>::to_vec);
    }
    let (substitute, relative) = reparse::substitute(point)?;
    let mut target = Vec::new();
    let mut rest = substitute.as_slice();
    if !relative && let Some(below) = rest.strip_prefix(volume) {
        target.extend_from_slice(mounted);
        rest = below;
    }
    for (place, name) in rest.split(|unit| *unit == BACKSLASH).enumerate() {
        if place != 0 {
            target.push(b'/');
        }
        // `.` and `..` are no names.
        let text = String::from_utf16_lossy(name);
        match names::to_host(name) {
            Some(name) => target.extend_from_slice(name.as_bytes()),
            None => target.extend_from_slice(text.as_bytes()),
        }
    }
    Some(target)
}

/// Bytes of where a link leads.
///
/// # Errors
/// As [`target`].
pub fn length(handle: &Handle, volume: &[u16], mounted: &[u8]) -> Called<u64> {
    match target(handle, volume, mounted) {
        Ok(target) => Ok(target.len() as u64),
        // What it is was read a moment ago.
        Err(_) => Err(Status(ntbox_kernel::nt::STATUS_NOT_A_REPARSE_POINT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }
    fn of(point: &[u8]) -> Option<Vec<u8>> {
        target_of(point, &units(r"\??\C:"), b"/mnt")
    }

    #[test]
    fn links_of_linux_are_bytes() {
        let mut point = LX_SYMLINK.to_le_bytes().to_vec();
        point.extend([8, 0, 0, 0, 2, 0, 0, 0]);
        point.extend(b"\xFF/..");
        assert_eq!(of(&point).as_deref(), Some(&b"\xFF/.."[..]));
        // Another version has another layout.
        point[8] = 1;
        assert_eq!(of(&point), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn links_of_windows_are_paths() {
        let link = |target: &str, relative| {
            reparse::leading_to(reparse::SYMBOLIC_LINK, &units(target), relative)
        };
        let read = |target, relative| {
            of(&link(target, relative)).map(|target| String::from_utf8(target).unwrap())
        };
        assert_eq!(read(r"..\a\b", true).as_deref(), Some("../a/b"));
        assert_eq!(read(r"\??\C:\a", false).as_deref(), Some("/mnt/a"));
        assert_eq!(read("a\u{F03A}b", true).as_deref(), Some("a:b"));
        let junction = reparse::leading_to(reparse::MOUNT_POINT, &units(r"\??\C:\d"), false);
        assert_eq!(of(&junction).as_deref(), Some(&b"/mnt/d"[..]));
    }
}
