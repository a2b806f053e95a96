//! Ends a run in which nothing moves any more: a routine of a driver that does not return, or a request that it
//! keeps, would otherwise keep the command for ever.

use super::standstill;
use ntbox::host;
use ntbox::io_manager::counters;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Seconds in which no call of a program need come to its end, unless the command line has others.
pub const PATIENCE: u64 = 60;

static SECONDS: AtomicU64 = AtomicU64::new(PATIENCE);
static JSON: AtomicBool = AtomicBool::new(false);

/// Sets how long nothing may move, and how that is told.
pub fn configure(seconds: u64, json: bool) {
    SECONDS.store(seconds, Ordering::Relaxed);
    JSON.store(json, Ordering::Relaxed);
}

/// Watches the process until it is dropped.
pub struct Watchdog {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Ends the process with exit code 1 when it stands still while it does this.
    pub fn start(doing: &str) -> Self {
        Self::watching(doing, || counters::snapshot().calls)
    }

    /// The same, where it stands still as long as `moved` gives one number.
    pub fn watching(doing: &str, moved: impl Fn() -> u64 + Send + 'static) -> Self {
        let stop: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let (doing, stopped) = (doing.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let seconds = SECONDS.load(Ordering::Relaxed);
            if stands_still(moved, &stopped, Duration::from_secs(seconds)) {
                let found = standstill::look(&doing, seconds);
                let json = JSON.load(Ordering::Relaxed);
                host::write_raw(json, &if json { found.json() } else { found.text() });
                host::exit_now(1);
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It only watches: that it panicked changes nothing.
            let _ = thread.join();
        }
    }
}

/// True when `moved` has been the same for `patience`; false when it was told to stop before. Added up of short
/// pauses: what passes while a debugger has stopped the process is one of them.
fn stands_still(
    moved: impl Fn() -> u64,
    stop: &(Mutex<bool>, Condvar),
    patience: Duration,
) -> bool {
    let (mut last, mut still) = (moved(), Duration::ZERO);
    let mut stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if *stopped {
            return false;
        }
        let pause = (patience / 8).min(Duration::from_secs(1));
        stopped = stop
            .1
            .wait_timeout(stopped, pause)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if *stopped {
            return false;
        }
        let now = moved();
        if now != last {
            (last, still) = (now, Duration::ZERO);
            continue;
        }
        still += pause;
        if still >= patience {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_still_is_noticed_and_stopping_is_not_mistaken_for_it() {
        let stop = (Mutex::new(false), Condvar::new());
        assert!(stands_still(|| 0, &stop, Duration::from_millis(40)));
        *stop.0.lock().expect("the test's own") = true;
        assert!(!stands_still(|| 0, &stop, Duration::from_secs(5)));
    }

    #[test]
    fn what_moves_does_not_stand_still() {
        let stop = (Mutex::new(false), Condvar::new());
        let calls = AtomicU64::new(0);
        let moved = || {
            let calls = calls.fetch_add(1, Ordering::Relaxed);
            // Twice the patience; then it is told to stop, or it would go on for ever.
            calls.min(16)
        };
        assert!(stands_still(moved, &stop, Duration::from_millis(40)));
        assert!(calls.load(Ordering::Relaxed) > 16);
    }
}
