//! Requests that have waited, told to whoever asked for it.

use ntbox_kernel::io_manager::identity::Identity;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Calls whose requests have waited, of those that asked for it.
static WAITED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

fn waited() -> MutexGuard<'static, Vec<u64>> {
    WAITED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request of the call waits.
pub fn waits(identity: Identity) {
    if identity.wanted.announce {
        waited().push(identity.value);
    }
}

/// Forgets all calls that have waited.
pub fn forget() {
    waited().clear();
}

/// Whether a request of the call has waited; forgets it.
pub fn has_waited(identity: u64) -> bool {
    let mut waited = waited();
    let place = waited.iter().position(|value| *value == identity);
    place.map(|place| waited.swap_remove(place)).is_some()
}
