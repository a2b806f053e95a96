//! What programs do besides copying: locks that wait, watches that stay
//! outstanding, cancellation, every usual information class, volume
//! information, security, controls.

use super::layout::{
    Mask, basic_information, directory_entries, i64_at, rename_information, u32_at,
};
use super::worker::{Worker, synchronous};
use crate::nt::*;
use crate::user::access::{DELETE, FILE_LIST_DIRECTORY, READ, SYNCHRONIZE, WRITE};
use crate::user::locks::Range;
use crate::user::{File, Outcome, Pending, identity, query_attributes};

/// `FSCTL_GET_COMPRESSION`.
const GET_COMPRESSION: u32 = 0x0009_003C;
/// `FSCTL_IS_VOLUME_MOUNTED`.
const IS_VOLUME_MOUNTED: u32 = 0x0009_0028;
/// `FSCTL_IS_PATHNAME_VALID`.
const IS_PATHNAME_VALID: u32 = 0x0009_002C;
/// A file-system control nobody knows (METHOD_BUFFERED).
const UNKNOWN_BUFFERED: u32 = 0x0009_3FFC;
/// The same with METHOD_OUT_DIRECT.
const UNKNOWN_DIRECT: u32 = 0x0009_3FFE;
/// The same with METHOD_NEITHER.
const UNKNOWN_NEITHER: u32 = 0x0009_3FFF;
/// `IOCTL_DISK_GET_DRIVE_GEOMETRY`.
const GET_DRIVE_GEOMETRY: u32 = 0x0007_0000;
/// `IOCTL_STORAGE_GET_DEVICE_NUMBER`.
const GET_DEVICE_NUMBER: u32 = 0x002D_1080;
/// `OWNER_ | GROUP_ | DACL_SECURITY_INFORMATION`.
const OWNER_GROUP_DACL: u32 = 7;
/// All changes of names, attributes, sizes and times.
const NOTIFY_ALL: u32 = 0x17F;

/// How long an outstanding request may take once nothing holds it, in 100 ns units.
const PATIENCE: i64 = 100_000_000;
/// Bytes of a long-lived request's buffer.
const BUFFER: u32 = 1024;

/// All scenarios in `root`, a directory of this thread.
pub fn run(worker: &mut Worker, root: &str, rounds: u32) {
    let made = worker.must_open(root, |open| {
        open.disposition(FILE_OPEN_IF)
            .access(FILE_LIST_DIRECTORY | SYNCHRONIZE)
            .options(synchronous(FILE_DIRECTORY_FILE))
    });
    let Some(directory) = made else { return };
    worker.close(root, directory);
    for round in 0..rounds {
        classes(worker, root);
        locks(worker, root);
        watches(worker, root);
        cancellation(worker, root);
        sharing(worker, root);
        wrong_names(worker, root);
        patterns(worker, root, round);
        links(worker, root);
    }
}

/// A new file with some contents, open for everything.
fn make(worker: &mut Worker, path: &str, options: u32, contents: &[u8]) -> Option<File> {
    let file = worker.must_open(path, |open| {
        open.disposition(FILE_OVERWRITE_IF)
            .access(READ | WRITE | DELETE)
            .options(options)
    })?;
    let outcome = worker.retried("write", path, Mask::None, || file.write(Some(0), contents));
    worker.expect(path, "write", &outcome);
    Some(file)
}

/// Deletes through an open handle and closes it.
fn finish(worker: &mut Worker, path: &str, file: File) {
    let outcome = worker.retried("delete", path, Mask::None, || {
        file.set_information(FileDispositionInformation, &[1])
    });
    worker.expect(path, "delete", &outcome);
    worker.close(path, file);
}

