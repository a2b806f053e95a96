//! What programs do besides copying: locks that wait, watches that stay
//! outstanding, cancellation, every usual information class, volume
//! information, security, controls.

mod classes;
pub mod media;
mod names;
pub(super) mod outstanding;
pub mod removal;

use super::layout::Mask;
use super::worker::{Worker, synchronous};
use crate::nt::*;
use crate::user::access::{DELETE, FILE_LIST_DIRECTORY, READ, SYNCHRONIZE, WRITE};
use crate::user::{File, Outcome, Pending};

/// How long an outstanding request may take once nothing holds it, in 100 ns units.
const PATIENCE: i64 = 100_000_000;

/// Bytes of a long-lived request's buffer.
const BUFFER: u32 = 1024;

/// All scenarios in `root`, a directory of this thread. Where drivers `may_pend`, none in which a request ends only
/// when this thread goes on.
pub fn run(worker: &mut Worker, root: &str, rounds: u32, may_pend: bool) {
    let made = worker.must_open(root, |open| {
        open.disposition(FILE_OPEN_IF)
            .access(FILE_LIST_DIRECTORY | SYNCHRONIZE)
            .options(synchronous(FILE_DIRECTORY_FILE))
    });
    let Some(directory) = made else { return };
    worker.close(root, directory);
    for round in 0..rounds {
        classes::classes(worker, root);
        outstanding::locks(worker, root);
        outstanding::watches(worker, root);
        outstanding::oplock(worker, root);
        if !may_pend {
            outstanding::cancellation(worker, root);
        }
        names::sharing(worker, root);
        names::wrong_names(worker, root);
        names::patterns(worker, root, round);
        names::links(worker, root);
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

/// Opens or creates a directory for listing and deleting.
fn open_directory(worker: &mut Worker, path: &str, options: u32) -> Option<File> {
    let access = FILE_LIST_DIRECTORY | DELETE | SYNCHRONIZE;
    worker.must_open(path, |open| {
        open.disposition(FILE_OPEN_IF)
            .access(access)
            .options(FILE_DIRECTORY_FILE | options)
    })
}
