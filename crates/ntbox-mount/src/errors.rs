//! The errors of POSIX for the statuses of NT.
//!
//! The host's kernel knows errors alone, and programs decide by them. Sources: [MS-ERREF] for what a status says,
//! POSIX.1-2017 "Error Numbers" for what an error does. What is not in the table is EIO, which accuses nobody.

use fuser::Errno;
use ntbox_kernel::nt::*;

/// Why an operation has not been done: an error for the program that has asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(pub Errno);

impl From<Errno> for Failed {
    fn from(error: Errno) -> Self {
        Self(error)
    }
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self(of(status))
    }
}

/// What an operation gives.
pub type Result<T> = std::result::Result<T, Failed>;

/// The error for a status that is one.
pub fn of(status: Status) -> Errno {
    let known = TABLE.iter().find(|(known, _)| *known == status.0);
    known.map_or(Errno::EIO, |(_, error)| *error)
}

const TABLE: &[(NTSTATUS, Errno)] = &[
    // Names.
    (STATUS_OBJECT_NAME_NOT_FOUND, Errno::ENOENT),
    (STATUS_OBJECT_PATH_NOT_FOUND, Errno::ENOENT),
    (STATUS_NO_SUCH_FILE, Errno::ENOENT),
    (STATUS_NO_SUCH_DEVICE, Errno::ENODEV),
    (STATUS_DELETE_PENDING, Errno::ENOENT),
    (STATUS_FILE_DELETED, Errno::ENOENT),
    (STATUS_OBJECT_NAME_COLLISION, Errno::EEXIST),
    (STATUS_OBJECT_NAME_INVALID, Errno::EINVAL),
    (STATUS_OBJECT_PATH_INVALID, Errno::EINVAL),
    (STATUS_NAME_TOO_LONG, Errno::ENAMETOOLONG),
    (STATUS_FILE_IS_A_DIRECTORY, Errno::EISDIR),
    (STATUS_NOT_A_DIRECTORY, Errno::ENOTDIR),
    (STATUS_DIRECTORY_NOT_EMPTY, Errno::ENOTEMPTY),
    (STATUS_NOT_SAME_DEVICE, Errno::EXDEV),
    (STATUS_TOO_MANY_LINKS, Errno::EMLINK),
    (STATUS_REPARSE_POINT_NOT_RESOLVED, Errno::ELOOP),
    (STATUS_IO_REPARSE_TAG_NOT_HANDLED, Errno::EOPNOTSUPP),
    (STATUS_NOT_A_REPARSE_POINT, Errno::EINVAL),
    // Rights.
    (STATUS_ACCESS_DENIED, Errno::EACCES),
    (STATUS_PRIVILEGE_NOT_HELD, Errno::EPERM),
    (STATUS_CANNOT_DELETE, Errno::EPERM),
    (STATUS_MEDIA_WRITE_PROTECTED, Errno::EROFS),
    // Others.
    (STATUS_SHARING_VIOLATION, Errno::EBUSY),
    (STATUS_USER_MAPPED_FILE, Errno::ETXTBSY),
    (STATUS_FILE_LOCK_CONFLICT, Errno::EAGAIN),
    (STATUS_LOCK_NOT_GRANTED, Errno::EAGAIN),
    (STATUS_RANGE_NOT_LOCKED, Errno::ENOLCK),
    (STATUS_INVALID_LOCK_RANGE, Errno::EINVAL),
    (STATUS_CANCELLED, Errno::EINTR),
    (STATUS_IO_TIMEOUT, Errno::ETIMEDOUT),
    // Room.
    (STATUS_DISK_FULL, Errno::ENOSPC),
    (STATUS_QUOTA_EXCEEDED, Errno::EDQUOT),
    (STATUS_INSUFFICIENT_RESOURCES, Errno::ENOMEM),
    (STATUS_NO_MEMORY, Errno::ENOMEM),
    (STATUS_TOO_MANY_OPENED_FILES, Errno::ENFILE),
    (STATUS_EA_TOO_LARGE, Errno::ENOSPC),
    // What was asked for.
    (STATUS_INVALID_PARAMETER, Errno::EINVAL),
    (STATUS_INVALID_HANDLE, Errno::EBADF),
    (STATUS_FILE_CLOSED, Errno::EBADF),
    (STATUS_ACCESS_VIOLATION, Errno::EFAULT),
    (STATUS_INVALID_DEVICE_REQUEST, Errno::EOPNOTSUPP),
    (STATUS_NOT_SUPPORTED, Errno::EOPNOTSUPP),
    (STATUS_NOT_IMPLEMENTED, Errno::EOPNOTSUPP),
    (STATUS_INVALID_INFO_CLASS, Errno::EOPNOTSUPP),
    (STATUS_EAS_NOT_SUPPORTED, Errno::EOPNOTSUPP),
    // The volume.
    (STATUS_VOLUME_DISMOUNTED, Errno::EIO),
    (STATUS_IO_DEVICE_ERROR, Errno::EIO),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_status_has_one_error_and_is_one() {
        let mut seen = HashSet::new();
        for (status, _) in TABLE {
            assert!(seen.insert(status), "{} twice", Status(*status));
            assert!(Status(*status).is_error(), "{}", Status(*status));
        }
    }

    /// What programs decide by: whether to try again, to look elsewhere, or to give up.
    #[test]
    fn programs_hear_what_they_look_for() {
        for (status, error) in [
            (STATUS_OBJECT_NAME_NOT_FOUND, Errno::ENOENT),
            (STATUS_OBJECT_NAME_COLLISION, Errno::EEXIST),
            (STATUS_DIRECTORY_NOT_EMPTY, Errno::ENOTEMPTY),
            (STATUS_LOCK_NOT_GRANTED, Errno::EAGAIN),
            (STATUS_DISK_FULL, Errno::ENOSPC),
            (STATUS_NOT_SAME_DEVICE, Errno::EXDEV),
            (STATUS_MEDIA_WRITE_PROTECTED, Errno::EROFS),
        ] {
            assert_eq!(of(Status(status)), error, "{}", Status(status));
        }
    }

    #[test]
    fn what_nobody_knows_is_an_error_of_the_device() {
        assert_eq!(of(Status(0xC0FF_FFFF_u32.cast_signed())), Errno::EIO);
    }
}
