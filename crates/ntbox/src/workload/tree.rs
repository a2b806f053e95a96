//! A real tree: copied into a volume, read back, compared with the host, listed;
//! then partly renamed, and deleted.

use super::layout::{
    DIRECTORY_CLASSES, DirectoryEntry, Mask, basic_information, directory_entries, i64_at,
    rename_information,
};
use super::plan::{Plan, SourceFile};
use super::worker::{Worker, synchronous};
use crate::nt::*;
use crate::user::access::{
    DELETE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, READ, SYNCHRONIZE, WRITE,
};
use crate::user::{File, query_attributes};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a sector: noncached transfers begin and end at multiples of it.
const SECTOR: usize = 4096;
/// Bytes of a listing buffer: small, so that a listing takes several queries.
const LIST_BUFFER: u32 = 4096;

/// What one thread does with its part of a tree on one volume.
pub struct TreeCopy<'a> {
    /// The tree.
    pub plan: &'a Plan,
    /// This thread's files.
    pub files: Vec<&'a SourceFile>,
    /// This thread's directory on the volume, `\t1`.
    pub root: String,
}

impl TreeCopy<'_> {
    /// Everything, in order.
    pub fn run(&self, worker: &mut Worker) {
        if !self.make_directories(worker) {
            return;
        }
        for file in &self.files {
            let path = self.path(file);
            let Ok(contents) = std::fs::read(&file.path) else {
                worker.complain(&path, "the source can no longer be read");
                continue;
            };
            // The file may have changed since it was planned: what was read now counts.
            self.copy(worker, file, &path, &contents);
            if self.verify(worker, file, &path, &contents) {
                worker.file_done();
            }
        }
        self.list_all(worker);
        let renamed = self.rename_some(worker);
        self.delete_all(worker, &renamed);
    }

    fn path(&self, file: &SourceFile) -> String {
        format!(
            "{}{}\\{}",
            self.root, self.plan.directories[file.directory].path, file.name
        )
    }

    /// Creates the thread's root and all directories, parents first.
    fn make_directories(&self, worker: &mut Worker) -> bool {
        let mut paths = vec![self.root.clone()];
        for at in self.plan.directories_of(&self.files) {
            paths.push(format!("{}{}", self.root, self.plan.directories[at].path));
        }
        for path in paths {
            let made = worker.must_open(&path, |open| {
                open.disposition(FILE_OPEN_IF)
                    .access(FILE_LIST_DIRECTORY | SYNCHRONIZE)
                    .options(synchronous(FILE_DIRECTORY_FILE))
            });
            match made {
                Some(directory) => worker.close(&path, directory),
                None => return false,
            }
        }
        true
    }

    /// Copies one file as one of several kinds of programs would.
    fn copy(&self, worker: &mut Worker, file: &SourceFile, path: &str, contents: &[u8]) {
        let kind = worker.random.u8(..10);
        let options = match kind {
            0 => FILE_NON_DIRECTORY_FILE,
            1 => synchronous(FILE_NO_INTERMEDIATE_BUFFERING | FILE_NON_DIRECTORY_FILE),
            2 => synchronous(FILE_WRITE_THROUGH),
            3 => synchronous(FILE_SEQUENTIAL_ONLY | FILE_NON_DIRECTORY_FILE),
            _ => synchronous(FILE_NON_DIRECTORY_FILE),
        };
        let disposition = if worker.one_in(2) {
            FILE_CREATE
        } else {
            FILE_OVERWRITE_IF
        };
        let opened = worker.must_open(path, |open| {
            open.disposition(disposition)
                .access(READ | WRITE | DELETE)
                .options(options)
                .share(1)
        });
        let Some(target) = opened else { return };
        if worker.one_in(4) {
            let size = (contents.len() as i64).to_le_bytes();
            let outcome = worker.retried("set allocation", path, Mask::None, || {
                target.set_information(FileAllocationInformation, &size)
            });
            worker.expect(path, "set allocation", &outcome);
        }
        match kind {
            0 => self.write_overlapped(worker, &target, path, contents),
            1 => self.write_sectors(worker, &target, path, contents),
            _ => self.write_in_order(worker, &target, path, contents),
        }
        if worker.one_in(16) {
            let outcome = worker.retried("flush", path, Mask::None, || target.flush());
            worker.expect(path, "flush", &outcome);
        }
        // Times last: a write would change them again.
        let times = basic_information(0, 0, file.written, 0, ARCHIVE);
        let outcome = worker.retried("set basic", path, Mask::None, || {
            target.set_information(FileBasicInformation, &times)
        });
        worker.expect(path, "set times", &outcome);
        worker.close(path, target);
    }

    fn write_in_order(&self, worker: &mut Worker, target: &File, path: &str, contents: &[u8]) {
        let chunk = [4096, 16_384, 65_536][worker.random.usize(..3)];
        let positioned = worker.one_in(2);
        let mut at = 0;
        for part in contents.chunks(chunk) {
            let offset = positioned.then_some(at);
            let outcome = worker.retried("write", path, Mask::None, || target.write(offset, part));
            if worker.expect(path, "write", &outcome) && outcome.information != part.len() {
                worker.complain(
                    path,
                    &format!(
                        "{} of {} bytes were written",
                        outcome.information,
                        part.len()
                    ),
                );
            }
            at += part.len() as i64;
        }
    }

    /// Several writes outstanding at a time, waited for in the order in which they began.
    fn write_overlapped(&self, worker: &mut Worker, target: &File, path: &str, contents: &[u8]) {
        const CHUNK: usize = 16_384;
        for (group, parts) in contents.chunks(CHUNK * 4).enumerate() {
            let base = (group * CHUNK * 4) as i64;
            let started: Vec<_> = parts
                .chunks(CHUNK)
                .enumerate()
                .map(|(place, part)| target.start_write(Some(base + (place * CHUNK) as i64), part))
                .collect();
            for pending in started {
                let outcome = pending.wait();
                worker.note("write", path, &outcome, Mask::None);
                worker.expect(path, "write", &outcome);
            }
        }
    }

    /// Whole sectors past the cache; the size is set afterwards.
    fn write_sectors(&self, worker: &mut Worker, target: &File, path: &str, contents: &[u8]) {
        let mut padded = contents.to_vec();
        padded.resize(contents.len().next_multiple_of(SECTOR), 0);
        for (place, part) in padded.chunks(SECTOR * 8).enumerate() {
            let offset = Some((place * SECTOR * 8) as i64);
            let outcome = worker.retried("write", path, Mask::None, || target.write(offset, part));
            worker.expect(path, "write", &outcome);
        }
        let size = (contents.len() as i64).to_le_bytes();
        let outcome = worker.retried("set end", path, Mask::None, || {
            target.set_information(FileEndOfFileInformation, &size)
        });
        worker.expect(path, "set end of file", &outcome);
    }

    /// Reads one file back in one of several ways and compares it with the source.
    fn verify(&self, worker: &mut Worker, file: &SourceFile, path: &str, contents: &[u8]) -> bool {
        let complaints = worker.wrong.len();
        let full = worker.full(path);
        let network = FileNetworkOpenInformation;
        let attributes = worker.retried("query attributes", path, Mask::File(network), || {
            query_attributes(&full)
        });
        if worker.expect(path, "query attributes", &attributes) {
            let (size, written) = (i64_at(&attributes.data, 40), i64_at(&attributes.data, 16));
            self.compare_size(worker, path, "query attributes", size, contents);
            if written != file.written {
                worker.complain(
                    path,
                    &format!(
                        "written at {written}, but the host's file at {}",
                        file.written
                    ),
                );
            }
        }
        let kind = worker.random.u8(..10);
        let options = match kind {
            0 => FILE_NON_DIRECTORY_FILE,
            1 => synchronous(FILE_NO_INTERMEDIATE_BUFFERING),
            2 => synchronous(FILE_RANDOM_ACCESS),
            _ => synchronous(FILE_SEQUENTIAL_ONLY),
        };
        let Some(source) =
            worker.must_open(path, |open| open.access(READ).options(options).share(3))
        else {
            return false;
        };
        self.query_some(worker, &source, path, contents);
        let read = match kind {
            0 => self.read_overlapped(worker, &source, path, contents.len()),
            1 => self.read_sectors(worker, &source, path),
            _ => self.read_in_order(worker, &source, path),
        };
        if read != contents {
            let at = read.iter().zip(contents).position(|(a, b)| a != b);
            let where_ = at.map_or_else(
                || format!("length {}", read.len()),
                |at| format!("byte {at}"),
            );
            worker.complain(
                path,
                &format!("differs from the host's {} bytes: {where_}", contents.len()),
            );
        }
        if worker.one_in(16) && !contents.is_empty() {
            self.page_in(worker, &source, path, contents);
        }
        worker.close(path, source);
        worker.wrong.len() == complaints
    }

    fn compare_size(
        &self,
        worker: &mut Worker,
        path: &str,
        what: &str,
        size: i64,
        contents: &[u8],
    ) {
        if size != contents.len() as i64 {
            worker.complain(
                path,
                &format!("{what}: {size} bytes instead of {}", contents.len()),
            );
        }
    }

    /// A few queries as programs make them on a file they read.
    fn query_some(&self, worker: &mut Worker, source: &File, path: &str, contents: &[u8]) {
        let standard = worker.retried("query standard", path, Mask::None, || {
            source.query_information(FileStandardInformation, 24)
        });
        if worker.expect(path, "query standard", &standard) {
            self.compare_size(
                worker,
                path,
                "query standard",
                i64_at(&standard.data, 8),
                contents,
            );
        }
        let basic = Mask::File(FileBasicInformation);
        let outcome = worker.retried("query basic", path, basic, || {
            source.query_information(FileBasicInformation, 40)
        });
        worker.expect(path, "query basic", &outcome);
        if worker.one_in(4) {
            let outcome = worker.retried("query all", path, Mask::File(FileAllInformation), || {
                source.query_information(FileAllInformation, 1024)
            });
            worker.expect(path, "query all", &outcome);
        }
    }

    fn read_in_order(&self, worker: &mut Worker, source: &File, path: &str) -> Vec<u8> {
        let chunk = [4096, 16_384, 65_536][worker.random.usize(..3)];
        let mut all = Vec::new();
        loop {
            let outcome = worker.retried("read", path, Mask::None, || source.read(None, chunk));
            if outcome.status == STATUS_END_OF_FILE {
                return all;
            }
            if !worker.expect(path, "read", &outcome) || outcome.data.is_empty() {
                return all;
            }
            all.extend(outcome.data);
        }
    }

    fn read_overlapped(
        &self,
        worker: &mut Worker,
        source: &File,
        path: &str,
        length: usize,
    ) -> Vec<u8> {
        const CHUNK: usize = 16_384;
        let mut all = Vec::new();
        for base in (0..length).step_by(CHUNK * 4) {
            let started: Vec<_> = (base..length.min(base + CHUNK * 4))
                .step_by(CHUNK)
                .map(|at| source.start_read(Some(at as i64), CHUNK as u32))
                .collect();
            for pending in started {
                let outcome = pending.wait();
                worker.note("read", path, &outcome, Mask::None);
                worker.expect(path, "read", &outcome);
                all.extend(outcome.data);
            }
        }
        all
    }

    fn read_sectors(&self, worker: &mut Worker, source: &File, path: &str) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let offset = Some(all.len().next_multiple_of(SECTOR) as i64);
            let outcome = worker.retried("read", path, Mask::None, || {
                source.read(offset, (SECTOR * 8) as u32)
            });
            if outcome.status == STATUS_END_OF_FILE || !worker.expect(path, "read", &outcome) {
                return all;
            }
            let last = outcome.data.len() < SECTOR * 8;
            all.extend(outcome.data);
            if last {
                return all;
            }
        }
    }

    /// A mapped view of the file: its section, and one page fault.
    fn page_in(&self, worker: &mut Worker, source: &File, path: &str, contents: &[u8]) {
        let outcome = source.create_section();
        worker.note("create section", path, &outcome, Mask::None);
        worker.expect(path, "create section", &outcome);
        let page = worker.random.usize(..contents.len().div_ceil(SECTOR));
        let outcome = source.page_in(page as i64);
        worker.note("page in", path, &outcome, Mask::None);
        let from = page * SECTOR;
        let expected = &contents[from..contents.len().min(from + SECTOR)];
        if worker.expect(path, "page in", &outcome) && !outcome.data.starts_with(expected) {
            worker.complain(
                path,
                &format!("page {page} of its view differs from the host"),
            );
        }
    }

    /// Lists every directory and compares with what was copied there.
    fn list_all(&self, worker: &mut Worker) {
        let mut expected: BTreeMap<usize, BTreeSet<(String, Option<u64>)>> = BTreeMap::new();
        for file in &self.files {
            expected
                .entry(file.directory)
                .or_default()
                .insert((file.name.clone(), Some(file.size)));
        }
        for at in self.plan.directories_of(&self.files) {
            let directory = &self.plan.directories[at];
            expected.entry(at).or_default();
            let name = directory
                .path
                .rsplit('\\')
                .next()
                .unwrap_or_default()
                .to_owned();
            expected
                .entry(directory.parent)
                .or_default()
                .insert((name, None));
        }
        for (at, expected) in expected {
            let path = format!("{}{}", self.root, self.plan.directories[at].path);
            let class = DIRECTORY_CLASSES[worker.random.usize(..DIRECTORY_CLASSES.len())];
            let Some(entries) = list(worker, &path, class, None) else {
                continue;
            };
            let found: BTreeSet<(String, Option<u64>)> = entries
                .iter()
                .filter(|entry| entry.name != "." && entry.name != "..")
                .map(|entry| {
                    let directory = entry.attributes.is_some_and(|flags| flags & DIRECTORY != 0);
                    (
                        entry.name.clone(),
                        if directory {
                            None
                        } else {
                            entry.size.map(|size| size as u64)
                        },
                    )
                })
                .collect();
            let expected: BTreeSet<(String, Option<u64>)> = expected
                .into_iter()
                .map(|(name, size)| {
                    (
                        name,
                        if class == FileNamesInformation {
                            None
                        } else {
                            size
                        },
                    )
                })
                .collect();
            if found != expected {
                let missing: Vec<_> = expected.difference(&found).take(3).collect();
                let more: Vec<_> = found.difference(&expected).take(3).collect();
                worker.complain(
                    &path,
                    &format!("listing: missing {missing:?}, unexpected {more:?}"),
                );
            }
        }
    }

    /// Renames every eighth file within its directory and every 64th into the root.
    fn rename_some(&self, worker: &mut Worker) -> BTreeMap<String, String> {
        let mut renamed = BTreeMap::new();
        for (place, file) in self
            .files
            .iter()
            .enumerate()
            .filter(|(place, _)| place % 8 == 0)
        {
            let path = self.path(file);
            let (information, target) = if place % 64 == 0 {
                let target = format!("{}\\moved {place}", self.root);
                (rename_information(&worker.full(&target), false), target)
            } else {
                let name = format!("renamed {place}");
                let parent = path.rsplit_once('\\').map_or("", |(parent, _)| parent);
                (rename_information(&name, true), format!("{parent}\\{name}"))
            };
            let opened = worker.must_open(&path, |open| {
                open.access(DELETE | SYNCHRONIZE)
                    .options(synchronous(0))
                    .share(7)
            });
            let Some(open) = opened else { continue };
            let outcome = worker.retried("rename", &path, Mask::None, || {
                open.set_information(FileRenameInformation, &information)
            });
            if worker.expect(&path, "rename", &outcome) {
                renamed.insert(path.clone(), target);
            }
            worker.close(&path, open);
        }
        renamed
    }

    /// Deletes all files (by disposition or on close), then the directories, children first.
    fn delete_all(&self, worker: &mut Worker, renamed: &BTreeMap<String, String>) {
        for file in &self.files {
            let path = self.path(file);
            let path = renamed.get(&path).unwrap_or(&path);
            delete(worker, path, FILE_NON_DIRECTORY_FILE);
        }
        for at in self.plan.directories_of(&self.files).into_iter().rev() {
            let path = format!("{}{}", self.root, self.plan.directories[at].path);
            delete(worker, &path, FILE_DIRECTORY_FILE);
        }
        let left = list(worker, &self.root, FileNamesInformation, None).unwrap_or_default();
        if left
            .iter()
            .any(|entry| entry.name != "." && entry.name != "..")
        {
            worker.complain(
                &self.root,
                &format!(
                    "{} entries are left after everything was deleted",
                    left.len()
                ),
            );
        }
    }
}

