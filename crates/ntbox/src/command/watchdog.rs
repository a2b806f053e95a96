//! Ends a run in which nothing moves any more: a request that a driver keeps for
//! ever would otherwise keep its program, and the command, for ever.

#![expect(unsafe_code, reason = "outstanding requests are described by pointer")]

use ntbox::io_manager::{device, irp};
use ntbox::nt::{IRP, IrpExt, unicode};
use ntbox::processor::thread;
use ntbox::verifier::{collected, major_name};
use ntbox::workload::Progress;
use ntbox::{host, pe_image};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long no request may finish.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests described.
const SHOWN: usize = 16;

/// Watches a run until it is dropped.
pub struct Watchdog {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Ends the process with exit code 1 when `progress` stands still.
    pub fn start(progress: &Arc<Progress>, json: bool) -> Self {
        let stop: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let (progress, stopped) = (Arc::clone(progress), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            if !stands_still(&progress, &stopped, PATIENCE) {
                return;
            }
            let requests = outstanding();
            let message = format!("no request has finished for {} seconds", PATIENCE.as_secs());
            if json {
                let value = serde_json::json!({
                    "stalled": message,
                    "outstanding": requests,
                    "collected": collected::so_far(),
                });
                host::write_raw(true, &format!("{value}\n"));
            } else {
                let list: String = requests
                    .iter()
                    .map(|request| format!("\n  {request}"))
                    .collect();
                host::write_raw(
                    false,
                    &format!(
                        "{}\nntbox: {message}; outstanding requests:{list}\n",
                        collected::text(&collected::so_far())
                    ),
                );
            }
            host::exit_now(1);
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

/// True when no request has finished for `patience`; false when it was told to stop before. Added up of short
/// pauses: what passes while a debugger has stopped the process is one of them.
fn stands_still(progress: &Progress, stop: &(Mutex<bool>, Condvar), patience: Duration) -> bool {
    let (mut last, mut still) = (progress.now().0, Duration::ZERO);
    let mut stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let pause = (patience / 8).min(Duration::from_secs(1));
        stopped = stop
            .1
            .wait_timeout(stopped, pause)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if *stopped {
            return false;
        }
        let now = progress.now().0;
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

/// The requests that are somewhere in a stack.
fn outstanding() -> Vec<String> {
    let mut found = Vec::new();
    irp::for_each_live(|irp, site| {
        if found.len() < SHOWN
            && let Some(text) = describe(irp, site)
        {
            found.push(text);
        }
    });
    found
}

fn describe(irp: *mut IRP, site: usize) -> Option<String> {
    // SAFETY: alive during the visit.
    let header = unsafe { &*irp };
    if !(1..=header.StackCount).contains(&header.CurrentLocation) {
        return None;
    }
    // SAFETY: as above; the location is within the stack.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let location = unsafe { &*location };
    let mut text = major_name(location.MajorFunction).to_owned();
    if !location.FileObject.is_null() {
        // SAFETY: a request keeps its file object.
        let name = unsafe { &raw const (*location.FileObject).FileName };
        // SAFETY: as above.
        text += &format!(" {}", unsafe { unicode::to_string(name) });
    }
    if !location.DeviceObject.is_null() {
        // SAFETY: a request keeps the device it is at.
        text += &format!(" at {}", unsafe { device::describe(location.DeviceObject) });
    }
    // SAFETY: alive during the visit.
    if let Some(owner) = thread::from_object(unsafe { irp.thread() }) {
        text += &format!(", of {}", owner.name());
    }
    if site != 0 {
        text += &format!(", allocated by {}", pe_image::describe_code(site));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_still_is_noticed_and_stopping_is_not_mistaken_for_it() {
        let progress = Progress::default();
        let stop = (Mutex::new(false), Condvar::new());
        assert!(stands_still(&progress, &stop, Duration::from_millis(40)));
        *stop.0.lock().expect("the test's own") = true;
        assert!(!stands_still(&progress, &stop, Duration::from_secs(5)));
    }
}
