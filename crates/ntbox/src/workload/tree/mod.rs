//! A real tree: copied into a volume, read back, compared with the host, listed;
//! then partly renamed, and deleted.

mod after;
mod paging;
mod read_back;
mod read_only;

pub use after::{delete, list};
pub use read_only::ReadOnlyWalk;

use super::layout::{Mask, basic_information};
use super::plan::{Plan, SourceFile};
use super::worker::{Worker, synchronous};
use crate::nt::*;
use crate::user::File;
use crate::user::access::{DELETE, FILE_LIST_DIRECTORY, READ, SYNCHRONIZE, WRITE};

/// Bytes of a sector: noncached transfers begin and end at multiples of it.
const SECTOR: usize = 4096;

/// `FILE_ATTRIBUTE_ARCHIVE`.
const ARCHIVE: u32 = 0x20;

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
            4 if paging::is_mapped(contents) => {
                self.write_mapped(worker, &target, path, contents);
            }
            5 => self.write_served(worker, &target, path, contents),
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
        self.set_end(worker, target, path, contents.len());
    }

    fn set_end(&self, worker: &mut Worker, target: &File, path: &str, length: usize) {
        let size = (length as i64).to_le_bytes();
        let outcome = worker.retried("set end", path, Mask::None, || {
            target.set_information(FileEndOfFileInformation, &size)
        });
        worker.expect(path, "set end of file", &outcome);
    }
}
