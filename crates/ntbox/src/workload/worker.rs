//! One thread of a workload: its random choices, its log, its checks.

use super::layout::{Mask, masked};
use super::observed::Log;
use super::progress::Progress;
use crate::io_manager::identity::{self, Moment};
use crate::nt::{
    FILE_SYNCHRONOUS_IO_NONALERT, NTSTATUS, STATUS_CANCELLED, STATUS_DEVICE_BUSY,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_IO_DEVICE_ERROR, Status,
};
use crate::user::{CreateParameters, EndBy, File, Mapping, Outcome, View, create_file};
use std::sync::Arc;

/// Statuses that are injected where a request allows it.
pub const INJECTED: [NTSTATUS; 3] = [
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_IO_DEVICE_ERROR,
    STATUS_DEVICE_BUSY,
];

/// One of so many requests is cancelled on its way.
const CANCELLED: u32 = 8;

/// How often a request is tried again after an injected failure.
const TRIES: usize = 20;

/// One thread of a workload.
pub struct Worker {
    /// Ordinal, 1-based.
    pub thread: u32,
    /// All its choices.
    pub random: fastrand::Rng,
    /// What it saw.
    pub log: Log,
    /// What was not as it should be, seen from the program (contents, sizes, listings).
    pub wrong: Vec<String>,
    /// Files copied and found equal.
    pub files: u64,
    /// Which of its requests another thread cancels on their way, and when; apart from all its other choices.
    cancels: fastrand::Rng,
    /// What the calls on its asynchronous files end with; apart from them too.
    endings: fastrand::Rng,
    volume: String,
    label: String,
    progress: Arc<Progress>,
}

impl Worker {
    /// A worker; it belongs to the current thread from now on.
    pub fn new(thread: u32, seed: u64, progress: Arc<Progress>) -> Self {
        identity::begin_thread(thread);
        Self {
            thread,
            random: fastrand::Rng::with_seed(
                seed ^ u64::from(thread).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            ),
            cancels: fastrand::Rng::with_seed(seed.rotate_left(32) ^ u64::from(thread)),
            endings: fastrand::Rng::with_seed(seed.rotate_left(16) ^ u64::from(thread)),
            log: Log::new(thread),
            wrong: Vec::new(),
            files: 0,
            volume: String::new(),
            label: String::new(),
            progress,
        }
    }

    /// Works on the volume with this NT name from now on. Logs show `label` in its place:
    /// two runs may lie on different volumes.
    pub fn enter_volume(&mut self, volume: &str, label: &str) {
        self.volume = volume.to_owned();
        self.label = label.to_owned();
    }

    /// The full NT name of a path on the current volume.
    pub fn full(&self, path: &str) -> String {
        format!("{}{path}", self.volume)
    }

