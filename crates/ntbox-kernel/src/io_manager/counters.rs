//! What the I/O manager sent, for programs and of its own: IRPs by major function, fast I/O by entry.

use crate::nt::{MAJOR_FUNCTION_COUNT, NTSTATUS, STATUS_CANCELLED, STATUS_PENDING, Status};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A fast I/O entry the services call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the table's entry of that name")]
pub enum FastIo {
    CheckIfPossible,
    Read,
    Write,
    QueryBasicInfo,
    QueryStandardInfo,
    QueryNetworkOpenInfo,
    QueryOpen,
    Lock,
    UnlockSingle,
    UnlockAll,
    DeviceControl,
    MdlRead,
    MdlReadComplete,
    PrepareMdlWrite,
    MdlWriteComplete,
}

/// All entries, in the order in which [`Counts::fast`] counts them.
pub const FAST_IO: [FastIo; 15] = [
    FastIo::CheckIfPossible,
    FastIo::Read,
    FastIo::Write,
    FastIo::QueryBasicInfo,
    FastIo::QueryStandardInfo,
    FastIo::QueryNetworkOpenInfo,
    FastIo::QueryOpen,
    FastIo::Lock,
    FastIo::UnlockSingle,
    FastIo::UnlockAll,
    FastIo::DeviceControl,
    FastIo::MdlRead,
    FastIo::MdlReadComplete,
    FastIo::PrepareMdlWrite,
    FastIo::MdlWriteComplete,
];

/// Counts since the start or since a [`snapshot`] taken earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Services called.
    pub calls: u64,
    /// IRPs by major function: those of programs, of closed handles, of paging, of mounts and of the PnP manager.
    pub irps: [u64; MAJOR_FUNCTION_COUNT],
    /// Per entry: called, and of those answered.
    pub fast: [(u64, u64); FAST_IO.len()],
    /// IRPs for which the stack returned `STATUS_PENDING`.
    pub pended: u64,
    /// Calls that ended with an error status.
    pub failed: u64,
    /// Calls that ended with `STATUS_CANCELLED`.
    pub cancelled: u64,
}

impl Counts {
    /// All IRPs.
    pub fn irps_total(&self) -> u64 {
        self.irps.iter().sum()
    }
    /// Fast I/O calls that were answered.
    pub fn fast_answered(&self) -> u64 {
        self.fast.iter().map(|(_, answered)| answered).sum()
    }
    /// What was counted between `earlier` and `self`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            calls: self.calls - earlier.calls,
            irps: std::array::from_fn(|major| self.irps[major] - earlier.irps[major]),
            fast: std::array::from_fn(|entry| {
                (
                    self.fast[entry].0 - earlier.fast[entry].0,
                    self.fast[entry].1 - earlier.fast[entry].1,
                )
            }),
            pended: self.pended - earlier.pended,
            failed: self.failed - earlier.failed,
            cancelled: self.cancelled - earlier.cancelled,
        }
    }
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static IRPS: [AtomicU64; MAJOR_FUNCTION_COUNT] =
    [const { AtomicU64::new(0) }; MAJOR_FUNCTION_COUNT];
static TRIED: [AtomicU64; FAST_IO.len()] = [const { AtomicU64::new(0) }; FAST_IO.len()];
static ANSWERED: [AtomicU64; FAST_IO.len()] = [const { AtomicU64::new(0) }; FAST_IO.len()];
static PENDED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
static CANCELLED: AtomicU64 = AtomicU64::new(0);

/// An IRP was sent and the stack returned `status`.
pub(crate) fn irp(major: u8, status: NTSTATUS) {
    if let Some(count) = IRPS.get(usize::from(major)) {
        count.fetch_add(1, Relaxed);
    }
    if status == STATUS_PENDING {
        PENDED.fetch_add(1, Relaxed);
    }
}

/// A fast I/O entry was called.
pub(crate) fn fast(entry: FastIo, answered: bool) {
    TRIED[entry as usize].fetch_add(1, Relaxed);
    if answered {
        ANSWERED[entry as usize].fetch_add(1, Relaxed);
    }
}

/// A call of a program ended with `status`.
pub(crate) fn call(status: NTSTATUS) {
    CALLS.fetch_add(1, Relaxed);
    if Status(status).is_error() {
        FAILED.fetch_add(1, Relaxed);
    }
    if status == STATUS_CANCELLED {
        CANCELLED.fetch_add(1, Relaxed);
    }
}

/// The counts so far.
pub fn snapshot() -> Counts {
    Counts {
        calls: CALLS.load(Relaxed),
        irps: std::array::from_fn(|major| IRPS[major].load(Relaxed)),
        fast: std::array::from_fn(|entry| {
            (TRIED[entry].load(Relaxed), ANSWERED[entry].load(Relaxed))
        }),
        pended: PENDED.load(Relaxed),
        failed: FAILED.load(Relaxed),
        cancelled: CANCELLED.load(Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_at_their_own_place() {
        for (place, entry) in FAST_IO.iter().enumerate() {
            assert_eq!(*entry as usize, place);
        }
    }

    #[test]
    fn a_difference_counts_what_came_between() {
        let earlier = Counts {
            calls: 2,
            pended: 1,
            ..Counts::default()
        };
        let later = Counts {
            calls: 5,
            pended: 1,
            ..earlier
        };
        assert_eq!(
            later.since(&earlier),
            Counts {
                calls: 3,
                ..Counts::default()
            }
        );
    }
}
