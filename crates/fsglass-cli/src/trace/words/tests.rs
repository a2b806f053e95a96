use super::{details, result};
use crate::trace::event::Event;
use crate::trace::tests;
use fsglass_protocol::Operation;

/// An event with these parameters.
fn event(operation: Operation, minor: u8, parameters: [u64; 2]) -> Event {
    let mut event = tests::event(0, 1, operation);
    event.record.minor = minor;
    event.record.parameters = parameters.map(Into::into);
    event
}

/// What is said of it.
fn said(operation: Operation, minor: u8, parameters: [u64; 2]) -> String {
    details(&event(operation, minor, parameters)).join(", ")
}

/// What a create is said to have done.
fn answered(status: u32, information: u64) -> Option<&'static str> {
    let mut event = event(Operation::CREATE, 0, [0x100_0000, 0]);
    event.record.status = status.into();
    event.record.information = information.into();
    result(&event)
}

#[test]
fn a_create_is_told_by_disposition_options_and_rights() {
    assert_eq!(
        said(Operation::CREATE, 0, [0x0500_0060, 0x0013_019F]),
        "disposition OVERWRITE_IF, options SYNCHRONOUS_IO_NONALERT|NON_DIRECTORY_FILE, \
         access FILE_GENERIC_READ|FILE_GENERIC_WRITE|DELETE"
    );
    assert_eq!(
        said(Operation::CREATE, 0, [0x0100_0000, 0x0010_0080]),
        "disposition OPEN, access READ_ATTRIBUTES|SYNCHRONIZE"
    );
    assert_eq!(
        said(Operation::CREATE, 0, [0x0200_0400, 0x001F_01FF]),
        "disposition CREATE, options OPEN_REMOTE_INSTANCE, access FILE_ALL_ACCESS"
    );
    // No disposition, an option and a right that nobody has given a name.
    assert_eq!(
        said(Operation::CREATE, 0, [0x0900_0000 | 1 << 19, 1 | 1 << 10]),
        "disposition 0x9, options 0x80000, access READ_DATA|0x400"
    );
    assert_eq!(
        said(Operation::CREATE, 0, [0, 0]),
        "disposition SUPERSEDE, access 0x0"
    );
}

#[test]
fn what_a_create_did_is_told_by_its_status_too() {
    assert_eq!(answered(0, 0), Some("SUPERSEDED"));
    assert_eq!(answered(0, 2), Some("CREATED"));
    assert_eq!(answered(0xC000_0035, 4), Some("EXISTS"));
    assert_eq!(answered(0xC000_0034, 5), Some("DOES_NOT_EXIST"));
    // A failure that says nothing has not superseded anything, and a success has not found that something is there.
    assert_eq!(answered(0xC000_0022, 0), None);
    assert_eq!(answered(0, 4), None);
    assert_eq!(
        answered(0x104, 0xA000_0003),
        Some("IO_REPARSE_TAG_MOUNT_POINT")
    );
    assert_eq!(answered(0x104, 1), Some("IO_REMOUNT"));
    assert_eq!(answered(0x104, 0x1234), None);
    assert_eq!(answered(0, 0x1_0000_0002), None);
    // The number of bytes that a read transferred is no answer to a create.
    assert_eq!(result(&event(Operation::READ, 0, [0, 2])), None);
}

#[test]
fn classes_are_those_of_what_is_asked() {
    let cases = [
        (
            Operation::QUERY_INFORMATION,
            "class FileStandardInformation, length 24",
        ),
        (
            Operation::PAGING_SET_INFORMATION,
            "class FileStandardInformation, length 24",
        ),
        (
            Operation::QUERY_OPEN,
            "class FileStandardInformation, length 24",
        ),
        (
            Operation::QUERY_VOLUME_INFORMATION,
            "class FileFsAttributeInformation, length 24",
        ),
    ];
    for (operation, expected) in cases {
        assert_eq!(
            said(operation, 0, [5, 24]),
            expected,
            "{}",
            operation.name()
        );
    }
    assert_eq!(
        said(Operation::SET_INFORMATION, 0, [77, 40]),
        "class FileStatBasicInformation, length 40"
    );
    assert_eq!(
        said(Operation::SET_INFORMATION, 0, [990, 8]),
        "class 0x3DE, length 8"
    );
}