/// Every usual class of file, volume and security information, on a file and a directory.
fn classes(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\classes");
    let options = if worker.one_in(2) { synchronous(0) } else { 0 };
    let Some(file) = make(worker, &path, options, &[7; 5000]) else {
        return;
    };
    const FILE_CLASSES: [i32; 17] = [
        FileBasicInformation,
        FileStandardInformation,
        FileInternalInformation,
        FileEaInformation,
        FileAccessInformation,
        FileNameInformation,
        FilePositionInformation,
        FileModeInformation,
        FileAlignmentInformation,
        FileAllInformation,
        FileStreamInformation,
        FileNetworkOpenInformation,
        FileAttributeTagInformation,
        FileCompressionInformation,
        FileAlternateNameInformation,
        FileNormalizedNameInformation,
        FileMaximumInformation,
    ];
    for class in FILE_CLASSES {
        for length in [512, 8, 0, 100] {
            let mask = if [512, 100].contains(&length) {
                Mask::File(class)
            } else {
                Mask::All
            };
            worker.retried("query information", &path, mask, || {
                file.query_information(class, length)
            });
        }
    }
    set_classes(worker, &path, &file);
    volume_information(worker, &path, &file);
    security(worker, &path, &file);
    controls(worker, &path, &file);
    finish(worker, &path, file);
    let access = FILE_LIST_DIRECTORY | SYNCHRONIZE | 0x2_0080;
    let Some(directory) = worker.must_open(root, |open| {
        open.access(access)
            .options(synchronous(FILE_DIRECTORY_FILE))
    }) else {
        return;
    };
    for class in [
        FileBasicInformation,
        FileNameInformation,
        FileAttributeTagInformation,
    ] {
        worker.retried("query information", root, Mask::File(class), || {
            directory.query_information(class, 512)
        });
    }
    let end = worker.retried("set end", root, Mask::None, || {
        directory.set_information(FileEndOfFileInformation, &[0; 8])
    });
    if end.is_success() {
        worker.complain(root, "a directory's end of file was set");
    }
    worker.close(root, directory);
}

fn set_classes(worker: &mut Worker, path: &str, file: &File) {
    for size in [100_i64, 9000, 0, 4096] {
        let bytes = size.to_le_bytes();
        let outcome = worker.retried("set end", path, Mask::None, || {
            file.set_information(FileEndOfFileInformation, &bytes)
        });
        worker.expect(path, "set end of file", &outcome);
        let standard = worker.retried("query standard", path, Mask::None, || {
            file.query_information(FileStandardInformation, 24)
        });
        if i64_at(&standard.data, 8) != size {
            worker.complain(
                path,
                &format!(
                    "end of file is {} after it was set to {size}",
                    i64_at(&standard.data, 8)
                ),
            );
        }
        let outcome = worker.retried("set allocation", path, Mask::None, || {
            file.set_information(FileAllocationInformation, &bytes)
        });
        worker.expect(path, "set allocation", &outcome);
    }
    for attributes in [0x01, 0x02, 0x80, 0x20] {
        let basic = basic_information(0, 0, 0, 0, attributes);
        let outcome = worker.retried("set basic", path, Mask::None, || {
            file.set_information(FileBasicInformation, &basic)
        });
        worker.expect(path, "set attributes", &outcome);
        worker.retried("query tag", path, Mask::None, || {
            file.query_information(FileAttributeTagInformation, 8)
        });
    }
    let position = 1234_i64.to_le_bytes();
    worker.retried("set position", path, Mask::None, || {
        file.set_information(FilePositionInformation, &position)
    });
    worker.retried("query position", path, Mask::None, || {
        file.query_information(FilePositionInformation, 8)
    });
    worker.retried("read", path, Mask::None, || file.read(Some(100), 100));
    // Wrong lengths and classes are refused before any driver sees them, or by the file system.
    worker.retried("set basic", path, Mask::None, || {
        file.set_information(FileBasicInformation, &[0; 8])
    });
    worker.retried("set unknown", path, Mask::None, || {
        file.set_information(FileMaximumInformation, &[0; 8])
    });
    worker.retried("set stream", path, Mask::None, || {
        file.set_information(FileStreamInformation, &[0; 32])
    });
}

fn volume_information(worker: &mut Worker, path: &str, file: &File) {
    for class in FileFsVolumeInformation..=FileFsSectorSizeInformation {
        worker.retried("query volume", path, Mask::Volume(class), || {
            file.query_volume(class, 256)
        });
        worker.retried("query volume", path, Mask::All, || {
            file.query_volume(class, 16)
        });
    }
    worker.retried("set volume", path, Mask::None, || {
        file.set_volume(FileFsSizeInformation, &[0; 32])
    });
}

fn security(worker: &mut Worker, path: &str, file: &File) {
    let outcome = worker.retried("query security", path, Mask::None, || {
        file.query_security(OWNER_GROUP_DACL, BUFFER)
    });
    if worker.expect(path, "query security", &outcome) && outcome.data.first() != Some(&1) {
        worker.complain(path, "its security descriptor has no revision 1");
    }
    let short = worker.retried("query security", path, Mask::None, || {
        file.query_security(OWNER_GROUP_DACL, 4)
    });
    if short.is_success() {
        worker.complain(path, "a security descriptor fitted into four bytes");
    }
}

