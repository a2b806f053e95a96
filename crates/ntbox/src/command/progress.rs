//! Progress on standard error: one line that changes on a terminal, plain lines elsewhere.

use ntbox::workload::Progress;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Shows how far a run is until it is dropped.
pub struct Display {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Shows `progress` under `title`; nothing if `quiet`.
    pub fn start(title: &str, progress: &Arc<Progress>, quiet: bool) -> Self {
        let stop: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        if quiet {
            return Self { stop, thread: None };
        }
        let (title, progress, stopped) =
            (title.to_owned(), Arc::clone(progress), Arc::clone(&stop));
        let thread = std::thread::spawn(move || show(&title, &progress, &stopped));
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A display that panicked has shown all it will.
            let _ = thread.join();
        }
    }
}

/// A line is on the terminal that has not ended.
static OPEN_LINE: AtomicBool = AtomicBool::new(false);

fn show(title: &str, progress: &Progress, stop: &(Mutex<bool>, Condvar)) {
    let terminal = std::io::stderr().is_terminal();
    let pause = if terminal {
        Duration::from_millis(100)
    } else {
        Duration::from_secs(2)
    };
    let begun = Instant::now();
    let mut stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let waited = stop
            .1
            .wait_timeout(stopped, pause)
            .unwrap_or_else(PoisonError::into_inner);
        stopped = waited.0;
        let line = line(title, progress, begun.elapsed());
        let mut error = std::io::stderr().lock();
        // Progress that cannot be written is no reason to end.
        let _ = if terminal {
            OPEN_LINE.store(!*stopped, Ordering::Relaxed);
            write!(error, "\r{line}\x1b[K{}", if *stopped { "\n" } else { "" })
        } else {
            writeln!(error, "{line}")
        };
        let _ = error.flush();
        if *stopped {
            return;
        }
    }
}

fn line(title: &str, progress: &Progress, elapsed: Duration) -> String {
    let (requests, files, wrong) = progress.now();
    let planned = progress.files_planned.load(Ordering::Relaxed);
    let mut line = format!(
        "{title:<10} {:5.1} s  {requests:>8} requests",
        elapsed.as_secs_f64()
    );
    if planned != 0 {
        line += &format!("  {files:>6}/{planned} files");
    }
    if wrong != 0 {
        line += &format!("  {wrong} wrong");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_what_matters() {
        let progress = Progress::default();
        let text = line("bare", &progress, Duration::from_millis(1500));
        assert!(
            text.starts_with("bare") && text.contains("1.5 s") && text.contains("0 requests"),
            "{text}"
        );
        assert!(!text.contains("files") && !text.contains("wrong"), "{text}");
        progress.files_planned.store(7, Ordering::Relaxed);
        assert!(line("bare", &progress, Duration::ZERO).contains("0/7 files"));
    }
}
