//! Seeded random operations on a few files of one directory, on that directory, and on its volume:
//! between them every major function that a program's calls lead to.
//!
//! The next operation depends on the seed and on the results so far, which are
//! the same in every run with that seed.

use super::layout::{
    DEVICE_CONTROLS, DIRECTORY_CLASSES, FS_CONTROLS, Mask, OWNER_GROUP_DACL, basic_information,
    extended_attribute, label_again, name_information, rename_information, room_control,
    told_of_room,
};
use super::mapped::Mapped;
use super::scenarios::{media, outstanding, removal};
use super::sequences;
use super::worker::{Worker, synchronous};
use crate::nt::*;
use crate::user::access::{
    DELETE, FILE_EXECUTE, FILE_LIST_DIRECTORY, READ, READ_CONTROL, SYNCHRONIZE, WRITE, WRITE_DAC,
    WRITE_OWNER,
};
use crate::user::extended_attributes::EaQuery;
use crate::user::locks::Range;
use crate::user::{
    CreateParameters, File, Mapping, PAGE, PageFile, View, Writer, create_file, query_attributes,
};

/// Handles open at a time.
const HANDLES: usize = 6;
/// Files the operations choose from.
const NAMES: usize = 8;
/// What the files may be called besides; until one is, it is the name of a file of its own.
const SHORT_NAMES: [&str; 2] = ["R~1", "R~2.X"];
/// After so many operations a program is started.
const OPERATIONS_OF_PROGRAM: u64 = 2000;

/// What a program locks.
const FIRST_PAGE: Range = Range {
    offset: 0,
    length: PAGE as i64,
    key: 0,
};

/// Where the memory manager keeps pages, and how many.
const PAGE_FILE: &str = "pagefile.sys";
const SWAPPED: u32 = 16;

/// A handle and the path it was opened with.
struct Open {
    file: File,
    path: String,
    locked: Vec<Range>,
    view: Option<View>,
}

/// `operations` random operations in `root`, a directory of this thread; all is closed and
/// deleted at the end.
pub fn run(worker: &mut Worker, root: &str, operations: u64) {
    let made = worker.must_open(root, |open| {
        open.disposition(FILE_OPEN_IF)
            .access(FILE_LIST_DIRECTORY | SYNCHRONIZE)
            .options(synchronous(FILE_DIRECTORY_FILE))
    });
    let Some(directory) = made else { return };
    let (mut open, mut mapped) = (Vec::new(), Mapped::default());
    start_program(worker, root);
    let page_file = PageFile::create(&worker.full(&format!("{root}\\{PAGE_FILE}")), SWAPPED);
    let page_file = page_file.ok();
    for done in 1..=operations {
        if done % OPERATIONS_OF_PROGRAM == 0 {
            start_program(worker, root);
        }
        match worker.random.u8(..32) {
            0..=1 => look(worker, root, &directory),
            2..=3 => ask_volume(worker),
            // They are ten requests and more.
            4 if worker.one_in(4) => match worker.random.u8(..8) {
                0..=3 => sequences::follow(worker, root, NAMES),
                4 => sequences::tell_case_apart(worker, root),
                5 => {
                    let path = name(root, worker.random.usize(..NAMES));
                    sequences::open_by_id(worker, &path);
                }
                6 => outstanding::watches(worker, root),
                _ => outstanding::oplock(worker, root),
            },
            5 => mapped.touch(worker),
            6 => swap(worker, page_file.as_ref()),
            // They go through a thread of the system.
            7 if worker.one_in(8) => match worker.one_in(4) {
                true => media::put_in_again(worker),
                false => removal::while_in_use(worker, root, &directory),
            },
            _ => step(worker, root, &directory, (&mut open, &mut mapped)),
        }
    }
    while let Some(last) = open.pop() {
        close(worker, last, &mut mapped);
    }
    while mapped.unmap(worker) {}
    drop(page_file);
    let short_names = SHORT_NAMES.map(|name| format!("{root}\\{name}"));
    for path in short_names
        .into_iter()
        .chain((0..NAMES).map(|number| name(root, number)))
    {
        let gone = worker.open(&path, |open| {
            open.access(DELETE | SYNCHRONIZE)
                .options(synchronous(FILE_DELETE_ON_CLOSE))
        });
        if let Some(file) = gone {
            worker.close(&path, file);
        }
    }
    worker.close(root, directory);
}