#[test]
fn directories_are_queried_or_watched() {
    let queried = said(Operation::DIRECTORY_CONTROL, 1, [37, 4096]);
    assert_eq!(
        queried,
        "QUERY_DIRECTORY, class FileIdBothDirectoryInformation, length 4096"
    );
    let watched = said(Operation::DIRECTORY_CONTROL, 2, [0x11, 4096]);
    assert_eq!(
        watched,
        "NOTIFY_CHANGE_DIRECTORY, changes FILE_NAME|LAST_WRITE, length 4096"
    );
    let watched = said(Operation::DIRECTORY_CONTROL, 3, [0x800, 64]);
    assert_eq!(
        watched,
        "NOTIFY_CHANGE_DIRECTORY_EX, changes STREAM_WRITE, length 64"
    );
}

#[test]
fn controls_have_the_names_of_their_codes() {
    let control = |code| said(Operation::FILE_SYSTEM_CONTROL, 0, [code, 16]);
    assert_eq!(control(0x9_0240), "code FSCTL_REQUEST_OPLOCK, length 16");
    assert_eq!(control(0x9_00A4), "code FSCTL_SET_REPARSE_POINT, length 16");
    assert_eq!(control(0x11_0018), "code FSCTL_PIPE_WAIT, length 16");
    assert_eq!(control(0xDEAD_BEEF), "code 0xDEADBEEF, length 16");
    let device = said(Operation::DEVICE_CONTROL, 0, [0x2D_1400, 8]);
    assert_eq!(device, "code IOCTL_STORAGE_QUERY_PROPERTY, length 8");
    let device = said(Operation::FAST_DEVICE_CONTROL, 0, [0x4D_0008, 8]);
    assert_eq!(device, "code IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, length 8");
    // These have no code.
    assert_eq!(
        said(Operation::FILE_SYSTEM_CONTROL, 1, [0, 0]),
        "MOUNT_VOLUME"
    );
    assert_eq!(
        said(Operation::FILE_SYSTEM_CONTROL, 4, [0x9_0240, 0]),
        "KERNEL_CALL, code FSCTL_REQUEST_OPLOCK, length 0"
    );
}

#[test]
fn minor_functions_are_told_where_they_say_more() {
    assert_eq!(said(Operation::READ, 0, [8, 16]), "offset 8, length 16");
    assert_eq!(
        said(Operation::READ, 6, [8, 16]),
        "MDL|COMPLETE, offset 8, length 16"
    );
    assert_eq!(
        said(Operation::LOCK_CONTROL, 2, [8, 16]),
        "UNLOCK_SINGLE, offset 8, length 16"
    );
    assert_eq!(said(Operation::LOCK_CONTROL, 3, [0, 0]), "UNLOCK_ALL");
    assert_eq!(said(Operation::FLUSH_BUFFERS, 0, [0, 0]), "");
    assert_eq!(said(Operation::FLUSH_BUFFERS, 3, [0, 0]), "FLUSH_NO_SYNC");
    assert_eq!(said(Operation::PNP, 0, [0, 0]), "START_DEVICE");
    assert_eq!(said(Operation::PNP, 0x17, [0, 0]), "SURPRISE_REMOVAL");
    assert_eq!(said(Operation::CLEANUP, 9, [0, 0]), "minor function 9");
}

#[test]
fn sections_are_told_by_type_and_protection() {
    let section = said(Operation::ACQUIRE_FOR_SECTION, 0, [1, 4]);
    assert_eq!(section, "type SyncTypeCreateSection, protection READWRITE");
    let section = said(Operation::ACQUIRE_FOR_SECTION, 0, [0, 0x2000_0002]);
    assert_eq!(
        section,
        "type SyncTypeOther, protection READONLY|0x20000000"
    );
}

/// Two names for one number would hide one of them.
#[test]
fn each_number_has_one_name() {
    let lists = [
        ("controls", &super::codes::CONTROLS[..]),
        ("classes", &super::codes::CLASSES[..]),
        ("classes of volumes", &super::codes::VOLUME_CLASSES[..]),
        ("tags", &super::codes::REPARSE_TAGS[..]),
        ("rights", &super::bits::RIGHTS[..]),
        ("options", &[super::bits::OPTIONS][..]),
    ];
    let minor = Operation::all().map(super::bits::minor_functions);
    let minor: Vec<_> = minor.collect();
    let minor = minor
        .iter()
        .map(|list| ("minor functions", std::slice::from_ref(list)));
    for (what, lists) in lists.into_iter().chain(minor) {
        let mut all: Vec<_> = lists.iter().copied().flatten().collect();
        all.sort_unstable();
        for two in all.windows(2) {
            assert_ne!(two[0].0, two[1].0, "{what}: {} and {}", two[0].1, two[1].1);
        }
    }
}