/// `FILE_ATTRIBUTE_ARCHIVE`.
const ARCHIVE: u32 = 0x20;
/// `FILE_ATTRIBUTE_DIRECTORY`.
const DIRECTORY: u32 = 0x10;

/// Deletes a file or an empty directory, by disposition or on close.
pub fn delete(worker: &mut Worker, path: &str, kind: u32) {
    let on_close = worker.one_in(4);
    let options = synchronous(kind | if on_close { FILE_DELETE_ON_CLOSE } else { 0 });
    let access = DELETE | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
    let Some(file) = worker.must_open(path, |open| open.access(access).options(options)) else {
        return;
    };
    if !on_close {
        let outcome = worker.retried("delete", path, Mask::None, || {
            file.set_information(FileDispositionInformation, &[1])
        });
        worker.expect(path, "delete", &outcome);
    }
    worker.close(path, file);
    if worker.one_in(8) {
        let full = worker.full(path);
        let outcome = worker.retried("query attributes", path, Mask::None, || {
            query_attributes(&full)
        });
        worker.expect_status(
            path,
            "query of a deleted file",
            &outcome,
            STATUS_OBJECT_NAME_NOT_FOUND,
        );
    }
}

/// All entries of a directory, by as many queries as it takes.
pub fn list(
    worker: &mut Worker,
    path: &str,
    class: i32,
    pattern: Option<&str>,
) -> Option<Vec<DirectoryEntry>> {
    let asynchronous = worker.one_in(4);
    let options = FILE_DIRECTORY_FILE
        | if asynchronous {
            0
        } else {
            FILE_SYNCHRONOUS_IO_NONALERT
        };
    let access = FILE_LIST_DIRECTORY | SYNCHRONIZE;
    let directory = worker.must_open(path, |open| open.access(access).options(options))?;
    let mut entries = Vec::new();
    let single = worker.one_in(8);
    loop {
        let outcome = worker.retried("query directory", path, Mask::Directory(class), || {
            directory.query_directory(class, LIST_BUFFER, pattern, false, single)
        });
        if !outcome.is_success() {
            if ![STATUS_NO_MORE_FILES, STATUS_NO_SUCH_FILE].contains(&outcome.status) {
                worker.complain(path, &format!("query directory: {}", outcome.status()));
            }
            break;
        }
        entries.extend(directory_entries(class, &outcome.data));
    }
    worker.close(path, directory);
    Some(entries)
}

