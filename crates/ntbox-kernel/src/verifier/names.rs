//! Published names of numbers.

use crate::nt;

/// `IRP_MJ_…` of a major function.
pub fn major_name(major: u8) -> &'static str {
    const NAMES: [&str; nt::MAJOR_FUNCTION_COUNT] = [
        "IRP_MJ_CREATE",
        "IRP_MJ_CREATE_NAMED_PIPE",
        "IRP_MJ_CLOSE",
        "IRP_MJ_READ",
        "IRP_MJ_WRITE",
        "IRP_MJ_QUERY_INFORMATION",
        "IRP_MJ_SET_INFORMATION",
        "IRP_MJ_QUERY_EA",
        "IRP_MJ_SET_EA",
        "IRP_MJ_FLUSH_BUFFERS",
        "IRP_MJ_QUERY_VOLUME_INFORMATION",
        "IRP_MJ_SET_VOLUME_INFORMATION",
        "IRP_MJ_DIRECTORY_CONTROL",
        "IRP_MJ_FILE_SYSTEM_CONTROL",
        "IRP_MJ_DEVICE_CONTROL",
        "IRP_MJ_INTERNAL_DEVICE_CONTROL",
        "IRP_MJ_SHUTDOWN",
        "IRP_MJ_LOCK_CONTROL",
        "IRP_MJ_CLEANUP",
        "IRP_MJ_CREATE_MAILSLOT",
        "IRP_MJ_QUERY_SECURITY",
        "IRP_MJ_SET_SECURITY",
        "IRP_MJ_POWER",
        "IRP_MJ_SYSTEM_CONTROL",
        "IRP_MJ_DEVICE_CHANGE",
        "IRP_MJ_QUERY_QUOTA",
        "IRP_MJ_SET_QUOTA",
        "IRP_MJ_PNP",
    ];
    NAMES
        .get(usize::from(major))
        .copied()
        .unwrap_or("unknown major function")
}

/// `IRP_MN_…` of a minor function, where it has a name and is not zero's usual
/// "normal".
pub fn minor_name(major: u8, minor: u8) -> Option<&'static str> {
    let names: &[(u8, &str)] = match u32::from(major) {
        // IRP_MJ_DIRECTORY_CONTROL
        0x0C => &[
            (1, "IRP_MN_QUERY_DIRECTORY"),
            (2, "IRP_MN_NOTIFY_CHANGE_DIRECTORY"),
            (3, "IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX"),
        ],
        // IRP_MJ_FILE_SYSTEM_CONTROL
        0x0D => &[
            (0, "IRP_MN_USER_FS_REQUEST"),
            (1, "IRP_MN_MOUNT_VOLUME"),
            (2, "IRP_MN_VERIFY_VOLUME"),
            (3, "IRP_MN_LOAD_FILE_SYSTEM"),
            (4, "IRP_MN_KERNEL_CALL"),
        ],
        // IRP_MJ_LOCK_CONTROL
        0x11 => &[
            (1, "IRP_MN_LOCK"),
            (2, "IRP_MN_UNLOCK_SINGLE"),
            (3, "IRP_MN_UNLOCK_ALL"),
            (4, "IRP_MN_UNLOCK_ALL_BY_KEY"),
        ],
        // IRP_MJ_PNP
        0x1B => &[
            (0x00, "IRP_MN_START_DEVICE"),
            (0x01, "IRP_MN_QUERY_REMOVE_DEVICE"),
            (0x02, "IRP_MN_REMOVE_DEVICE"),
            (0x03, "IRP_MN_CANCEL_REMOVE_DEVICE"),
            (0x04, "IRP_MN_STOP_DEVICE"),
            (0x05, "IRP_MN_QUERY_STOP_DEVICE"),
            (0x06, "IRP_MN_CANCEL_STOP_DEVICE"),
            (0x07, "IRP_MN_QUERY_DEVICE_RELATIONS"),
            (0x08, "IRP_MN_QUERY_INTERFACE"),
            (0x09, "IRP_MN_QUERY_CAPABILITIES"),
            (0x14, "IRP_MN_QUERY_PNP_DEVICE_STATE"),
            (0x16, "IRP_MN_DEVICE_USAGE_NOTIFICATION"),
            (0x17, "IRP_MN_SURPRISE_REMOVAL"),
        ],
        _ => &[],
    };
    names
        .iter()
        .find(|(number, _)| *number == minor)
        .map(|(_, name)| *name)
}

/// Name of a bug check that drivers raise, or that a report mentions.
pub fn bug_check_name(code: u32) -> Option<&'static str> {
    Some(match code {
        0x0A => "IRQL_NOT_LESS_OR_EQUAL",
        0x1E => "KMODE_EXCEPTION_NOT_HANDLED",
        0x22 => "FILE_SYSTEM",
        0x23 => "FAT_FILE_SYSTEM",
        0x24 => "NTFS_FILE_SYSTEM",
        0x35 => "NO_MORE_IRP_STACK_LOCATIONS",
        0x44 => "MULTIPLE_IRP_COMPLETE_REQUESTS",
        0x50 => "PAGE_FAULT_IN_NONPAGED_AREA",
        0xC2 => "BAD_POOL_CALLER",
        0xC4 => "DRIVER_VERIFIER_DETECTED_VIOLATION",
        0xC9 => "DRIVER_VERIFIER_IOMANAGER_VIOLATION",
        0xD1 => "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
        0xE2 => "MANUALLY_INITIATED_CRASH",
        0xE8 => "INVALID_CANCEL_OF_FILE_OPEN",
        0x139 => "KERNEL_SECURITY_CHECK_FAILURE",
        // "RPNC" in memory: how wdk-panic style handlers mark a Rust panic.
        0x5250_4E43 => "(a Rust panic)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_at_their_numbers() {
        assert_eq!(major_name(nt::IRP_MJ_CREATE as u8), "IRP_MJ_CREATE");
        assert_eq!(
            major_name(nt::IRP_MJ_LOCK_CONTROL as u8),
            "IRP_MJ_LOCK_CONTROL"
        );
        assert_eq!(major_name(nt::IRP_MJ_PNP as u8), "IRP_MJ_PNP");
        assert_eq!(major_name(28), "unknown major function");
        assert_eq!(
            minor_name(nt::IRP_MJ_DIRECTORY_CONTROL as u8, 2),
            Some("IRP_MN_NOTIFY_CHANGE_DIRECTORY")
        );
        assert_eq!(
            minor_name(nt::IRP_MJ_FILE_SYSTEM_CONTROL as u8, 1),
            Some("IRP_MN_MOUNT_VOLUME")
        );
        assert_eq!(minor_name(nt::IRP_MJ_READ as u8, 0), None);
        assert_eq!(
            bug_check_name(0xC9),
            Some("DRIVER_VERIFIER_IOMANAGER_VIOLATION")
        );
    }
}
