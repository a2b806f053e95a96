//! How much memory something keeps, and may keep.

use crate::atomic::{AtomicU64, Ordering};

/// Bytes that are kept.
pub struct Budget(AtomicU64);

impl Budget {
    /// Nothing is kept.
    #[must_use]
    #[cfg(not(feature = "model"))]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Nothing is kept.
    #[must_use]
    #[cfg(feature = "model")]
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether `bytes` more may be kept, so that it is no more than `most`; they are kept then.
    pub fn take(&self, bytes: u64, most: u64) -> bool {
        let mut kept = self.0.load(Ordering::Relaxed);
        loop {
            let Some(sum) = kept.checked_add(bytes).filter(|sum| *sum <= most) else {
                return false;
            };
            let taken =
                self.0
                    .compare_exchange_weak(kept, sum, Ordering::Relaxed, Ordering::Relaxed);
            match taken {
                Ok(_) => return true,
                Err(now) => kept = now,
            }
        }
    }

    /// So many of them are given back.
    pub fn give(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What is kept at this moment.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}