fn controls(worker: &mut Worker, path: &str, file: &File) {
    for code in [
        GET_COMPRESSION,
        IS_VOLUME_MOUNTED,
        IS_PATHNAME_VALID,
        UNKNOWN_BUFFERED,
        UNKNOWN_DIRECT,
        UNKNOWN_NEITHER,
    ] {
        worker.retried("fs control", path, Mask::None, || {
            file.fs_control(code, &[1, 2, 3, 4], 64)
        });
        worker.retried("fs control", path, Mask::None, || {
            file.fs_control(code, &[], 0)
        });
    }
    for code in [
        GET_DRIVE_GEOMETRY,
        GET_DEVICE_NUMBER,
        UNKNOWN_BUFFERED,
        UNKNOWN_NEITHER,
    ] {
        worker.retried("device control", path, Mask::All, || {
            file.device_control(code, &[5; 8], 64)
        });
    }
}

/// Byte-range locks between two handles: granted, refused, waited for, cancelled.
fn locks(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\locks");
    let Some(first) = make(worker, &path, synchronous(0), &[1; 4096]) else {
        return;
    };
    let Some(second) = worker.must_open(&path, |open| open.access(READ | WRITE).options(0)) else {
        return;
    };
    let range = |offset, length| Range {
        offset,
        length,
        key: 0,
    };
    let granted = worker.retried("lock", &path, Mask::None, || {
        first.lock(range(0, 100), true, true)
    });
    worker.expect(&path, "lock", &granted);
    let refused = worker.retried("lock", &path, Mask::None, || {
        second.lock(range(50, 10), true, false)
    });
    worker.expect_status(
        &path,
        "lock of a locked range",
        &refused,
        STATUS_LOCK_NOT_GRANTED,
    );
    let blocked = worker.retried("read", &path, Mask::None, || second.read(Some(10), 10));
    worker.expect_status(
        &path,
        "read of a locked range",
        &blocked,
        STATUS_FILE_LOCK_CONFLICT,
    );
    let free = worker.retried("lock", &path, Mask::None, || {
        second.lock(range(200, 10), true, true)
    });
    worker.expect(&path, "lock", &free);
    let unlocked = worker.retried("unlock", &path, Mask::None, || {
        second.unlock(range(200, 10))
    });
    worker.expect(&path, "unlock", &unlocked);
    let unknown = worker.retried("unlock", &path, Mask::None, || {
        second.unlock(range(300, 10))
    });
    worker.expect_status(
        &path,
        "unlock of a free range",
        &unknown,
        STATUS_RANGE_NOT_LOCKED,
    );

    // One waits until the range is free, one is cancelled while it waits.
    let waiting = second.start_lock(range(0, 50), false, true);
    let mut given_up = second.start_lock(range(60, 10), false, true);
    still_outstanding(worker, &path, "a lock of a locked range", &waiting);
    given_up.cancel();
    let cancelled = settled(worker, &path, "a cancelled lock", given_up);
    worker.note("lock", &path, &cancelled, Mask::None);
    worker.expect_status(&path, "a cancelled lock", &cancelled, STATUS_CANCELLED);
    let unlocked = worker.retried("unlock", &path, Mask::None, || first.unlock(range(0, 100)));
    worker.expect(&path, "unlock", &unlocked);
    let outcome = settled(worker, &path, "a lock of a free range", waiting);
    worker.note("lock", &path, &outcome, Mask::None);
    worker.expect(&path, "a lock that waited", &outcome);

    // Closing a handle drops its locks and grants the next one.
    let waiting = first_waits(worker, &path, &first, range(0, 50));
    let _ = waiting;
    worker.close(&path, second);
    let again = worker.retried("lock", &path, Mask::None, || {
        first.lock(range(0, 50), true, true)
    });
    worker.expect(&path, "lock after the other handle was closed", &again);
    finish(worker, &path, first);
}

/// The synchronous handle is refused while the other holds the range.
fn first_waits(worker: &mut Worker, path: &str, first: &File, range: Range) -> bool {
    let refused = worker.retried("lock", path, Mask::None, || first.lock(range, true, true));
    worker.expect_status(
        path,
        "lock of a range held elsewhere",
        &refused,
        STATUS_LOCK_NOT_GRANTED,
    );
    refused.is_success()
}