/// The memory manager writes a page to its file, or reads one.
fn swap(worker: &mut Worker, page_file: Option<&PageFile>) {
    let page = worker.random.u32(..SWAPPED);
    let data = vec![worker.random.u8(..); PAGE];
    let writes = worker.random.bool();
    let Some(file) = page_file else { return };
    if writes {
        worker.retried("swap out", PAGE_FILE, Mask::None, || {
            file.page_out(page, &data)
        });
    } else {
        worker.retried("swap in", PAGE_FILE, Mask::None, || file.page_in(page));
    }
}

/// A program begins, opens its own file, locks what it has inherited and ends, in a process of its own.
fn start_program(worker: &mut Worker, root: &str) {
    let path = format!("{root}\\program.exe");
    let built = worker.open(&path, |open| {
        open.disposition(FILE_OPEN_IF)
            .access(READ | WRITE)
            .options(synchronous(FILE_NON_DIRECTORY_FILE))
    });
    let Some(built) = built else { return };
    worker.retried("write", &path, Mask::None, || built.write(Some(0), b"MZ"));
    worker.close(&path, built);
    let program = worker.open(&path, |open| {
        open.access(READ | FILE_EXECUTE)
            .options(synchronous(FILE_NON_DIRECTORY_FILE))
    });
    let Some(program) = program else { return };
    let image = worker.map(&path, &program, Mapping::Image);
    let full = worker.full(&path);
    let name = full.clone();
    let ran = program.run_program_with_it(&name, move |inherited| {
        let mut seen = Vec::new();
        let opened = create_file(&CreateParameters::new(&full));
        seen.push(("create in its process", opened.outcome));
        seen.extend(
            opened
                .file
                .map(|file| ("close in its process", file.close())),
        );
        if let Some(file) = inherited {
            // Given back when the process closes its last handle, though its parent has one.
            seen.push(("lock in its process", file.lock(FIRST_PAGE, true, true)));
            seen.push(("close in its process", file.close()));
        }
        seen
    });
    // A driver may refuse it.
    for (call, outcome) in ran.unwrap_or_default() {
        worker.note(call, &path, &outcome, Mask::None);
    }
    worker.retried("read", &path, Mask::None, || program.read(Some(0), 2));
    worker.close(&path, program);
    drop(image);
    let gone = worker.open(&path, |open| {
        open.access(DELETE | SYNCHRONIZE)
            .options(synchronous(FILE_DELETE_ON_CLOSE))
    });
    if let Some(file) = gone {
        worker.close(&path, file);
    }
}

pub(super) fn name(root: &str, number: usize) -> String {
    format!("{root}\\r{number}")
}

/// Lists the directory, or asks what a program asks of one.
fn look(worker: &mut Worker, root: &str, directory: &File) {
    if worker.one_in(4) {
        worker.retried(
            "query information",
            root,
            Mask::File(FileNameInformation),
            || directory.query_information(FileNameInformation, 512),
        );
        return;
    }
    let class = DIRECTORY_CLASSES[worker.random.usize(..DIRECTORY_CLASSES.len())];
    let pattern = [None, None, Some("*"), Some("r?"), Some("none")][worker.random.usize(..5)];
    let (restart, single) = (worker.random.bool(), worker.random.bool());
    worker.retried("list", root, Mask::Directory(class), || {
        directory.query_directory(class, 1024, pattern, restart, single)
    });
}