    /// True with a chance of one in `n`.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.random.u32(..n) == 0
    }

    /// Records a result.
    pub fn note(&mut self, operation: &'static str, path: &str, outcome: &Outcome, mask: Mask) {
        let data = masked(mask, &outcome.data);
        let name = format!("{}{path}", self.label);
        self.log.push(operation, &name, outcome, &data);
        self.progress.request();
    }

    /// Records a result and hands it on.
    pub fn noted(
        &mut self,
        operation: &'static str,
        path: &str,
        outcome: Outcome,
        mask: Mask,
    ) -> Outcome {
        self.note(operation, path, &outcome, mask);
        outcome
    }

    /// Runs a request that may be failed by injection, again until it is not. Each try is recorded.
    pub fn retried(
        &mut self,
        operation: &'static str,
        path: &str,
        mask: Mask,
        mut request: impl FnMut() -> Outcome,
    ) -> Outcome {
        for _ in 1..TRIES {
            let before = identity::calls();
            identity::allow_failure_of_next();
            let cancelled = self.cancels.u32(..CANCELLED) == 0;
            if cancelled {
                identity::cancel_next(Moment::ALL[self.cancels.usize(..Moment::ALL.len())]);
            }
            let outcome = request();
            identity::ask_nothing_of_next();
            // A driver may complete it so: as if it had not been asked for.
            if cancelled && outcome.status == STATUS_CANCELLED {
                identity::take_back_to(before);
                continue;
            }
            self.note(operation, path, &outcome, mask);
            if !INJECTED.contains(&outcome.status) {
                return outcome;
            }
        }
        let outcome = request();
        self.noted(operation, path, outcome, mask)
    }

    /// Opens a file, again after injected failures.
    pub fn open(
        &mut self,
        path: &str,
        change: impl Fn(CreateParameters<'_>) -> CreateParameters<'_>,
    ) -> Option<File> {
        self.open_below(None, path, change)
    }

    /// As [`open`](Self::open); relative to a directory that is open, if one is given with its path.
    pub fn open_below(
        &mut self,
        directory: Option<(&File, &str)>,
        path: &str,
        change: impl Fn(CreateParameters<'_>) -> CreateParameters<'_>,
    ) -> Option<File> {
        let name = match directory {
            Some((_, root)) => {
                let below = path.strip_prefix(root).unwrap_or(path);
                below.trim_start_matches('\\').to_owned()
            }
            None => self.full(path),
        };
        let mut file = None;
        self.retried("create", path, Mask::None, || {
            let mut parameters = CreateParameters::new(&name);
            if let Some((directory, _)) = directory {
                parameters = parameters.relative_to(directory);
            }
            let opened = create_file(&change(parameters));
            file = opened.file;
            opened.outcome
        });
        if let Some(file) = &mut file
            && file.is_asynchronous()
        {
            self.draw_ending(path, file);
        }
        file
    }

    /// Has the calls on an asynchronous file end in one of the ways that there are.
    fn draw_ending(&mut self, path: &str, file: &mut File) {
        let ending = EndBy::ALL[self.endings.usize(..EndBy::ALL.len())];
        if let Err(status) = file.end_by(ending) {
            self.complain(path, &format!("{ending:?}: {}", Status(status)));
        }
    }

    /// Opens a file that must be there.
    pub fn must_open(
        &mut self,
        path: &str,
        change: impl Fn(CreateParameters<'_>) -> CreateParameters<'_>,
    ) -> Option<File> {
        let file = self.open(path, change);
        if file.is_none() {
            let status = self.log.entries().last().map_or(0, |entry| entry.status);
            self.complain(path, &format!("cannot be opened: {}", Status(status)));
        }
        file
    }

    /// Maps a file, again after injected failures.
    pub fn map(&mut self, path: &str, file: &File, mapping: Mapping) -> Option<View> {
        let mut view = None;
        self.retried("map", path, Mask::None, || {
            let (outcome, made) = file.map(mapping);
            view = made;
            outcome
        });
        view
    }

    /// Closes a file.
    pub fn close(&mut self, path: &str, file: File) {
        let packets = file.unclaimed_packets();
        if packets != 0 {
            self.complain(
                path,
                &format!("{packets} packets that nobody has asked for"),
            );
        }
        let outcome = file.close();
        self.note("close", path, &outcome, Mask::None);
        if !outcome.is_success() {
            self.complain(path, &format!("close: {}", outcome.status()));
        }
    }

    /// Notes that something is not as it should be.
    pub fn complain(&mut self, path: &str, what: &str) {
        self.progress.wrong();
        self.wrong.push(format!(
            "thread {}, {}{path}: {what}",
            self.thread, self.label
        ));
    }

    /// Complains unless the outcome is a success.
    pub fn expect(&mut self, path: &str, what: &str, outcome: &Outcome) -> bool {
        if !outcome.is_success() {
            self.complain(path, &format!("{what}: {}", outcome.status()));
        }
        outcome.is_success()
    }

    /// Complains unless the outcome has this status.
    pub fn expect_status(&mut self, path: &str, what: &str, outcome: &Outcome, status: NTSTATUS) {
        if outcome.status != status {
            self.complain(
                path,
                &format!("{what}: {} instead of {}", outcome.status(), Status(status)),
            );
        }
    }

    /// A file was copied and found equal.
    pub fn file_done(&mut self) {
        self.files += 1;
        self.progress.file();
    }
}

/// Options of a synchronous open with `more`.
pub fn synchronous(more: u32) -> u32 {
    FILE_SYNCHRONOUS_IO_NONALERT | more
}
