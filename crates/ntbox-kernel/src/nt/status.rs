//! NTSTATUS values with a readable form.

use super::metadata::NTSTATUS;
use std::fmt;

/// An NTSTATUS that prints as its name where the name is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub NTSTATUS);

impl Status {
    /// Severity success or informational (`NT_SUCCESS`).
    pub fn is_success(self) -> bool {
        self.0 >= 0
    }
    /// Severity error (`NT_ERROR`): the top two bits are set.
    pub fn is_error(self) -> bool {
        (self.0 as u32) >> 30 == 3
    }
    /// The status of a published name that the box knows, or of a number: decimal, or hexadecimal behind `0x`.
    pub fn parse(text: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(_, name)| *name == text);
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let number = || match digits {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let value = named.map(|(value, _)| *value);
        value.or_else(|| number().map(u32::cast_signed)).map(Self)
    }
    /// The published name, if the box knows it.
    pub fn name(self) -> Option<&'static str> {
        NAMES
            .iter()
            .find(|(value, _)| *value == self.0)
            .map(|(_, name)| *name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! names {
    ($($name:ident)*) => { &[$((super::metadata::$name, stringify!($name))),*] };
}

/// The statuses that the I/O manager, hostfs and filters exchange.
const NAMES: &[(NTSTATUS, &str)] = names! {
    STATUS_SUCCESS STATUS_PENDING STATUS_TIMEOUT STATUS_REPARSE STATUS_MORE_PROCESSING_REQUIRED
    STATUS_NOTIFY_CLEANUP STATUS_NOTIFY_ENUM_DIR STATUS_BREAKPOINT STATUS_BUFFER_OVERFLOW STATUS_NO_MORE_FILES
    STATUS_UNSUCCESSFUL STATUS_NOT_IMPLEMENTED STATUS_INVALID_INFO_CLASS STATUS_INFO_LENGTH_MISMATCH
    STATUS_REVISION_MISMATCH STATUS_ACCESS_VIOLATION STATUS_INVALID_HANDLE STATUS_INVALID_PARAMETER STATUS_NO_SUCH_DEVICE
    STATUS_NO_SUCH_FILE STATUS_INVALID_DEVICE_REQUEST STATUS_END_OF_FILE STATUS_WRONG_VOLUME
    STATUS_NO_MEDIA_IN_DEVICE STATUS_UNRECOGNIZED_VOLUME STATUS_ACCESS_DENIED STATUS_BUFFER_TOO_SMALL
    STATUS_OBJECT_TYPE_MISMATCH STATUS_OBJECT_NAME_INVALID STATUS_OBJECT_NAME_NOT_FOUND
    STATUS_OBJECT_NAME_COLLISION STATUS_OBJECT_PATH_INVALID STATUS_OBJECT_PATH_NOT_FOUND
    STATUS_SHARING_VIOLATION STATUS_FILE_LOCK_CONFLICT STATUS_LOCK_NOT_GRANTED STATUS_RANGE_NOT_LOCKED
    STATUS_DELETE_PENDING STATUS_INSUFFICIENT_RESOURCES STATUS_DIRECTORY_NOT_EMPTY
    STATUS_FILE_IS_A_DIRECTORY STATUS_NOT_A_DIRECTORY STATUS_NOT_SUPPORTED STATUS_CANCELLED
    STATUS_CANNOT_DELETE STATUS_FILE_DELETED STATUS_FILE_CLOSED STATUS_DISK_FULL
    STATUS_USER_MAPPED_FILE STATUS_MAPPED_FILE_SIZE_ZERO STATUS_INVALID_FILE_FOR_SECTION
    STATUS_CANNOT_GRANT_REQUESTED_OPLOCK
    STATUS_DEVICE_NOT_READY STATUS_IO_DEVICE_ERROR STATUS_VERIFY_REQUIRED STATUS_MEDIA_WRITE_PROTECTED
    STATUS_ENTRYPOINT_NOT_FOUND STATUS_PROCEDURE_NOT_FOUND STATUS_NAME_TOO_LONG
    STATUS_FS_DRIVER_REQUIRED STATUS_NO_MORE_ENTRIES STATUS_OPLOCK_NOT_GRANTED
    STATUS_INVALID_OPLOCK_PROTOCOL STATUS_OPLOCK_BREAK_IN_PROGRESS STATUS_VOLUME_DISMOUNTED
    STATUS_NOT_FOUND STATUS_DEVICE_BUSY STATUS_NOT_LOCKED STATUS_NOT_A_REPARSE_POINT
    STATUS_EAS_NOT_SUPPORTED STATUS_EA_LIST_INCONSISTENT STATUS_EA_TOO_LARGE STATUS_INVALID_EA_NAME
    STATUS_DEVICE_DOES_NOT_EXIST STATUS_INVALID_DEVICE_STATE STATUS_PLUGPLAY_QUERY_VETOED
    STATUS_NONEXISTENT_EA_ENTRY STATUS_NO_EAS_ON_FILE STATUS_NO_MORE_EAS STATUS_INVALID_LOCK_RANGE STATUS_NO_MEMORY
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::{STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW};

    #[test]
    fn a_status_is_named_or_a_number() {
        let denied = Some(Status(STATUS_ACCESS_DENIED));
        for text in ["STATUS_ACCESS_DENIED", "0xC0000022", "3221225506"] {
            assert_eq!(Status::parse(text), denied, "{text}");
        }
        for text in ["STATUS_ACCESS_DENYED", "0x1C0000022", ""] {
            assert_eq!(Status::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_warning_is_neither_success_nor_error() {
        assert!(!Status(STATUS_BUFFER_OVERFLOW).is_success());
        assert!(!Status(STATUS_BUFFER_OVERFLOW).is_error());
        assert!(Status(STATUS_ACCESS_DENIED).is_error());
    }
}
