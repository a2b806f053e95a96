//! What a program sees of a call.

use crate::io_manager::counters::{self, FastIo};
use crate::io_manager::fast_io_checks;
use crate::nt::{IO_STATUS_BLOCK, NTSTATUS, STATUS_PENDING, Status};
use crate::processor::thread;
use std::cell::Cell;

/// `KernelMode`.
const KERNEL_MODE: i8 = 0;

/// The result of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Final status; never `STATUS_PENDING`.
    pub status: NTSTATUS,
    /// `IoStatus.Information`; zero after an error, where NT may leave the status block unwritten.
    pub information: usize,
    /// The driver stack returned `STATUS_PENDING`, whether or not the caller was told.
    pub pended: bool,
    /// Fast I/O answered; no IRP was built.
    pub fast: bool,
    /// The service waits for its request, by itself or because the handle is synchronous: a program does not
    /// see whether that pended.
    pub waits: bool,
    /// The caller's event was signaled afterwards; `None` if it passed none.
    pub signaled: Option<bool>,
    /// The caller's status block was written. NT leaves it alone when a request ends with an
    /// error before the service has returned.
    pub written: bool,
    /// What the call wrote into the caller's buffer.
    pub data: Vec<u8>,
}

impl Outcome {
    /// A call that ended before any driver saw it.
    pub fn early(status: NTSTATUS) -> Self {
        Self {
            status,
            information: 0,
            pended: false,
            fast: false,
            waits: false,
            signaled: None,
            written: false,
            data: Vec::new(),
        }
    }
    /// Severity success or informational.
    pub fn is_success(&self) -> bool {
        self.status >= 0
    }
    /// The status in readable form.
    pub fn status(&self) -> Status {
        Status(self.status)
    }
    /// FNV-1a of the data: equal data, equal digest, on every host and in every run.
    pub fn digest(&self) -> u64 {
        digest(&self.data)
    }
}

/// FNV-1a, 64 bits.
pub fn digest(data: &[u8]) -> u64 {
    data.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// The way of a call, as its [`Outcome`] has it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way {
    pub(super) pended: bool,
    pub(super) fast: bool,
    pub(super) waits: bool,
}

thread_local! {
    static LAST: Cell<Way> = const {
        Cell::new(Way {
            pended: false,
            fast: false,
            waits: false,
        })
    };
}

/// Changes what is known of the program's call; what a driver asks for meanwhile, by a `Zw` routine, is none.
fn note(change: impl FnOnce(&mut Way)) {
    if thread::previous_mode() == KERNEL_MODE {
        return;
    }
    let mut way = LAST.get();
    change(&mut way);
    LAST.set(way);
}

/// Forgets how the last call of this thread went.
pub(super) fn begin() {
    note(|way| *way = Way::default());
}

/// Notes what the stack returned for the call in progress.
pub(super) fn note_returned(status: NTSTATUS) {
    if status == STATUS_PENDING {
        note(|way| way.pended = true);
    }
}

/// Notes that fast I/O answered the call in progress.
pub(super) fn note_fast() {
    note(|way| way.fast = true);
}

/// Notes that the service in progress waits for its request.
pub(super) fn note_waits() {
    note(|way| way.waits = true);
}

/// Counts a call of the fast I/O routine at `routine`, which `call` makes with a block for its result; `None` if it was declined.
pub(super) fn fast(
    entry: FastIo,
    routine: usize,
    call: impl FnOnce(*mut IO_STATUS_BLOCK) -> u8,
) -> Option<IO_STATUS_BLOCK> {
    let mut iosb = IO_STATUS_BLOCK::default();
    let answered = fast_io_checks::around(routine, || call(&raw mut iosb)) != 0;
    counters::fast(entry, answered);
    answered.then(|| {
        note_fast();
        iosb
    })
}

/// The way of the last call of this thread.
pub(super) fn last() -> Way {
    LAST.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::STATUS_BUFFER_OVERFLOW;

    #[test]
    fn what_a_driver_asks_for_meanwhile_is_not_the_programs_call() {
        let way = thread::from_user_mode(|| {
            begin();
            note_waits();
            thread::from_kernel_mode(|| {
                begin();
                note_fast();
            });
            note_returned(STATUS_PENDING);
            last()
        });
        assert_eq!((way.waits, way.pended, way.fast), (true, true, false));
    }

    #[test]
    fn a_warning_is_no_success() {
        assert!(!Outcome::early(STATUS_BUFFER_OVERFLOW).is_success());
    }

    #[test]
    fn digests_are_fnv_1a() {
        assert_eq!(digest(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(digest(b"a"), 0xAF63_DC4C_8601_EC8C);
        assert_ne!(digest(b"ab"), digest(b"ba"));
    }
}
