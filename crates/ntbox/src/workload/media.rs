//! A second medium for each drive: an empty directory.

use crate::host::file::Temporary;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// By the NT name of the volume; they stay until [`remove_all`], as the drive knows them.
static OTHERS: Mutex<BTreeMap<String, Temporary>> = Mutex::new(BTreeMap::new());

/// The other medium of the drive `volume`; none if the host has no room for it.
pub fn other(volume: &str) -> Option<PathBuf> {
    let mut others = OTHERS.lock().unwrap_or_else(PoisonError::into_inner);
    let other = match others.entry(volume.to_owned()) {
        Entry::Occupied(there) => there.into_mut(),
        Entry::Vacant(missing) => missing.insert(Temporary::new().ok()?),
    };
    Some(other.path().to_owned())
}

/// At the end of the process: no drive is used any more.
pub fn remove_all() {
    let mut others = OTHERS.lock().unwrap_or_else(PoisonError::into_inner);
    others.clear();
}
