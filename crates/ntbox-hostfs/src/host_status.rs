//! NTSTATUS values for the host's errors.

use ntbox_kernel::nt::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_DIRECTORY_NOT_EMPTY, STATUS_DISK_FULL,
    STATUS_FILE_IS_A_DIRECTORY, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_IO_DEVICE_ERROR, STATUS_MEDIA_WRITE_PROTECTED, STATUS_NOT_A_DIRECTORY,
    STATUS_NOT_SAME_DEVICE, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_INVALID,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SHARING_VIOLATION, STATUS_TOO_MANY_LINKS,
    STATUS_TOO_MANY_OPENED_FILES,
};
use std::io::{Error, ErrorKind};

/// The status for a failed host operation on a file.
pub fn of(error: &Error) -> NTSTATUS {
    match error.kind() {
        ErrorKind::NotFound => STATUS_OBJECT_NAME_NOT_FOUND,
        ErrorKind::PermissionDenied => STATUS_ACCESS_DENIED,
        ErrorKind::AlreadyExists => STATUS_OBJECT_NAME_COLLISION,
        ErrorKind::NotADirectory => STATUS_NOT_A_DIRECTORY,
        ErrorKind::IsADirectory => STATUS_FILE_IS_A_DIRECTORY,
        ErrorKind::DirectoryNotEmpty => STATUS_DIRECTORY_NOT_EMPTY,
        ErrorKind::ReadOnlyFilesystem => STATUS_MEDIA_WRITE_PROTECTED,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            STATUS_DISK_FULL
        }
        ErrorKind::InvalidFilename => STATUS_OBJECT_NAME_INVALID,
        ErrorKind::InvalidInput => STATUS_INVALID_PARAMETER,
        ErrorKind::CrossesDevices => STATUS_NOT_SAME_DEVICE,
        ErrorKind::TooManyLinks => STATUS_TOO_MANY_LINKS,
        ErrorKind::OutOfMemory => STATUS_INSUFFICIENT_RESOURCES,
        ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy => STATUS_SHARING_VIOLATION,
        _ => of_code(error),
    }
}

#[cfg(unix)]
fn of_code(error: &Error) -> NTSTATUS {
    match error.raw_os_error() {
        // A link where none was a moment ago: not followed.
        Some(libc::ELOOP) => STATUS_ACCESS_DENIED,
        Some(libc::ENXIO | libc::ENODEV) => STATUS_ACCESS_DENIED,
        Some(libc::EMFILE | libc::ENFILE) => STATUS_TOO_MANY_OPENED_FILES,
        _ => STATUS_IO_DEVICE_ERROR,
    }
}

#[cfg(windows)]
fn of_code(error: &Error) -> NTSTATUS {
    const ERROR_SHARING_VIOLATION: i32 = 32;
    const ERROR_TOO_MANY_OPEN_FILES: i32 = 4;
    match error.raw_os_error() {
        Some(ERROR_SHARING_VIOLATION) => STATUS_SHARING_VIOLATION,
        Some(ERROR_TOO_MANY_OPEN_FILES) => STATUS_TOO_MANY_OPENED_FILES,
        _ => STATUS_IO_DEVICE_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_errors_have_their_status() {
        assert_eq!(
            of(&ErrorKind::NotFound.into()),
            STATUS_OBJECT_NAME_NOT_FOUND
        );
        assert_eq!(of(&ErrorKind::StorageFull.into()), STATUS_DISK_FULL);
        assert_eq!(of(&ErrorKind::Other.into()), STATUS_IO_DEVICE_ERROR);
        #[cfg(unix)]
        assert_eq!(
            of(&Error::from_raw_os_error(libc::ELOOP)),
            STATUS_ACCESS_DENIED
        );
    }
}
