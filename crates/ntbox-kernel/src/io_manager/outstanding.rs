//! How much of a driver's is outstanding: what it waits for before it is unloaded.

use crate::nt::DRIVER_OBJECT;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A count for each driver that has one.
pub(super) struct Outstanding(LazyLock<Mutex<HashMap<usize, usize>>>);

impl Outstanding {
    /// Nothing of any driver's.
    pub(super) const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }
    fn counts(&self) -> MutexGuard<'_, HashMap<usize, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// So many more, or fewer, of the driver's.
    pub(super) fn count(&self, driver: *mut DRIVER_OBJECT, change: isize) {
        let mut counts = self.counts();
        let count = counts.entry(driver as usize).or_default();
        *count = count.wrapping_add_signed(change);
        if *count == 0 {
            counts.remove(&(driver as usize));
        }
    }
    /// How many there are of the driver's.
    pub(super) fn of(&self, driver: *mut DRIVER_OBJECT) -> usize {
        self.counts().get(&(driver as usize)).copied().unwrap_or(0)
    }
}
