//! A workload that knows what each of its files holds, and looks.
//!
//! Each thread has a directory and files of its own, so that it alone knows what
//! must be in them; all work on one volume at the same time. What is read is
//! compared with what was written, byte for byte, and so are names and sizes.

mod worker;

use crate::error::{Error, Exit, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use worker::Worker;

/// How much of what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads.
    pub threads: u32,
    /// Operations of each thread.
    pub operations: u64,
    /// Files of each thread at one time.
    pub files: usize,
    /// The greatest size of a file, in bytes.
    pub size: usize,
    /// Decides everything else.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The directory it worked in.
    pub directory: PathBuf,
    /// The seed: the same again with `--seed`.
    pub seed: u64,
    /// Threads.
    pub threads: u32,
    /// Operations, by kind.
    pub operations: BTreeMap<&'static str, u64>,
    /// Bytes read and compared.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// How long it took.
    pub seconds: f64,
    /// What was not as it had been written.
    pub differences: Vec<String>,
    /// What could not be done.
    pub failures: Vec<String>,
}

impl Summary {
    /// All operations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.operations.values().sum()
    }

    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if !self.differences.is_empty() {
            Exit::Found
        } else if self.failures.is_empty() {
            Exit::Done
        } else {
            Exit::Failed
        }
    }
}

/// What one thread did, and what it met.
#[derive(Default)]
struct Tally {
    operations: BTreeMap<&'static str, u64>,
    bytes_read: u64,
    bytes_written: u64,
    differences: Vec<String>,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (operation, count) in other.operations {
            *self.operations.entry(operation).or_default() += count;
        }
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
        self.differences.extend(other.differences);
        self.failures.extend(other.failures);
    }
}

/// Works in a new directory below `parent`, which is removed unless something was wrong;
/// `progress` is told the number of operations every now and then.
///
/// # Errors
/// If there can be no directory to work in.
pub fn run(parent: &Path, options: &Options, progress: impl Fn(u64, Duration)) -> Result<Summary> {
    const BETWEEN_REPORTS: Duration = Duration::from_millis(500);
    let directory = parent.join(format!("fsglass-exercise-{}", std::process::id()));
    std::fs::create_dir(&directory)
        .map_err(|error| Error::new(format!("cannot create {}: {error}", directory.display())))?;
    let started = Instant::now();
    let done = AtomicU64::new(0);
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for thread in 0..options.threads {
            let (sender, directory, done) = (sender.clone(), &directory, &done);
            scope.spawn(move || {
                let tally = work(directory, thread, options, done);
                let _somebody_listens = sender.send(tally);
            });
        }
        drop(sender);
        loop {
            match receiver.recv_timeout(BETWEEN_REPORTS) {
                Ok(tally) => total.add(tally),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    progress(done.load(Ordering::Relaxed), started.elapsed());
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    if total.differences.is_empty() && total.failures.is_empty() {
        // Each thread has deleted what it made: a file that nobody made would stay, and tell.
        if let Err(error) = std::fs::remove_dir(&directory) {
            let what = format!("cannot remove {}: {error}", directory.display());
            total.failures.push(what);
        }
    }
    Ok(Summary {
        directory,
        seed: options.seed,
        threads: options.threads,
        operations: total.operations,
        bytes_read: total.bytes_read,
        bytes_written: total.bytes_written,
        seconds,
        differences: total.differences,
        failures: total.failures,
    })
}

/// One thread: its operations, then a look at every file, then away with them.
fn work(directory: &Path, thread: u32, options: &Options, done: &AtomicU64) -> Tally {
    let mut worker = Worker::new(directory.join(format!("thread-{thread}")), options, thread);
    for _ in 0..options.operations {
        if !worker.step() {
            break;
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    worker.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            threads: 3,
            operations: 400,
            files: 8,
            size: 20_000,
            seed: 7,
        }
    }

    #[test]
    fn a_sound_file_system_passes_and_nothing_is_left_behind() {
        let parent = tempfile::tempdir().unwrap();
        let summary = run(parent.path(), &options(), |_, _| {}).unwrap();
        assert_eq!(summary.exit(), Exit::Done, "{summary:?}");
        assert!(summary.total() >= 1200 && summary.bytes_read > 0 && summary.bytes_written > 0);
        // Each kind of operation was met: a workload that never renames would prove nothing of it.
        for operation in worker::OPERATIONS {
            let count = summary.operations.get(operation).copied();
            assert!(count.is_some_and(|count| count > 0), "{operation}");
        }
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_seed_decides_what_is_done() {
        let parent = tempfile::tempdir().unwrap();
        let run = |seed| {
            let options = Options { seed, ..options() };
            let summary = run(parent.path(), &options, |_, _| {}).unwrap();
            (summary.operations, summary.bytes_written)
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let error = run(Path::new("/nowhere/at/all"), &options(), |_, _| {}).unwrap_err();
        assert_eq!(error.exit(), Exit::Failed);
    }
}