/// Opens the volume itself, and asks what programs ask of it.
fn ask_volume(worker: &mut Worker) {
    let opened = worker.open("", |open| open.access(READ | WRITE).options(synchronous(0)));
    let Some(volume) = opened else { return };
    match worker.random.u8(..5) {
        0 => {
            let class = worker
                .random
                .i32(FileFsVolumeInformation..=FileFsSectorSizeInformation);
            worker.retried("query volume", "", Mask::Volume(class), || {
                volume.query_volume(class, 256)
            });
        }
        1 => control(worker, "", &volume),
        2 => label(worker, &volume),
        3 => quota(worker, &volume),
        _ => {
            let code = DEVICE_CONTROLS[worker.random.usize(..DEVICE_CONTROLS.len())];
            worker.retried("device control", "", Mask::All, || {
                volume.device_control(code, &[], 64)
            });
        }
    }
    worker.close("", volume);
}

fn control(worker: &mut Worker, path: &str, file: &File) {
    let code = FS_CONTROLS[worker.random.usize(..FS_CONTROLS.len())];
    worker.retried("fs control", path, Mask::None, || {
        file.fs_control(code, &[1, 2, 3, 4], 64)
    });
}

/// Reads the label, and puts it back as it was.
fn label(worker: &mut Worker, volume: &File) {
    let mask = Mask::Volume(FileFsVolumeInformation);
    let known = worker.retried("query volume", "", mask, || {
        volume.query_volume(FileFsVolumeInformation, 256)
    });
    if known.is_success() {
        let label = label_again(&known.data);
        worker.retried("set volume", "", Mask::None, || {
            volume.set_volume(FileFsLabelInformation, &label)
        });
    }
}

fn quota(worker: &mut Worker, volume: &File) {
    if worker.random.bool() {
        worker.retried("query quota", "", Mask::None, || volume.query_quota(256));
    } else {
        worker.retried("set quota", "", Mask::None, || volume.set_quota(&[0; 64]));
    }
}

/// Gives the file an attribute, or asks for those that it has.
fn extended_attributes(worker: &mut Worker, path: &str, file: &File) {
    let length = worker.random.u16(..300);
    if worker.random.bool() {
        let name = ["ONE", "TWO", ""][worker.random.usize(..3)];
        let list = extended_attribute(name, &vec![worker.random.u8(..); length.into()]);
        worker.retried("set extended attributes", path, Mask::None, || {
            file.set_ea(&list)
        });
    } else {
        let asked = EaQuery {
            single_entry: worker.random.bool(),
            restart: worker.random.bool(),
            ..EaQuery::default()
        };
        worker.retried("query extended attributes", path, Mask::None, || {
            file.query_ea(&asked, length.into())
        });
    }
}

/// Reads the descriptor, and puts it back as it was.
fn security(worker: &mut Worker, path: &str, file: &File) {
    let descriptor = worker.retried("query security", path, Mask::None, || {
        file.query_security(OWNER_GROUP_DACL, 512)
    });
    if descriptor.is_success() && worker.random.bool() {
        worker.retried("set security", path, Mask::None, || {
            file.set_security(OWNER_GROUP_DACL, &descriptor.data)
        });
    }
}

/// Touches a page of the file's view; if it has none, it gets one.
fn touch(worker: &mut Worker, open: &mut Open, offset: i64, write: bool) {
    let page = offset / PAGE as i64;
    let mapping = draw_mapping(worker);
    let writer = Writer::OF_VIEWS[worker.random.usize(..2)];
    let data = vec![worker.random.u8(..); PAGE];
    let path = &open.path;
    match &open.view {
        None => map(worker, open, mapping),
        Some(view) if write => {
            worker.retried("page out", path, Mask::None, || {
                view.page_out(page, &data, writer)
            });
        }
        Some(view) => {
            worker.retried("page in", path, Mask::None, || view.page_in(page));
        }
    }
}

/// Reads or writes in the pages of the cache, as a file server does.
fn by_mdl(worker: &mut Worker, path: &str, file: &File, offset: i64, length: u32) {
    if worker.random.bool() {
        worker.retried("read by MDL", path, Mask::None, || {
            file.mdl_read(offset, length)
        });
    } else {
        let data = vec![worker.random.u8(..); length as usize];
        worker.retried("write by MDL", path, Mask::None, || {
            file.mdl_write(offset, &data)
        });
    }
}

