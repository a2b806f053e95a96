//! How many requests are below a filter device, by their kind.
//!
//! Kept only where the driver may be unloaded: DriverUnload waits for them, and
//! can say for which. Elsewhere nothing is written (P4).

use crate::irp::RequestKind;
use core::sync::atomic::{AtomicU32, Ordering};

/// The requests that have been passed on and have not come back.
pub struct InFlight([AtomicU32; RequestKind::COUNT]);

impl InFlight {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; RequestKind::COUNT])
    }

    fn count(&self, kind: RequestKind) -> Option<&AtomicU32> {
        self.0.get(kind.index())
    }

    pub(crate) fn begin(&self, kind: RequestKind) {
        if let Some(count) = self.count(kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn end(&self, kind: RequestKind) {
        if let Some(count) = self.count(kind) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The kinds that are there at this moment, and how many of each. IRQL: any.
    pub fn iter(&self) -> impl Iterator<Item = (RequestKind, u32)> {
        self.0
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .enumerate()
            .filter(|&(_, count)| count != 0)
            .map(|(index, count)| (RequestKind::from_index(index), count))
    }

    /// Whether there are none at this moment. IRQL: any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}
