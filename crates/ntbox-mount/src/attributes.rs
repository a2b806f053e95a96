//! What the host's kernel is told of a file.

use crate::metadata::{self, PERMISSIONS, Rights, TYPE};
use crate::times;
use crate::volume::Stat;
use fuser::{FileAttr, FileType, INodeNo};
use ntbox_hostfs::volume::attribute;

/// Bytes that blocks are counted in (POSIX `st_blocks`).
const BLOCK: u64 = 512;

/// What a file is: `S_IFREG`, … A reparse point says it, then the kind of file that NT knows.
pub fn kind(tag: u32, attributes: u32) -> u32 {
    metadata::kind_of(tag).unwrap_or({
        if attributes & attribute::DIRECTORY != 0 {
            libc::S_IFDIR
        } else {
            libc::S_IFREG
        }
    })
}

/// The kind as the host's kernel has it.
pub fn file_type(kind: u32) -> FileType {
    match kind {
        libc::S_IFDIR => FileType::Directory,
        libc::S_IFLNK => FileType::Symlink,
        libc::S_IFIFO => FileType::NamedPipe,
        libc::S_IFSOCK => FileType::Socket,
        libc::S_IFCHR => FileType::CharDevice,
        libc::S_IFBLK => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}

/// Who may do what with a file.
pub fn rights(stat: &Stat, owner: (u32, u32)) -> Rights {
    let kind = kind(stat.tag, stat.attributes);
    let usual = metadata::given(owner, kind, stat.attributes);
    // What a file is can change, as when it becomes a link: then the mode is that of another one.
    let mode = stat.mode.filter(|mode| mode & TYPE == kind);
    Rights {
        user: stat.user.unwrap_or(usual.user),
        group: stat.group.unwrap_or(usual.group),
        mode: mode.unwrap_or(usual.mode),
    }
}

/// What is told of a file with that number.
pub fn of(number: u64, stat: &Stat, owner: (u32, u32)) -> FileAttr {
    let rights = rights(stat, owner);
    let kind = rights.mode & TYPE;
    let [accessed, written, changed] = stat.times.map(times::to_host);
    let is_device = matches!(kind, libc::S_IFCHR | libc::S_IFBLK);
    let (major, minor) = stat.device;
    FileAttr {
        ino: INodeNo(number),
        size: stat.size,
        blocks: stat.allocation.div_ceil(BLOCK),
        atime: accessed,
        mtime: written,
        ctime: changed,
        crtime: times::to_host(stat.created),
        kind: file_type(kind),
        perm: (rights.mode & PERMISSIONS) as u16,
        nlink: stat.links,
        uid: rights.user,
        gid: rights.group,
        // 32 bits hold what the kernel takes over FUSE: `new_encode_dev`.
        rdev: if is_device {
            (minor & 0xFF) | (major << 8) | ((minor & !0xFF) << 12)
        } else {
            0
        },
        blksize: 4096,
        flags: 0,
    }
}

/// Major and minor number of a device, as the host's kernel encodes them.
pub fn device(encoded: u32) -> (u32, u32) {
    let major = (encoded & 0xF_FF00) >> 8;
    let minor = (encoded & 0xFF) | ((encoded >> 12) & 0xF_FF00);
    (major, minor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_hostfs::volume::attribute;

    #[test]
    fn a_reparse_point_says_what_a_file_is() {
        assert_eq!(kind(0, attribute::NORMAL), libc::S_IFREG);
        assert_eq!(kind(0, attribute::DIRECTORY), libc::S_IFDIR);
        assert_eq!(kind(metadata::LX_SYMLINK, attribute::NORMAL), libc::S_IFLNK);
        // A tag that says nothing of it.
        assert_eq!(kind(0x8000_0013, attribute::DIRECTORY), libc::S_IFDIR);
    }

    #[test]
    fn a_mode_of_another_kind_of_file_is_not_its() {
        let mut stat = Stat {
            attributes: attribute::NORMAL,
            mode: Some(libc::S_IFREG | 0o4711),
            user: Some(7),
            ..Stat::default()
        };
        let rights = rights(&stat, (1, 2));
        assert_eq!(
            (rights.user, rights.group, rights.mode),
            (7, 2, libc::S_IFREG | 0o4711)
        );
        stat.tag = metadata::LX_SYMLINK;
        assert_eq!(super::rights(&stat, (1, 2)).mode, libc::S_IFLNK | 0o777);
    }

    #[test]
    fn devices_come_back() {
        for device in [(1, 3), (259, 1_000_000), (4095, 255)] {
            let stat = Stat {
                tag: metadata::tag_of(libc::S_IFCHR).unwrap(),
                mode: Some(libc::S_IFCHR | 0o600),
                device,
                ..Stat::default()
            };
            let told = of(5, &stat, (0, 0));
            assert_eq!((told.kind, told.ino), (FileType::CharDevice, INodeNo(5)));
            assert_eq!(super::device(told.rdev), device);
        }
    }
}
