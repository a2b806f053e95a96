//! How a reader sleeps without missing a record.
//!
//! The reader arms the bell, and looks once more whether there is something; the writer publishes,
//! and looks whether the bell is armed. A fence on each side keeps both from looking too early, so
//! at least one of them sees the other. Whoever disarms the bell wakes the reader: once.

use crate::atomic::{AtomicBool, Ordering, fence};

/// A bell for one reader and any number of writers.
pub struct Doorbell(AtomicBool);

impl Doorbell {
    /// Not armed.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// The reader is about to sleep: it looks for records after this.
    pub fn arm(&self) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Something was published. Whether the caller has to wake the reader.
    pub fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        self.disarm()
    }

    /// Whether the bell was armed, and the caller is the one that disarmed it.
    pub fn disarm(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::AcqRel)
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}
