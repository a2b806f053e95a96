//! Who has the control device open, and what is observed for it.

use crate::glass::Glass;
use crate::observe::Trace;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use fsglass_protocol::trace::Filter;
use wdm::driver::Driver;
use wdm::irql::{AtMostApc, Passive};
use wdm::status::Status;
use wdm::sync::Mutex;

/// One open of the control device, from its create to its close.
pub struct Client {
    /// Told apart by it at the debugger.
    pub number: u32,
    /// Until its last handle is closed.
    open: AtomicBool,
    wants: Mutex<Wants>,
}

/// What is observed for a client.
struct Wants {
    statistics: bool,
    trace: Option<Trace>,
    /// Its last handle is closed: it gets nothing new.
    closed: bool,
}

/// Clients that have been numbered.
static NUMBERED: AtomicU32 = AtomicU32::new(0);
/// Clients that are open.
static OPEN: AtomicU32 = AtomicU32::new(0);

impl Client {
    /// The next one.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new() -> Result<Self, Status> {
        let wants = Mutex::try_new(Wants {
            statistics: false,
            trace: None,
            closed: false,
        })?;
        OPEN.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            number: NUMBERED.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
            open: AtomicBool::new(true),
            wants,
        })
    }

    /// Its last handle is closed: nothing is observed for it any more.
    pub fn close(&self, driver: &Driver<Glass>, level: &mut AtMostApc) {
        self.count_out();
        // IRP_MJ_CLEANUP is sent at PASSIVE_LEVEL.
        if let Some(level) = level.passive() {
            let observer = &driver.filter().observer;
            self.wants.with(level, |wants, level| {
                wants.closed = true;
                if core::mem::take(&mut wants.statistics) {
                    observer.want_statistics(false, level);
                }
                if let Some(trace) = wants.trace.take() {
                    observer.stop(&trace, level);
                }
            });
        }
    }

    /// Once is enough.
    fn count_out(&self) {
        if self.open.swap(false, Ordering::Relaxed) {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many are open.
    pub fn count() -> u32 {
        OPEN.load(Ordering::Relaxed)
    }

    /// Whether it wants statistics.
    pub fn observe(&self, driver: &Driver<Glass>, statistics: bool, level: &mut Passive) {
        let observer = &driver.filter().observer;
        self.wants.with(level, |wants, level| {
            let statistics = statistics && !wants.closed;
            if statistics == core::mem::replace(&mut wants.statistics, statistics) {
                return;
            }
            observer.want_statistics(statistics, level);
        });
    }

    /// Starts its trace.
    ///
    /// Errors: STATUS_INVALID_DEVICE_STATE if it has one; STATUS_TOO_MANY_SESSIONS,
    /// STATUS_INSUFFICIENT_RESOURCES.
    pub fn start_trace(
        &self,
        driver: &Driver<Glass>,
        filter: &Filter<'_>,
        level: &mut Passive,
    ) -> Result<(), Status> {
        self.wants.with(level, |wants, level| {
            if wants.trace.is_some() || wants.closed {
                return Err(Status::INVALID_DEVICE_STATE);
            }
            wants.trace = Some(driver.filter().observer.start(filter, level)?);
            Ok(())
        })
    }

    /// Stops its trace.
    ///
    /// Errors: STATUS_INVALID_DEVICE_STATE if it has none.
    pub fn stop_trace(&self, driver: &Driver<Glass>, level: &mut Passive) -> Result<(), Status> {
        self.wants.with(level, |wants, level| {
            let trace = wants.trace.take().ok_or(Status::INVALID_DEVICE_STATE)?;
            driver.filter().observer.stop(&trace, level);
            Ok(())
        })
    }

    /// Its trace, if it has one. A request that reads it may outlive the client.
    pub fn trace(&self, level: &mut Passive) -> Option<Trace> {
        self.wants.with(level, |wants, _| wants.trace.clone())
    }
}

impl Drop for Client {
    /// An open that failed for want of memory never had a handle.
    fn drop(&mut self) {
        self.count_out();
    }
}
