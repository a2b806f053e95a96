//! Waiting for requests, with an end.
//!
//! A driver that is wrong may leave a program waiting for ever. How long a right one takes cannot
//! be said either: the machine may be busy. So time is counted in what is done: a round asks the
//! file system for a report, which takes the way of a request through Wine's server, the driver's
//! process and back. Once the file system says that it has completed all that it received, a
//! program that is still waiting has many rounds left to be woken in, which is far more than it
//! needs; then its request counts as lost.

use crate::Outcome;
use crate::kit::Kit;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How many rounds a program has to be woken in.
const ROUNDS: u32 = 1000;

/// Runs `work`, which waits for requests on volumes, and ends when it does or is lost.
pub fn run<T: Send + 'static>(
    what: &str,
    kit: &Kit,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    let mut idle = 0;
    let mut before = None;
    loop {
        match receiver.recv_timeout(Duration::from_millis(5)) {
            Ok(outcome) => return outcome.map_err(|error| format!("{what}: {error}")),
            Err(RecvTimeoutError::Disconnected) => return Err(format!("{what}: a panic")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let report = kit.report()?;
        let settled = report.all_received() == report.completed + report.held;
        if settled && before == Some(report) {
            idle += 1;
        } else {
            idle = 0;
        }
        if idle > ROUNDS {
            return Err(format!(
                "{what}: a request is lost. The file system has received {} and completed {}, \
                 and the program waits",
                report.all_received(),
                report.completed
            ));
        }
        before = Some(report);
    }
}
