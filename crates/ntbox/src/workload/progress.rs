//! How far a run is.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How far a run is. All threads count into it.
#[derive(Debug, Default)]
pub struct Progress {
    requests: AtomicU64,
    files: AtomicU64,
    wrong: AtomicU64,
    /// Files to copy and compare, over all volumes.
    pub files_planned: AtomicU64,
}

impl Progress {
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }
    pub(super) fn file(&self) {
        self.files.fetch_add(1, Relaxed);
    }
    pub(super) fn wrong(&self) {
        self.wrong.fetch_add(1, Relaxed);
    }
    /// `(requests, files, complaints)` so far.
    pub fn now(&self) -> (u64, u64, u64) {
        (
            self.requests.load(Relaxed),
            self.files.load(Relaxed),
            self.wrong.load(Relaxed),
        )
    }
}
