//! How much nonpaged memory observation keeps, and may keep (O1).
//!
//! Counters, rings and names are charged with their bytes when they are made, and give them back when they
//! are dropped. What does not fit is not made, as if there were no memory for it. Not among it is what each
//! request needs while it is below: there is as much of that as there are requests.

use core::sync::atomic::{AtomicU64, Ordering};
use observe::budget::Budget;
use wdm::status::Status;

/// What memory is kept for.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// Counters.
    Statistics,
    /// The rings of traces.
    Traces,
    /// Names of files.
    Names,
}

static TOTAL: Budget = Budget::new();
static STATISTICS: Budget = Budget::new();
static TRACES: Budget = Budget::new();
static NAMES: Budget = Budget::new();

/// The most bytes of all of them together.
static MOST: AtomicU64 = AtomicU64::new(0);

/// Says how many bytes may be kept.
pub fn set_most(bytes: u64) {
    MOST.store(bytes, Ordering::Relaxed);
}

/// How many bytes may be kept.
pub fn most() -> u64 {
    MOST.load(Ordering::Relaxed)
}

/// How many bytes are kept for that.
pub fn kept(purpose: Purpose) -> u64 {
    budget(purpose).kept()
}

const fn budget(purpose: Purpose) -> &'static Budget {
    match purpose {
        Purpose::Statistics => &STATISTICS,
        Purpose::Traces => &TRACES,
        Purpose::Names => &NAMES,
    }
}

/// Bytes that are kept until this is dropped.
pub struct Charge {
    purpose: Purpose,
    bytes: u64,
}

impl Charge {
    /// Keeps `bytes`. IRQL: any.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES, if that is more than may be kept.
    pub fn new(purpose: Purpose, bytes: usize) -> Result<Self, Status> {
        Self::of_at_most(purpose, bytes, u64::MAX)
    }

    /// As [`Charge::new`], if there are no more than `most` for that purpose then.
    ///
    /// Errors: as there.
    pub fn of_at_most(purpose: Purpose, bytes: usize, most: u64) -> Result<Self, Status> {
        let bytes = bytes as u64;
        if !budget(purpose).take(bytes, most) {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        // From here on dropping it gives both back.
        if !TOTAL.take(bytes, self::most()) {
            budget(purpose).give(bytes);
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        Ok(Self { purpose, bytes })
    }

    /// Its bytes, which whoever asks gives back with [`Charge::of`].
    pub fn into_bytes(self) -> u64 {
        core::mem::ManuallyDrop::new(self).bytes
    }

    /// A charge for bytes that are kept already.
    pub const fn of(purpose: Purpose, bytes: u64) -> Self {
        Self { purpose, bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        TOTAL.give(self.bytes);
        budget(self.purpose).give(self.bytes);
    }
}
