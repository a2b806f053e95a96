//! Who has the control device open.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// One open of the control device, from its create to its close.
pub struct Client {
    /// Told apart by it at the debugger.
    pub number: u32,
    /// Until its last handle is closed.
    open: AtomicBool,
}

/// Clients that have been numbered.
static NUMBERED: AtomicU32 = AtomicU32::new(0);
/// Clients that are open.
static OPEN: AtomicU32 = AtomicU32::new(0);

impl Client {
    /// The next one.
    pub fn new() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self {
            number: NUMBERED.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
            open: AtomicBool::new(true),
        }
    }

    /// Its last handle is closed. Once is enough.
    pub fn close(&self) {
        if self.open.swap(false, Ordering::Relaxed) {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many are open.
    pub fn count() -> u32 {
        OPEN.load(Ordering::Relaxed)
    }
}

impl Drop for Client {
    /// An open that failed for want of memory never had a handle.
    fn drop(&mut self) {
        self.close();
    }
}
