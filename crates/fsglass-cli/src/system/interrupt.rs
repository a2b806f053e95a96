//! Ctrl-C.

use crate::error::{Error, Result};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static CAUGHT: AtomicBool = AtomicBool::new(false);

/// From here on it is only noted.
pub fn catch() -> Result<()> {
    static SET: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let set = || ctrlc::set_handler(|| CAUGHT.store(true, Ordering::Release));
    let set = SET.get_or_init(|| set().map_err(|error| error.to_string()));
    set.clone()
        .map_err(|error| Error::new(format!("cannot catch Ctrl-C: {error}")))
}

/// Whether it was pressed since.
pub fn caught() -> bool {
    CAUGHT.load(Ordering::Acquire)
}
