//! Requests that stay outstanding: locks that wait, watches, and cancellation.

use super::super::layout::{Mask, changed_name};
use super::super::program::oplock;
use super::super::worker::{Worker, synchronous};
use super::{BUFFER, finish, make, open_directory, settled, still_outstanding};
use crate::io_manager::identity;
use crate::nt::*;
use crate::user::File;
use crate::user::access::{DELETE, READ, SYNCHRONIZE, WRITE};
use crate::user::locks::Range;

/// `FSCTL_GET_COMPRESSION`.
const GET_COMPRESSION: u32 = 0x0009_003C;

/// All changes of names, attributes, sizes and times.
const NOTIFY_ALL: u32 = 0x17F;

/// Byte-range locks between two handles: granted, refused, waited for, cancelled.
pub(super) fn locks(worker: &mut Worker, root: &str) {
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

/// Change notifications: satisfied by a change, cancelled. The first watch of a handle
/// fixes what the handle watches for, so each kind of change has a handle of its own.
pub(in super::super) fn watches(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\watched");
    let child = format!("{path}\\child");
    let names = 0x3;
    let sizes_and_times = 0x18;
    let changes: [(&str, u32, i32); 3] = [
        ("create", names, DirectoryNotifyExtendedInformation),
        ("write", sizes_and_times, DirectoryNotifyInformation),
        ("delete", names, DirectoryNotifyFullInformation),
    ];
    for (change, filter, class) in changes {
        let Some(directory) = open_directory(worker, &path, 0) else {
            return;
        };
        let watch = directory.start_notify_by(class, filter, worker.random.bool(), BUFFER);
        still_outstanding(worker, &path, "a watch before any change", &watch);
        make_change(worker, &child, change);
        let seen = settled(worker, &path, &format!("the watch of {change}"), watch);
        worker.note("notify", &path, &seen, Mask::Changes(class));
        if worker.expect(&path, change, &seen) && seen.information != 0 {
            let name: Vec<u8> = "child".encode_utf16().flat_map(u16::to_le_bytes).collect();
            if changed_name(class, &seen.data) != Some(name.as_slice()) {
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

/// An oplock that is given up, or broken by an open that does not wait.
pub(in super::super) fn oplock(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\shared");
    let Some(file) = make(worker, &path, 0, &[5; 64]) else {
        return;
    };
    let mut request = oplock::control(&file, FSCTL_REQUEST_OPLOCK_LEVEL_1, &[], 0);
    // Not every file system grants it.
    let broken = request.is_outstanding() && worker.random.bool();
    if broken {
        let other = worker.open(&path, |open| {
            open.access(READ | SYNCHRONIZE)
                .options(synchronous(FILE_COMPLETE_IF_OPLOCKED))
        });
        if let Some(other) = other {
            worker.close(&path, other);
        }
    }
    // Which comes too late if it is broken.
    request.cancel();
    let seen = settled(worker, &path, "an oplock", request);
    worker.note("oplock", &path, &seen, Mask::None);
    if broken {
        worker.retried("acknowledge", &path, Mask::None, || {
            file.fs_control(FSCTL_OPLOCK_BREAK_ACK_NO_2, &[], 0)
        });
    }
    finish(worker, &path, file);
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
pub(super) fn cancellation(worker: &mut Worker, root: &str) {
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