/// Walks a tree that cannot be written: lists every directory and reads every file.
pub struct ReadOnlyWalk<'a> {
    /// The tree, which the volume shows as it is.
    pub plan: &'a Plan,
    /// This thread's files.
    pub files: Vec<&'a SourceFile>,
}

impl ReadOnlyWalk<'_> {
    /// Everything, in order.
    pub fn run(&self, worker: &mut Worker) {
        let copy = TreeCopy {
            plan: self.plan,
            files: self.files.clone(),
            root: String::new(),
        };
        for file in &self.files {
            let path = copy.path(file);
            // A name that the plan had to change is another one on this volume.
            let shown = path.replace('\\', "/");
            let (true, Ok(contents)) = (
                file.path.to_string_lossy().ends_with(&shown),
                std::fs::read(&file.path),
            ) else {
                continue;
            };
            if copy.verify(worker, file, &path, &contents) {
                worker.file_done();
            }
            if worker.one_in(16) {
                let refused = worker.open(&path, |open| open.access(WRITE).options(synchronous(0)));
                if let Some(refused) = refused {
                    worker.complain(
                        &path,
                        "was opened for writing on a medium that cannot be written",
                    );
                    worker.close(&path, refused);
                }
            }
        }
        for at in self.plan.directories_of(&self.files) {
            let path = &self.plan.directories[at].path;
            let class = DIRECTORY_CLASSES[worker.random.usize(..DIRECTORY_CLASSES.len())];
            list(worker, path, class, None);
        }
    }
}
