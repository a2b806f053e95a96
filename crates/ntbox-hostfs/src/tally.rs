//! How often the adversary chose what, and how often fast I/O was served.

use ntbox_kernel::io_manager::identity::Choice;
use ntbox_kernel::nt::MAJOR_FUNCTION_COUNT;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Fast I/O entries of the file system.
pub(super) const ENTRIES: [&str; 16] = [
    "FastIoCheckIfPossible",
    "FastIoRead",
    "FastIoWrite",
    "FastIoQueryBasicInfo",
    "FastIoQueryStandardInfo",
    "FastIoQueryNetworkOpenInfo",
    "FastIoLock",
    "FastIoUnlockSingle",
    "FastIoUnlockAll",
    "FastIoUnlockAllByKey",
    "FastIoDeviceControl",
    "FastIoQueryOpen",
    "MdlRead",
    "PrepareMdlWrite",
    "MdlReadComplete",
    "MdlWriteComplete",
];

const KINDS: usize = 10;
/// Counted kinds beside the eight choices.
const WAITED: usize = 8;
const CANCELLED: usize = 9;
static COUNTS: [[AtomicU64; KINDS]; MAJOR_FUNCTION_COUNT] =
    [const { [const { AtomicU64::new(0) }; KINDS] }; MAJOR_FUNCTION_COUNT];
static FAST: [[AtomicU64; 2]; ENTRIES.len()] =
    [const { [const { AtomicU64::new(0) }; 2] }; ENTRIES.len()];

/// How often each choice was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// [`Choice::Now`].
    pub now: u64,
    /// [`Choice::AtDispatch`].
    pub at_dispatch: u64,
    /// [`Choice::Pend`].
    pub pend: u64,
    /// [`Choice::PendAtDispatch`].
    pub pend_at_dispatch: u64,
    /// [`Choice::OtherThreadBeforeReturn`].
    pub other_thread: u64,
    /// [`Choice::OtherThreadAtDispatchBeforeReturn`].
    pub other_thread_at_dispatch: u64,
    /// [`Choice::Fail`].
    pub failed: u64,
    /// [`Choice::HeldUntilCancelled`].
    pub held: u64,
    /// Requests that waited for a lock or a change, as they do without an adversary.
    pub waited: u64,
    /// Requests completed by their cancel routine.
    pub cancelled: u64,
    /// Fast I/O calls served.
    pub fast_io: u64,
    /// Fast I/O calls declined, by choice or because an IRP was needed.
    pub fast_io_declined: u64,
}

impl Counts {
    fn of(kinds: [u64; KINDS]) -> Self {
        let [
            now,
            at_dispatch,
            pend,
            pend_at_dispatch,
            other_thread,
            other_thread_at_dispatch,
            failed,
            held,
            waited,
            cancelled,
        ] = kinds;
        Self {
            now,
            at_dispatch,
            pend,
            pend_at_dispatch,
            other_thread,
            other_thread_at_dispatch,
            failed,
            held,
            waited,
            cancelled,
            fast_io: 0,
            fast_io_declined: 0,
        }
    }
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.now
            + self.at_dispatch
            + self.pend
            + self.pend_at_dispatch
            + self.other_thread
            + self.other_thread_at_dispatch
            + self.failed
            + self.held
    }
    /// Requests for which the dispatch routine returned STATUS_PENDING.
    pub fn pended(&self) -> u64 {
        self.requests() - self.now - self.at_dispatch - self.failed
    }
    /// Requests completed at DISPATCH_LEVEL.
    pub fn completed_at_dispatch(&self) -> u64 {
        self.at_dispatch + self.pend_at_dispatch + self.other_thread_at_dispatch
    }
}

/// All majors together, and fast I/O.
pub fn counts() -> Counts {
    let mut sums = [0; KINDS];
    for (_, kinds) in kinds_by_major() {
        for (sum, kind) in sums.iter_mut().zip(kinds) {
            *sum += kind;
        }
    }
    let mut counts = Counts::of(sums);
    for (_, served, declined) in fast_io_by_entry() {
        counts.fast_io += served;
        counts.fast_io_declined += declined;
    }
    counts
}

fn kinds_by_major() -> impl Iterator<Item = (u8, [u64; KINDS])> {
    (0_u8..)
        .zip(&COUNTS)
        .map(|(major, kinds)| (major, std::array::from_fn(|kind| kinds[kind].load(Relaxed))))
}

/// By major function code; majors without a request are left out.
pub fn counts_by_major() -> Vec<(u8, Counts)> {
    let counts = kinds_by_major().map(|(major, kinds)| (major, Counts::of(kinds)));
    counts
        .filter(|(_, counts)| counts.requests() != 0)
        .collect()
}

/// Fast I/O calls by entry: name, served, declined. Entries never called are left out.
pub fn fast_io_by_entry() -> Vec<(&'static str, u64, u64)> {
    ENTRIES
        .iter()
        .zip(&FAST)
        .map(|(name, [served, declined])| (*name, served.load(Relaxed), declined.load(Relaxed)))
        .filter(|(_, served, declined)| served + declined != 0)
        .collect()
}

/// Zeroes all counts.
pub(super) fn reset() {
    for count in COUNTS.iter().flatten().chain(FAST.iter().flatten()) {
        count.store(0, Relaxed);
    }
}

/// Counts a request by its choice.
pub(super) fn count_choice(major: u8, choice: Choice) {
    count(
        major,
        match choice {
            Choice::Now => 0,
            Choice::AtDispatch => 1,
            Choice::Pend => 2,
            Choice::PendAtDispatch => 3,
            Choice::OtherThreadBeforeReturn => 4,
            Choice::OtherThreadAtDispatchBeforeReturn => 5,
            Choice::Fail(_) => 6,
            Choice::HeldUntilCancelled => 7,
        },
    );
}

/// Counts a fast I/O call.
pub(super) fn count_fast_io(entry: usize, served: bool) {
    if let Some(counts) = FAST.get(entry) {
        counts[usize::from(!served)].fetch_add(1, Relaxed);
    }
}

fn count(major: u8, kind: usize) {
    if let Some(count) = COUNTS
        .get(usize::from(major))
        .and_then(|kinds| kinds.get(kind))
    {
        count.fetch_add(1, Relaxed);
    }
}

/// Counts a request that waits for a lock or a change.
pub(super) fn count_waiting(major: u8) {
    count(major, WAITED);
}

/// Counts a request that its cancel routine completed.
pub(super) fn count_cancelled(major: u8) {
    count(major, CANCELLED);
}