/// Gives the file a short name, takes it away, or asks for it.
fn short_name(worker: &mut Worker, path: &str, file: &File) {
    let name = [SHORT_NAMES[0], SHORT_NAMES[1], ""][worker.random.usize(..3)];
    if worker.one_in(4) {
        worker.retried("query short name", path, Mask::None, || {
            file.query_information(FileAlternateNameInformation, 64)
        });
    } else {
        worker.retried("set short name", path, Mask::None, || {
            file.set_information(FileShortNameInformation, &name_information(name))
        });
    }
}

/// Makes the file sparse or not, takes the room of some bytes away, or asks which have room.
fn room(worker: &mut Worker, path: &str, file: &File, (offset, length): (i64, u32)) {
    let (code, input, room) = room_control(worker.random.u8(..), offset, length);
    worker.retried("room control", path, Mask::None, || {
        told_of_room(code, file.fs_control(code, &input, room))
    });
}

fn draw_mapping(worker: &mut Worker) -> Mapping {
    [Mapping::ReadOnly, Mapping::Writable][worker.random.usize(..2)]
}

/// Maps the file, if it can be.
fn map(worker: &mut Worker, open: &mut Open, mapping: Mapping) {
    open.view = None;
    open.view = worker.map(&open.path, &open.file, mapping);
}

/// Closes a handle. What is mapped stays so.
fn close(worker: &mut Worker, open: Open, mapped: &mut Mapped) {
    worker.close(&open.path, open.file);
    if let Some(view) = open.view {
        mapped.keep(worker, open.path, view);
    }
}

fn step(
    worker: &mut Worker,
    root: &str,
    directory: &File,
    (open, mapped): (&mut Vec<Open>, &mut Mapped),
) {
    if open.is_empty() || open.len() < HANDLES && worker.one_in(6) {
        return open_one(worker, root, directory, open);
    }
    let place = worker.random.usize(..open.len());
    if open.len() > 1 && worker.one_in(12) {
        let last = open.swap_remove(place);
        return close(worker, last, mapped);
    }
    let Some(chosen) = open.get_mut(place) else {
        return;
    };
    operate(worker, root, chosen);
}

/// By its whole name, or relative to the directory.
fn open_one(worker: &mut Worker, root: &str, directory: &File, open: &mut Vec<Open>) {
    let path = match worker.random.usize(..NAMES + SHORT_NAMES.len()) {
        number if number < NAMES => name(root, number),
        number => format!("{root}\\{}", SHORT_NAMES[number - NAMES]),
    };
    let below = worker.one_in(4).then_some((directory, root));
    let disposition = [
        FILE_OPEN,
        FILE_OPEN_IF,
        FILE_OPEN_IF,
        FILE_CREATE,
        FILE_OVERWRITE_IF,
        FILE_SUPERSEDE,
    ][worker.random.usize(..6)];
    let options = [
        synchronous(0),
        synchronous(0),
        synchronous(FILE_WRITE_THROUGH),
        synchronous(FILE_NO_INTERMEDIATE_BUFFERING),
        0,
        synchronous(FILE_NON_DIRECTORY_FILE),
    ][worker.random.usize(..6)];
    let access = [
        READ | WRITE | DELETE | READ_CONTROL | WRITE_DAC | WRITE_OWNER,
        READ | WRITE,
        READ | SYNCHRONIZE,
        READ | WRITE,
    ][worker.random.usize(..4)];
    let share = [7, 7, 7, 3, 1][worker.random.usize(..5)];
    let opened = worker.open_below(below, &path, |open| {
        open.disposition(disposition)
            .options(options)
            .access(access)
            .share(share)
    });
    if let Some(file) = opened {
        open.push(Open {
            file,
            path,
            locked: Vec::new(),
            view: None,
        });
    }
}

/// What may be in the way of a new name: nothing, a file, or one that is open or read-only.
fn name_flags(worker: &mut Worker) -> u32 {
    [
        0,
        0,
        FILE_RENAME_REPLACE_IF_EXISTS,
        FILE_RENAME_REPLACE_IF_EXISTS
            | FILE_RENAME_POSIX_SEMANTICS
            | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE,
    ][worker.random.usize(..4)]
}

