//! Requests of the random workload that belong together.

use super::layout::{Mask, i64_at};
use super::worker::{Worker, synchronous};
use crate::nt::*;
use crate::user::access::{
    DELETE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES, READ, SYNCHRONIZE,
    WRITE,
};
use crate::user::{File, query_attributes};

/// Makes a symbolic link to one of the `names` files, or a mount point for the directory, opens what it leads to, and takes it
/// away.
pub(super) fn follow(worker: &mut Worker, root: &str, names: usize) {
    let number = worker.random.usize(..names);
    let (tag, target, kind) = match worker.random.bool() {
        true => (reparse::SYMBOLIC_LINK, format!("r{number}"), 0),
        false => (reparse::MOUNT_POINT, worker.full(root), FILE_DIRECTORY_FILE),
    };
    let units: Vec<u16> = target.encode_utf16().collect();
    let data = reparse::leading_to(tag, &units, tag == reparse::SYMBOLIC_LINK);
    let path = format!("{root}\\link");
    let Some(made) = open_itself(worker, &path, kind) else {
        return;
    };
    worker.retried("set reparse point", &path, Mask::None, || {
        made.fs_control(FSCTL_SET_REPARSE_POINT, &data, 0)
    });
    worker.close(&path, made);
    let behind = match kind {
        0 => path.clone(),
        _ => format!("{path}\\r{number}"),
    };
    let led = worker.open(&behind, |open| {
        open.access(READ)
            .options(synchronous(FILE_NON_DIRECTORY_FILE))
    });
    if let Some(file) = led {
        let mask = Mask::File(FileNameInformation);
        worker.retried("query information", &behind, mask, || {
            file.query_information(FileNameInformation, 512)
        });
        worker.close(&behind, file);
    }
    let full = worker.full(&path);
    let mask = Mask::File(FileNetworkOpenInformation);
    worker.retried("query attributes", &path, mask, || query_attributes(&full));
    let Some(link) = open_itself(worker, &path, kind) else {
        return;
    };
    worker.retried("get reparse point", &path, Mask::All, || {
        link.fs_control(FSCTL_GET_REPARSE_POINT, &[], 512)
    });
    worker.retried("query tag", &path, Mask::None, || {
        link.query_information(FileAttributeTagInformation, 8)
    });
    let header = [&tag.to_le_bytes()[..], &[0; 4]].concat();
    worker.retried("delete reparse point", &path, Mask::None, || {
        link.fs_control(FSCTL_DELETE_REPARSE_POINT, &header, 0)
    });
    worker.retried("delete", &path, Mask::None, || {
        link.set_information(FileDispositionInformation, &[1])
    });
    worker.close(&path, link);
}

/// Opens a file by its id.
pub(super) fn open_by_id(worker: &mut Worker, path: &str) {
    let named = worker.open(path, |open| {
        open.access(FILE_READ_ATTRIBUTES | SYNCHRONIZE)
            .options(synchronous(0))
    });
    let Some(named) = named else { return };
    let id = worker.retried("query information", path, Mask::All, || {
        named.query_information(FileInternalInformation, 8)
    });
    let found = id.is_success().then(|| i64_at(&id.data, 0) as u64);
    let file = found.and_then(|id| {
        worker.open("\\", |open| {
            open.access(FILE_READ_ATTRIBUTES | SYNCHRONIZE)
                .options(synchronous(FILE_NON_DIRECTORY_FILE))
                .by_id(id)
        })
    });
    if let Some(file) = file {
        let mask = Mask::File(FileStandardInformation);
        worker.retried("query information", "\\", mask, || {
            file.query_information(FileStandardInformation, 24)
        });
        worker.close("\\", file);
    }
    worker.close(path, named);
}

/// Opens a reparse point, or what is to become one.
fn open_itself(worker: &mut Worker, path: &str, kind: u32) -> Option<File> {
    worker.open(path, |open| {
        open.disposition(FILE_OPEN_IF)
            .access(READ | WRITE | DELETE)
            .options(synchronous(FILE_OPEN_REPARSE_POINT | kind))
    })
}

/// Makes a directory that tells case apart, and two files there whose names differ in nothing else.
pub(super) fn tell_case_apart(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\cases");
    let made = worker.open(&path, |open| {
        open.disposition(FILE_OPEN_IF)
            .access(FILE_LIST_DIRECTORY | FILE_WRITE_ATTRIBUTES | DELETE | SYNCHRONIZE)
            .options(synchronous(FILE_DIRECTORY_FILE))
    });
    let Some(directory) = made else { return };
    let set = |worker: &mut Worker, on: u32| {
        worker.retried("set case", &path, Mask::None, || {
            directory.set_information(FileCaseSensitiveInformation, &on.to_le_bytes())
        });
    };
    set(worker, 1);
    for name in ["x", "X"] {
        let path = format!("{path}\\{name}");
        let file = worker.open(&path, |open| {
            open.disposition(FILE_CREATE).options(synchronous(0))
        });
        if let Some(file) = file {
            worker.close(&path, file);
        }
    }
    let pattern = [None, Some("X"), Some("x*")][worker.random.usize(..3)];
    let class = FileNamesInformation;
    worker.retried("list", &path, Mask::Directory(class), || {
        directory.query_directory(class, 256, pattern, true, false)
    });
    // There are two names, which differ in case.
    set(worker, 0);
    for name in ["X", "x"] {
        let path = format!("{path}\\{name}");
        let file = worker.open(&path, |open| {
            open.access(DELETE | SYNCHRONIZE)
                .options(synchronous(FILE_DELETE_ON_CLOSE))
        });
        if let Some(file) = file {
            worker.close(&path, file);
        }
    }
    worker.retried("delete", &path, Mask::None, || {
        directory.set_information(FileDispositionInformation, &[1])
    });
    worker.close(&path, directory);
}