/// Waits for a request that something should have finished; one that stays outstanding is
/// complained about and cancelled, so that the run goes on.
fn settled(worker: &mut Worker, path: &str, what: &str, mut pending: Pending<'_>) -> Outcome {
    if !pending.finishes_within(PATIENCE) {
        worker.complain(
            path,
            &format!("{what} is still outstanding after 10 seconds"),
        );
        pending.cancel();
    }
    pending.wait()
}

fn still_outstanding(worker: &mut Worker, path: &str, what: &str, pending: &Pending<'_>) {
    if !pending.is_outstanding() {
        worker.complain(path, &format!("{what} is not outstanding"));
    }
}

/// Change notifications: satisfied by a change, cancelled. The first watch of a handle
/// fixes what the handle watches for, so each kind of change has a handle of its own.
fn watches(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\watched");
    let child = format!("{path}\\child");
    let names = 0x3;
    let sizes_and_times = 0x18;
    let changes: [(&str, u32); 3] = [
        ("create", names),
        ("write", sizes_and_times),
        ("delete", names),
    ];
    for (change, filter) in changes {
        let Some(directory) = open_directory(worker, &path, 0) else {
            return;
        };
        let watch = directory.start_notify(filter, worker.random.bool(), BUFFER);
        still_outstanding(worker, &path, "a watch before any change", &watch);
        make_change(worker, &child, change);
        let seen = settled(worker, &path, &format!("the watch of {change}"), watch);
        worker.note("notify", &path, &seen, Mask::None);
        if worker.expect(&path, change, &seen) && seen.information != 0 {
            let length = u32_at(&seen.data, 8) as usize;
            let name: Vec<u8> = "child".encode_utf16().flat_map(u16::to_le_bytes).collect();
            if seen.data.get(12..12 + length) != Some(name.as_slice()) {
                worker.complain(&path, &format!("the watch of {change} names another file"));
            }
        }
        worker.close(&path, directory);
    }
    let Some(directory) = open_directory(worker, &path, 0) else {
        return;
    };
    let mut watch = directory.start_notify(NOTIFY_ALL, true, BUFFER);
    still_outstanding(worker, &path, "a watch before any change", &watch);
    watch.cancel();
    let seen = settled(worker, &path, "a cancelled watch", watch);
    worker.note("notify", &path, &seen, Mask::None);
    worker.expect_status(&path, "a cancelled watch", &seen, STATUS_CANCELLED);
    finish(worker, &path, directory);
}

/// Opens or creates a directory for listing and deleting.
fn open_directory(worker: &mut Worker, path: &str, options: u32) -> Option<File> {
    let access = FILE_LIST_DIRECTORY | DELETE | SYNCHRONIZE;
    worker.must_open(path, |open| {
        open.disposition(FILE_OPEN_IF)
            .access(access)
            .options(FILE_DIRECTORY_FILE | options)
    })
}

/// Creates, changes or deletes the file.
fn make_change(worker: &mut Worker, path: &str, change: &str) {
    match change {
        "create" => {
            if let Some(file) = make(worker, path, synchronous(0), b"new") {
                worker.close(path, file);
            }
        }
        "write" => {
            if let Some(file) = worker.must_open(path, |open| open.access(READ | WRITE)) {
                worker.retried("write", path, Mask::None, || {
                    file.write(Some(0), &[3; 6000])
                });
                worker.retried("set end", path, Mask::None, || {
                    file.set_information(FileEndOfFileInformation, &9_i64.to_le_bytes())
                });
                worker.close(path, file);
            }
        }
        _ => {
            if let Some(file) = worker.must_open(path, |open| open.access(DELETE | SYNCHRONIZE)) {
                finish(worker, path, file);
            }
        }
    }
}

