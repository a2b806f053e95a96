//! What follows the copy: listings, renames, deletion.

use super::super::layout::{
    DIRECTORY_CLASSES, DirectoryEntry, Mask, directory_entries, rename_information,
};
use super::super::worker::{Worker, synchronous};
use super::TreeCopy;
use crate::nt::*;
use crate::user::access::{DELETE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, SYNCHRONIZE};
use crate::user::query_attributes;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a listing buffer: small, so that a listing takes several queries.
const LIST_BUFFER: u32 = 4096;

/// `FILE_ATTRIBUTE_DIRECTORY`.
const DIRECTORY: u32 = 0x10;

impl TreeCopy<'_> {
    /// Lists every directory and compares with what was copied there.
    pub(super) fn list_all(&self, worker: &mut Worker) {
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
    pub(super) fn rename_some(&self, worker: &mut Worker) -> BTreeMap<String, String> {
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
                (rename_information(&worker.full(&target), 0), target)
            } else {
                let name = format!("renamed {place}");
                let parent = path.rsplit_once('\\').map_or("", |(parent, _)| parent);
                (
                    rename_information(&name, FILE_RENAME_REPLACE_IF_EXISTS),
                    format!("{parent}\\{name}"),
                )
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
    pub(super) fn delete_all(&self, worker: &mut Worker, renamed: &BTreeMap<String, String>) {
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
