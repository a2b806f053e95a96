//! Requests of the host's kernel while they are worked on, and the end of that.

use crate::errors::Result;
use crate::last_words::{self, Unanswered};
use crate::server::Server;
use fuser::{Errno, Request};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the mount and those who look after it share.
pub struct Shared {
    /// The volume.
    pub server: Server,
    /// Requests that are being worked on. One that waits for a lock may do so for ever, and is not among them.
    busy: AtomicU64,
    /// From now on everything fails.
    stopping: AtomicBool,
}

impl Shared {
    /// Of a volume.
    pub fn new(server: Server) -> Self {
        Self {
            server,
            busy: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        }
    }
    /// Requests that are being worked on.
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Acquire)
    }
    /// Has every request fail from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

/// A request from its arrival to its answer.
pub struct Work<'a> {
    shared: &'a Shared,
    _unanswered: Unanswered,
}

impl<'a> Work<'a> {
    /// It has arrived.
    ///
    /// # Errors
    /// EIO: the mount ends.
    pub fn begin(shared: &'a Shared, request: &Request) -> Result<Self> {
        shared.busy.fetch_add(1, Ordering::AcqRel);
        let work = Self {
            shared,
            _unanswered: Unanswered::new(request.unique().0),
        };
        match shared.stopping.load(Ordering::Acquire) || last_words::ending() {
            true => Err(Errno::EIO.into()),
            false => Ok(work),
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.shared.busy.fetch_sub(1, Ordering::AcqRel);
    }
}