/// Requests that the file system holds until they are cancelled, one by one and all at once.
fn cancellation(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\cancelled");
    let Some(file) = make(worker, &path, 0, &[9; 8192]) else {
        return;
    };
    for kind in 0..3 {
        identity::hold_next_until_cancelled();
        let mut held = match kind {
            0 => file.start_read(Some(0), 4096),
            1 => file.start_write(Some(0), &[8; 4096]),
            _ => file.start_fs_control(GET_COMPRESSION, &[], 2),
        };
        still_outstanding(worker, &path, "a held request", &held);
        // Other requests go on meanwhile.
        worker.retried("query standard", &path, Mask::None, || {
            file.query_information(FileStandardInformation, 24)
        });
        held.cancel();
        let outcome = settled(worker, &path, "a cancelled request", held);
        worker.note("cancelled", &path, &outcome, Mask::None);
        worker.expect_status(&path, "a cancelled request", &outcome, STATUS_CANCELLED);
    }
    identity::hold_next_until_cancelled();
    let first = file.start_read(Some(0), 100);
    identity::hold_next_until_cancelled();
    let second = file.start_read(Some(100), 100);
    let all = file.cancel_io();
    worker.note("cancel io", &path, &all, Mask::None);
    for held in [first, second] {
        let outcome = settled(worker, &path, "a cancelled request", held);
        worker.note("cancelled", &path, &outcome, Mask::None);
        worker.expect_status(&path, "a cancelled request", &outcome, STATUS_CANCELLED);
    }
    let outcome = worker.retried("read", &path, Mask::None, || file.read(Some(0), 64));
    if worker.expect(&path, "read after cancelled writes", &outcome) && outcome.data != [9; 64] {
        worker.complain(&path, "a cancelled write changed the file");
    }
    finish(worker, &path, file);
}

/// Share modes, delete pending, access that was not asked for.
fn sharing(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\shared");
    let Some(file) = make(worker, &path, synchronous(0), b"contents") else {
        return;
    };
    // The first open shares everything; one that shares nothing collides with its write access.
    let refused = worker.open(&path, |open| open.access(READ).share(0));
    if let Some(refused) = refused {
        worker.complain(
            &path,
            "an open that shares nothing was granted beside a writer",
        );
        worker.close(&path, refused);
    }
    let Some(reader) = worker.must_open(&path, |open| open.access(READ)) else {
        return;
    };
    let outcome = worker.retried("write", &path, Mask::None, || reader.write(Some(0), b"x"));
    worker.expect_status(
        &path,
        "a write through a handle for reading",
        &outcome,
        STATUS_ACCESS_DENIED,
    );
    let outcome = worker.retried("delete", &path, Mask::None, || {
        file.set_information(FileDispositionInformation, &[1])
    });
    worker.expect(&path, "delete", &outcome);
    if let Some(reopened) = worker.open(&path, |open| open.access(READ)) {
        worker.complain(&path, "a file that is about to be deleted was opened");
        worker.close(&path, reopened);
    }
    let outcome = worker.retried("read", &path, Mask::None, || reader.read(Some(0), 8));
    worker.expect(
        &path,
        "read of a file that is about to be deleted",
        &outcome,
    );
    worker.close(&path, file);
    worker.close(&path, reader);
}

/// Names that do not exist, do not parse, or name the wrong kind of file.
fn wrong_names(worker: &mut Worker, root: &str) {
    for name in [
        "missing",
        "missing\\below",
        "bad*name",
        "..\\..\\..\\etc\\passwd",
        "a\\\\b",
        "",
    ] {
        let path = format!("{root}\\{name}");
        for options in [0, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE] {
            let opened = worker.open(&path, |open| {
                open.access(READ).options(synchronous(options))
            });
            if let Some(opened) = opened {
                if !name.is_empty() {
                    worker.complain(&path, "a name that should not exist was opened");
                }
                worker.close(&path, opened);
            }
        }
        let full = worker.full(&path);
        worker.retried(
            "query attributes",
            &path,
            Mask::File(FileNetworkOpenInformation),
            || query_attributes(&full),
        );
    }
    let directory = worker.open(root, |open| {
        open.access(READ)
            .options(synchronous(FILE_NON_DIRECTORY_FILE))
    });
    if let Some(directory) = directory {
        worker.complain(root, "a directory was opened as a file");
        worker.close(root, directory);
    }
}

