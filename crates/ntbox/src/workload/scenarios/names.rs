//! Names: sharing and deletion, wrong names, patterns, renames, relative opens.

use super::super::layout::{Mask, directory_entries, rename_information};
use super::super::tree;
use super::super::worker::{Worker, synchronous};
use super::{finish, make};
use crate::nt::*;
use crate::user::access::{DELETE, FILE_LIST_DIRECTORY, READ, SYNCHRONIZE};
use crate::user::query_attributes;

/// Share modes, delete pending, access that was not asked for.
pub(super) fn sharing(worker: &mut Worker, root: &str) {
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
pub(super) fn wrong_names(worker: &mut Worker, root: &str) {
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
pub(super) fn patterns(worker: &mut Worker, root: &str, round: u32) {
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
        let entries = tree::list(worker, &base, class, Some(pattern)).unwrap_or_default();
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
pub(super) fn links(worker: &mut Worker, root: &str) {
    let (a, b) = (format!("{root}\\from"), format!("{root}\\onto"));
    let Some(from) = make(worker, &a, synchronous(0), b"from") else {
        return;
    };
    let Some(onto) = make(worker, &b, synchronous(0), b"onto") else {
        return;
    };
    worker.close(&b, onto);
    let kept = worker.retried("rename", &a, Mask::None, || {
        from.set_information(FileRenameInformation, &rename_information("onto", 0))
    });
    worker.expect_status(
        &a,
        "rename onto an existing name",
        &kept,
        STATUS_OBJECT_NAME_COLLISION,
    );
    let replaced = worker.retried("rename", &a, Mask::None, || {
        from.set_information(
            FileRenameInformation,
            &rename_information("onto", FILE_RENAME_REPLACE_IF_EXISTS),
        )
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
