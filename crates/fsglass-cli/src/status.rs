//! Names of NTSTATUS values that file systems complete requests with.
//!
//! Source: "NTSTATUS Values" of [MS-ERREF]. Where Windows is at hand, its own text explains more.

/// The name of a status without `STATUS_`, or its number.
#[must_use]
pub fn name(status: u32) -> String {
    let known = NAMES.iter().find(|(number, _)| *number == status);
    known.map_or_else(|| format!("0x{status:08X}"), |(_, name)| (*name).to_owned())
}

/// The number of a status: of one of these names, with or without `STATUS_`, or as a hexadecimal number.
#[must_use]
pub fn number(text: &str) -> Option<u32> {
    let upper = text.to_ascii_uppercase();
    if let Some(digits) = upper.strip_prefix("0X") {
        return u32::from_str_radix(digits, 16).ok();
    }
    let name = upper.strip_prefix("STATUS_").unwrap_or(&upper);
    let known = NAMES.iter().find(|(_, known)| *known == name);
    known.map(|(number, _)| *number)
}

const NAMES: [(u32, &str); 70] = [
    (0x0000_0000, "SUCCESS"),
    (0x0000_0102, "TIMEOUT"),
    (0x0000_0103, "PENDING"),
    (0x0000_0104, "REPARSE"),
    (0x0000_0105, "MORE_ENTRIES"),
    (0x0000_0108, "OPLOCK_BREAK_IN_PROGRESS"),
    (0x0000_010B, "NOTIFY_CLEANUP"),
    (0x0000_010C, "NOTIFY_ENUM_DIR"),
    (0x4000_000D, "ALREADY_DISCONNECTED"),
    (0x8000_0005, "BUFFER_OVERFLOW"),
    (0x8000_0006, "NO_MORE_FILES"),
    (0x8000_0011, "DEVICE_BUSY"),
    (0x8000_0012, "NO_MORE_EAS"),
    (0x8000_0014, "EA_LIST_INCONSISTENT"),
    (0x8000_001A, "NO_MORE_ENTRIES"),
    (0x8000_002D, "STOPPED_ON_SYMLINK"),
    (0xC000_0001, "UNSUCCESSFUL"),
    (0xC000_0002, "NOT_IMPLEMENTED"),
    (0xC000_0003, "INVALID_INFO_CLASS"),
    (0xC000_0004, "INFO_LENGTH_MISMATCH"),
    (0xC000_0005, "ACCESS_VIOLATION"),
    (0xC000_0008, "INVALID_HANDLE"),
    (0xC000_000D, "INVALID_PARAMETER"),
    (0xC000_000E, "NO_SUCH_DEVICE"),
    (0xC000_000F, "NO_SUCH_FILE"),
    (0xC000_0010, "INVALID_DEVICE_REQUEST"),
    (0xC000_0011, "END_OF_FILE"),
    (0xC000_0012, "WRONG_VOLUME"),
    (0xC000_0013, "NO_MEDIA_IN_DEVICE"),
    (0xC000_0014, "UNRECOGNIZED_MEDIA"),
    (0xC000_0016, "MORE_PROCESSING_REQUIRED"),
    (0xC000_0022, "ACCESS_DENIED"),
    (0xC000_0023, "BUFFER_TOO_SMALL"),
    (0xC000_0024, "OBJECT_TYPE_MISMATCH"),
    (0xC000_0033, "OBJECT_NAME_INVALID"),
    (0xC000_0034, "OBJECT_NAME_NOT_FOUND"),
    (0xC000_0035, "OBJECT_NAME_COLLISION"),
    (0xC000_0039, "OBJECT_PATH_INVALID"),
    (0xC000_003A, "OBJECT_PATH_NOT_FOUND"),
    (0xC000_0043, "SHARING_VIOLATION"),
    (0xC000_0044, "QUOTA_EXCEEDED"),
    (0xC000_004F, "EAS_NOT_SUPPORTED"),
    (0xC000_0051, "NONEXISTENT_EA_ENTRY"),
    (0xC000_0052, "NO_EAS_ON_FILE"),
    (0xC000_0054, "FILE_LOCK_CONFLICT"),
    (0xC000_0055, "LOCK_NOT_GRANTED"),
    (0xC000_0056, "DELETE_PENDING"),
    (0xC000_007E, "RANGE_NOT_LOCKED"),
    (0xC000_007F, "DISK_FULL"),
    (0xC000_009A, "INSUFFICIENT_RESOURCES"),
    (0xC000_00A2, "MEDIA_WRITE_PROTECTED"),
    (0xC000_00A3, "DEVICE_NOT_READY"),
    (0xC000_00BA, "FILE_IS_A_DIRECTORY"),
    (0xC000_00BB, "NOT_SUPPORTED"),
    (0xC000_00D4, "NOT_SAME_DEVICE"),
    (0xC000_00E2, "OPLOCK_NOT_GRANTED"),
    (0xC000_00E3, "INVALID_OPLOCK_PROTOCOL"),
    (0xC000_0101, "DIRECTORY_NOT_EMPTY"),
    (0xC000_0103, "NOT_A_DIRECTORY"),
    (0xC000_0106, "NAME_TOO_LONG"),
    (0xC000_0120, "CANCELLED"),
    (0xC000_0121, "CANNOT_DELETE"),
    (0xC000_0123, "FILE_DELETED"),
    (0xC000_0128, "FILE_CLOSED"),
    (0xC000_014F, "UNRECOGNIZED_VOLUME"),
    (0xC000_0185, "IO_DEVICE_ERROR"),
    (0xC000_01A1, "INVALID_LOCK_RANGE"),
    (0xC000_0225, "NOT_FOUND"),
    (0xC000_026E, "VOLUME_DISMOUNTED"),
    (0xC000_0275, "NOT_A_REPARSE_POINT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_once() {
        assert!(NAMES.is_sorted_by(|first, second| first.0 < second.0));
        assert_eq!(name(0xC000_0034), "OBJECT_NAME_NOT_FOUND");
        assert_eq!(name(0xC0DE_0001), "0xC0DE0001");
        for (status, known) in NAMES {
            assert_eq!(number(known), Some(status));
        }
        assert_eq!(number("status_end_of_file"), Some(0xC000_0011));
        assert_eq!(number("0xc0de0001"), Some(0xC0DE_0001));
        assert_eq!(
            (number("NOTHING_SUCH"), number("0x"), number("5")),
            (None, None, None)
        );
    }
}
