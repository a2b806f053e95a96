//! What POSIX keeps of a file and NT does not: owner, group, mode and device, as extended attributes.
//!
//! Their names and layout are those of the Windows Subsystem for Linux ("File Permissions for WSL", DDI of
//! `FILE_STAT_LX_INFORMATION`). A file that has none belongs to who has mounted the volume, and everybody may read it:
//! what a program makes with the usual mask needs no attribute. The host's kernel checks rights by them.

use ntbox_hostfs::volume::attribute;
use ntbox_kernel::nt::reparse;

/// Bits of a mode that say what a file is.
pub const TYPE: u32 = libc::S_IFMT;
/// The other ones.
pub const PERMISSIONS: u32 = 0o7777;

/// A change of a file's attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Owner.
    pub user: Option<u32>,
    /// Group.
    pub group: Option<u32>,
    /// Type and permissions.
    pub mode: Option<u32>,
    /// Major and minor number.
    pub device: Option<(u32, u32)>,
}

impl Change {
    /// As a list of `FILE_FULL_EA_INFORMATION`; empty if nothing changes.
    pub fn list(&self) -> Vec<u8> {
        let value = |value: Option<u32>| value.map(|value| value.to_le_bytes().to_vec());
        let device = self.device.map(|(major, minor)| {
            let (major, minor) = (major.to_le_bytes(), minor.to_le_bytes());
            [major, minor].concat()
        });
        let entries: Vec<_> = [
            (b"$LXUID", value(self.user)),
            (b"$LXGID", value(self.group)),
            (b"$LXMOD", value(self.mode)),
            (b"$LXDEV", device),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let mut list = Vec::new();
        for (place, (name, value)) in entries.iter().enumerate() {
            let mut entry = vec![0, 0, 0, 0, 0, name.len() as u8, value.len() as u8, 0];
            entry.extend_from_slice(*name);
            entry.push(0);
            entry.extend_from_slice(value);
            if place + 1 < entries.len() {
                entry.resize(entry.len().next_multiple_of(4), 0);
                let next = (entry.len() as u32).to_le_bytes();
                entry.splice(..4, next);
            }
            list.extend(entry);
        }
        list
    }
}

/// Who may do what with a file, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Owner.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Type and permissions.
    pub mode: u32,
}

/// The rights to a file that nobody has given any.
pub fn given(owner: (u32, u32), kind: u32, attributes: u32) -> Rights {
    let (user, group) = owner;
    let permissions = match kind {
        libc::S_IFLNK => 0o777,
        libc::S_IFDIR => 0o755,
        _ => 0o644,
    };
    // A read-only directory may be changed in on Windows, too.
    let read_only = attributes & attribute::READONLY != 0 && kind != libc::S_IFDIR;
    let denied = if read_only { 0o222 } else { 0 };
    Rights {
        user,
        group,
        mode: kind | permissions & !denied,
    }
}

/// What is to be kept of a new file, as far as nobody would think so anyway.
pub fn of_new(wanted: Rights, owner: (u32, u32)) -> Change {
    let usual = given(owner, wanted.mode & TYPE, 0);
    let unless = |value: u32, usual: u32| (value != usual).then_some(value);
    Change {
        user: unless(wanted.user, usual.user),
        group: unless(wanted.group, usual.group),
        mode: unless(wanted.mode, usual.mode),
        device: None,
    }
}

/// `IO_REPARSE_TAG_LX_SYMLINK`: its data is a version and the target's bytes.
pub const LX_SYMLINK: u32 = 0xA000_001D;
/// `IO_REPARSE_TAG_AF_UNIX`, `IO_REPARSE_TAG_LX_FIFO`, `IO_REPARSE_TAG_LX_CHR`, `IO_REPARSE_TAG_LX_BLK`: no data.
const SPECIAL: [(u32, u32); 4] = [
    (0x8000_0023, libc::S_IFSOCK),
    (0x8000_0024, libc::S_IFIFO),
    (0x8000_0025, libc::S_IFCHR),
    (0x8000_0026, libc::S_IFBLK),
];

/// The tag of a special file.
pub fn tag_of(kind: u32) -> Option<u32> {
    let mut special = SPECIAL.iter();
    let found = special.find(|(_, of)| *of == kind & TYPE);
    found.map(|(tag, _)| *tag)
}

/// What a file with that reparse point is, if it says so.
pub fn kind_of(tag: u32) -> Option<u32> {
    if [LX_SYMLINK, reparse::SYMBOLIC_LINK, reparse::MOUNT_POINT].contains(&tag) {
        return Some(libc::S_IFLNK);
    }
    let found = SPECIAL.iter().find(|(of, _)| *of == tag);
    found.map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_kernel::nt::extended_attributes::{FULL, check};

    #[test]
    fn a_list_is_well_formed_and_holds_what_changes() {
        let change = Change {
            user: Some(1000),
            group: Some(0),
            mode: Some(0o100_640),
            device: Some((1, 3)),
        };
        let list = change.list();
        assert_eq!(check(&list, &FULL), Ok(()));
        assert_eq!(list.get(8..14), Some(&b"$LXUID"[..]));
        assert_eq!(list.get(15..19), Some(&1000_u32.to_le_bytes()[..]));
        let one = Change {
            mode: Some(7),
            ..Change::default()
        };
        assert_eq!(one.list().len(), 8 + 6 + 1 + 4);
        assert_eq!(Change::default().list(), [0; 0]);
    }

    #[test]
    fn what_is_usual_needs_no_attribute() {
        let rights = |user, mode| Rights {
            user,
            group: 0,
            mode,
        };
        let owner = (0, 0);
        for usual in [0o100_644, 0o040_755, 0o120_777] {
            assert_eq!(of_new(rights(0, usual), owner), Change::default());
        }
        let kept = of_new(rights(5, 0o100_600), owner);
        assert_eq!((kept.user, kept.group), (Some(5), None));
        assert_eq!(kept.mode, Some(0o100_600));
        let read_only = given(owner, libc::S_IFREG, attribute::READONLY);
        assert_eq!(read_only.mode, 0o100_444);
    }

    #[test]
    fn special_files_have_tags_of_their_own() {
        for (tag, kind) in SPECIAL {
            assert_eq!(
                (tag_of(kind | 0o600), kind_of(tag)),
                (Some(tag), Some(kind))
            );
            assert!(reparse::is_tag(tag));
        }
        assert_eq!(tag_of(libc::S_IFREG), None);
        assert_eq!(kind_of(LX_SYMLINK), Some(libc::S_IFLNK));
        assert_eq!(kind_of(0), None);
    }
}