fn operate(worker: &mut Worker, root: &str, open: &mut Open) {
    let (file, path) = (&open.file, &open.path);
    let offset = i64::from(worker.random.u32(..16)) * 4096;
    let length = worker.random.u32(1..=4) * 4096;
    match worker.random.u8(..26) {
        0..=3 => {
            worker.retried("read", path, Mask::None, || file.read(Some(offset), length));
        }
        4..=6 => {
            let data = vec![worker.random.u8(..); length as usize];
            worker.retried("write", path, Mask::None, || {
                file.write(Some(offset), &data)
            });
        }
        7 => {
            worker.retried("read", path, Mask::None, || file.read(None, 4096));
        }
        8 => {
            let class = [
                FileBasicInformation,
                FileStandardInformation,
                FileNetworkOpenInformation,
                FileAllInformation,
                FileHardLinkInformation,
            ][worker.random.usize(..5)];
            worker.retried("query information", path, Mask::File(class), || {
                file.query_information(class, 512)
            });
        }
        9 => {
            let size = worker.random.i64(..65_536).to_le_bytes();
            worker.retried("set end", path, Mask::None, || {
                file.set_information(FileEndOfFileInformation, &size)
            });
        }
        10 => {
            let range = Range {
                offset,
                length: i64::from(length),
                key: 0,
            };
            let exclusive = worker.random.bool();
            let granted = worker.retried("lock", path, Mask::None, || {
                file.lock(range, true, exclusive)
            });
            if granted.is_success() {
                open.locked.push(range);
            }
        }
        11 => {
            if let Some(range) = open.locked.pop() {
                worker.retried("unlock", path, Mask::None, || file.unlock(range));
            }
        }
        12 => {
            worker.retried("flush", path, Mask::None, || file.flush());
        }
        13 => {
            let new = name(root, worker.random.usize(..NAMES));
            let (link, flags) = (worker.one_in(3), name_flags(worker));
            // Of a whole name the I/O manager opens the directory.
            let whole = worker.random.bool().then(|| worker.full(&new));
            let simple = new
                .strip_prefix(root)
                .unwrap_or(&new)
                .trim_start_matches('\\');
            let information = rename_information(whole.as_deref().unwrap_or(simple), flags);
            let (call, class) = match (link, flags > FILE_RENAME_REPLACE_IF_EXISTS) {
                (false, false) => ("rename", FileRenameInformation),
                (false, true) => ("rename", FileRenameInformationEx),
                (true, false) => ("link", FileLinkInformation),
                (true, true) => ("link", FileLinkInformationEx),
            };
            let named = worker.retried(call, path, Mask::None, || {
                file.set_information(class, &information)
            });
            if named.is_success() && !link {
                open.path = new;
            }
        }
        14 => {
            let full = worker.full(path);
            worker.retried(
                "query attributes",
                path,
                Mask::File(FileNetworkOpenInformation),
                || query_attributes(&full),
            );
        }
        15 => security(worker, path, file),
        16 => control(worker, path, file),
        18 => extended_attributes(worker, path, file),
        17 => {
            let class = worker
                .random
                .i32(FileFsVolumeInformation..=FileFsSectorSizeInformation);
            worker.retried("query volume", path, Mask::Volume(class), || {
                file.query_volume(class, 256)
            });
        }
        19 => touch(worker, open, offset, false),
        21 => touch(worker, open, offset, true),
        22 => by_mdl(worker, path, file, offset, length),
        23 => {
            let mapping = draw_mapping(worker);
            map(worker, open, mapping);
        }
        25 => short_name(worker, path, file),
        24 => room(worker, path, file, (offset, length)),
        _ => {
            let basic = basic_information(0, 0, 0, 0, [0x20, 0x80, 0x22][worker.random.usize(..3)]);
            worker.retried("set basic", path, Mask::None, || {
                file.set_information(FileBasicInformation, &basic)
            });
        }
    }
}