/// Directory queries with patterns, single entries, restarts and buffers that are too small.
fn patterns(worker: &mut Worker, root: &str, round: u32) {
    let base = format!("{root}\\patterns{round}");
    let made = worker.must_open(&base, |open| {
        open.disposition(FILE_CREATE)
            .access(FILE_LIST_DIRECTORY | DELETE | SYNCHRONIZE)
            .options(synchronous(FILE_DIRECTORY_FILE))
    });
    let Some(directory) = made else { return };
    let names = ["alpha.txt", "beta.txt", "gamma.bin", "Delta.TXT", "e"];
    for name in names {
        let path = format!("{base}\\{name}");
        if let Some(file) = make(worker, &path, synchronous(0), name.as_bytes()) {
            worker.close(&path, file);
        }
    }
    let class = FileBothDirectoryInformation;
    let mask = Mask::Directory(class);
    for (pattern, expected) in [
        ("*.txt", 3),
        ("?eta.txt", 1),
        ("*", 7),
        ("none*", 0),
        ("E", 1),
    ] {
        // The first query of a handle fixes its pattern, so each pattern has its own handle.
        let entries = super::tree::list(worker, &base, class, Some(pattern)).unwrap_or_default();
        if entries.len() != expected {
            worker.complain(
                &base,
                &format!(
                    "{pattern} matches {} entries instead of {expected}",
                    entries.len()
                ),
            );
        }
    }
    let one = worker.retried("query directory", &base, mask, || {
        directory.query_directory(class, 512, None, false, true)
    });
    if worker.expect(&base, "query of one entry", &one)
        && directory_entries(class, &one.data).len() != 1
    {
        worker.complain(&base, "a query of a single entry returned another number");
    }
    worker.retried("query directory", &base, mask, || {
        directory.query_directory(class, 100, None, false, false)
    });
    let again = worker.retried("query directory", &base, mask, || {
        directory.query_directory(class, 4096, None, true, false)
    });
    if directory_entries(class, &again.data).len() != names.len() + 2 {
        worker.complain(&base, "a restarted query does not return all entries");
    }
    worker.retried("query directory", &base, Mask::All, || {
        directory.query_directory(class, 8, None, true, false)
    });
    worker.retried("query directory", &base, Mask::All, || {
        directory.query_directory(0x7F, 512, None, true, false)
    });
    let full = worker.retried("delete", &base, Mask::None, || {
        directory.set_information(FileDispositionInformation, &[1])
    });
    worker.expect_status(
        &base,
        "delete of a directory with files",
        &full,
        STATUS_DIRECTORY_NOT_EMPTY,
    );
    for name in names {
        let path = format!("{base}\\{name}");
        if let Some(file) = worker.must_open(&path, |open| open.access(DELETE | SYNCHRONIZE)) {
            finish(worker, &path, file);
        }
    }
    finish(worker, &base, directory);
}

/// Renames onto existing names, with and without replacing, and relative opens.
fn links(worker: &mut Worker, root: &str) {
    let (a, b) = (format!("{root}\\from"), format!("{root}\\onto"));
    let Some(from) = make(worker, &a, synchronous(0), b"from") else {
        return;
    };
    let Some(onto) = make(worker, &b, synchronous(0), b"onto") else {
        return;
    };
    worker.close(&b, onto);
    let kept = worker.retried("rename", &a, Mask::None, || {
        from.set_information(FileRenameInformation, &rename_information("onto", false))
    });
    worker.expect_status(
        &a,
        "rename onto an existing name",
        &kept,
        STATUS_OBJECT_NAME_COLLISION,
    );
    let replaced = worker.retried("rename", &a, Mask::None, || {
        from.set_information(FileRenameInformation, &rename_information("onto", true))
    });
    worker.expect(&a, "rename that replaces", &replaced);
    worker.retried("query name", &b, Mask::None, || {
        from.query_information(FileNameInformation, 512)
    });
    worker.close(&a, from);
    let access = FILE_LIST_DIRECTORY | SYNCHRONIZE;
    let opened = worker.must_open(root, |open| {
        open.access(access)
            .options(synchronous(FILE_DIRECTORY_FILE))
    });
    let Some(directory) = opened else { return };
    let parameters = crate::user::CreateParameters::new("onto")
        .access(READ | DELETE)
        .relative_to(&directory);
    let opened = crate::user::create_file(&parameters);
    worker.note("create relative", &b, &opened.outcome, Mask::None);
    worker.expect(&b, "relative open", &opened.outcome);
    if let Some(file) = opened.file {
        let outcome = worker.retried("read", &b, Mask::None, || file.read(Some(0), 16));
        if outcome.data != b"from" {
            worker.complain(&b, "the renamed file does not have its contents");
        }
        finish(worker, &b, file);
    }
    worker.close(root, directory);
}
