//! What happened to a request: a fixed ring for each IRP of the box.
//!
//! The ring lies in the request's tracker. Recording takes no lock and allocates
//! nothing. When an IRP is freed, [`retire`] keeps its ring for a while: a
//! driver that touches a request it has completed is the commonest mistake of
//! all, and then the request itself is gone.

#![expect(unsafe_code, reason = "requests are read before they are freed")]

use crate::nt::{DEVICE_OBJECT, FILE_OBJECT, IRP, IrpExt, Kirql, NTSTATUS};
use crate::processor::{irql, thread};
use crate::verifier::options::{self, Options};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Events that one ring keeps; older ones are overwritten.
pub const EVENTS: usize = 16;
/// Freed requests whose history is kept.
const RETIRED: usize = 512;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// The request was allocated or reused.
    Allocated,
    /// `IofCallDriver` sent it to a device.
    Called,
    /// A dispatch routine returned; `status` is its value.
    Returned,
    /// `IoMarkIrpPending`.
    MarkedPending,
    /// `IofCompleteRequest` was called; `status` is the one it was completed with.
    Completed,
    /// A completion routine was entered.
    RoutineEntered,
    /// A completion routine returned; `status` is its value.
    RoutineReturned,
    /// The I/O manager finished the request for its originator.
    Finished,
    /// `IoCancelIrp` was called.
    Cancelled,
    /// A cancel routine was called.
    CancelRoutine,
    /// The request was freed.
    Freed,
}

impl EventKind {
    const ALL: [Self; 11] = [
        Self::Allocated,
        Self::Called,
        Self::Returned,
        Self::MarkedPending,
        Self::Completed,
        Self::RoutineEntered,
        Self::RoutineReturned,
        Self::Finished,
        Self::Cancelled,
        Self::CancelRoutine,
        Self::Freed,
    ];

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Allocated => "allocated",
            Self::Called => "sent to",
            Self::Returned => "dispatch routine returned",
            Self::MarkedPending => "marked pending",
            Self::Completed => "completed",
            Self::RoutineEntered => "completion routine entered",
            Self::RoutineReturned => "completion routine returned",
            Self::Finished => "finished for its originator",
            Self::Cancelled => "cancelled",
            Self::CancelRoutine => "cancel routine called",
            Self::Freed => "freed",
        }
    }

    /// False for what happens to the request above or outside of its stack locations.
    pub fn has_location(self) -> bool {
        !matches!(self, Self::Allocated | Self::Finished | Self::Freed)
    }

    /// True if the event carries a status.
    pub fn has_status(self) -> bool {
        matches!(
            self,
            Self::Returned | Self::Completed | Self::RoutineReturned | Self::Finished
        )
    }
}

/// One event of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The device it happened at, or null.
    pub device: *mut DEVICE_OBJECT,
    /// `CurrentLocation` at that time.
    pub location: i8,
    /// The status that belongs to it, where it has one (else 0).
    pub status: NTSTATUS,
    /// Address of the code that did it (behind a call, or of a routine); 0 for the box.
    pub site: usize,
    /// The completion routine that the request was sent with and its context; 0 without one.
    pub routine: (usize, usize),
    /// The location was marked pending, or, for a completion routine, PendingReturned is set.
    pub pending: bool,
    /// Thread, filled in by [`History::record`].
    pub thread: u32,
    /// IRQL, filled in as `thread`.
    pub irql: Kirql,
}

// SAFETY: the device is told by its address; it is read only through checked copies.
unsafe impl Send for Event {}

impl Event {
    /// An event; thread and IRQL are added when it is recorded.
    pub fn new(
        kind: EventKind,
        device: *mut DEVICE_OBJECT,
        location: i8,
        status: NTSTATUS,
        site: usize,
    ) -> Self {
        Self {
            kind,
            device,
            location,
            status,
            site,
            routine: (0, 0),
            pending: false,
            thread: 0,
            irql: 0,
        }
    }

    /// With the mark that was seen.
    pub fn with_pending(self, pending: bool) -> Self {
        Self { pending, ..self }
    }

    /// With the completion routine that is set, and its context.
    pub fn with_routine(self, routine: (usize, usize)) -> Self {
        Self { routine, ..self }
    }
}

/// The ring. All-zero memory is an empty one. Any thread records and reads;
/// a reader at the same time as a writer may see an event half old, half new.
#[repr(C)]
pub struct History {
    count: AtomicU64,
    events: [Slot; EVENTS],
}

#[repr(C)]
struct Slot {
    /// Kind, location, IRQL and mark, a byte each.
    packed: AtomicU32,
    thread: AtomicU32,
    status: AtomicI32,
    device: AtomicUsize,
    site: AtomicUsize,
    routine: AtomicUsize,
    context: AtomicUsize,
}

impl History {
    /// Forgets everything.
    pub fn clear(&self) {
        self.count.store(0, Ordering::Release);
    }

    /// Adds an event if events are logged. No lock, no allocation.
    pub fn record(&self, event: Event) {
        if !options::on(Options::IRP_LOGGING) {
            return;
        }
        let number = self.count.fetch_add(1, Ordering::AcqRel);
        let slot = &self.events[(number % EVENTS as u64) as usize];
        let packed = u32::from_le_bytes([
            event.kind as u8,
            event.location as u8,
            irql::current(),
            event.pending.into(),
        ]);
        slot.packed.store(packed, Ordering::Relaxed);
        slot.thread.store(thread::current().id(), Ordering::Relaxed);
        slot.status.store(event.status, Ordering::Relaxed);
        slot.device.store(event.device as usize, Ordering::Relaxed);
        slot.site.store(event.site, Ordering::Relaxed);
        slot.routine.store(event.routine.0, Ordering::Relaxed);
        slot.context.store(event.routine.1, Ordering::Relaxed);
    }

    /// The events kept, oldest first, and how many were overwritten.
    pub fn snapshot(&self) -> (Vec<Event>, u64) {
        let count = self.count.load(Ordering::Acquire);
        let forgotten = count.saturating_sub(EVENTS as u64);
        let events =
            (forgotten..count).map(|number| self.events[(number % EVENTS as u64) as usize].load());
        (events.collect(), forgotten)
    }
}

impl Slot {
    fn load(&self) -> Event {
        let [kind, location, irql, pending] = self.packed.load(Ordering::Relaxed).to_le_bytes();
        Event {
            kind: EventKind::ALL
                .get(usize::from(kind))
                .copied()
                .unwrap_or(EventKind::Allocated),
            device: self.device.load(Ordering::Relaxed) as *mut DEVICE_OBJECT,
            location: location as i8,
            status: self.status.load(Ordering::Relaxed),
            site: self.site.load(Ordering::Relaxed),
            routine: (
                self.routine.load(Ordering::Relaxed),
                self.context.load(Ordering::Relaxed),
            ),
            pending: pending != 0,
            thread: self.thread.load(Ordering::Relaxed),
            irql,
        }
    }
}

// SAFETY: the file is told by its address; it is read only through checked copies.
unsafe impl Send for Retired {}

/// A request that was freed.
#[derive(Debug, Clone)]
pub struct Retired {
    /// Where it lay.
    pub irp: usize,
    /// Bytes of the IRP with its stack locations.
    pub bytes: usize,
    /// Major and minor function of the topmost location that was in use.
    pub function: (u8, u8),
    /// `Irp->Flags`.
    pub flags: u32,
    /// The file it was sent for, which may be gone too.
    pub file: *mut FILE_OBJECT,
    /// Its events.
    pub events: Vec<Event>,
    /// Events that were overwritten.
    pub forgotten: u64,
}

static FREED: Mutex<VecDeque<Retired>> = Mutex::new(VecDeque::new());

/// Keeps the history of a request that is about to be freed.
///
/// # Safety
/// `irp` is alive, and `history` its ring.
pub unsafe fn retire(irp: *mut IRP, history: &History) {
    if !options::on(Options::IRP_LOGGING) {
        return;
    }
    let (events, forgotten) = history.snapshot();
    // SAFETY: contract of the function.
    let count = unsafe { (*irp).StackCount };
    // The topmost location is the originator's request; completion does not clear it
    // when the request was stopped.
    let function = (1..=count)
        .rev()
        .map(|number| {
            // SAFETY: a live IRP has `StackCount` locations behind it.
            let location = unsafe { irp.location(number) };
            // SAFETY: as above.
            let location = unsafe { location.read() };
            (location.MajorFunction, location.MinorFunction)
        })
        .find(|function| *function != (0, 0))
        .unwrap_or_default();
    let bytes = crate::nt::irp::size_of_irp(count);
    // SAFETY: contract of the function.
    let flags = unsafe { (*irp).Flags };
    // SAFETY: contract of the function.
    let file = unsafe { irp.original_file_object() };
    let mut freed = FREED
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if freed.len() == RETIRED {
        freed.pop_front();
    }
    freed.push_back(Retired {
        irp: irp as usize,
        bytes,
        function,
        flags,
        file,
        events,
        forgotten,
    });
}

/// The freed request that lay at `address`. Never waits.
pub fn retired_at(address: usize) -> Option<Retired> {
    let freed = FREED.try_lock().ok()?;
    freed
        .iter()
        .rev()
        .find(|retired| (retired.irp..retired.irp + retired.bytes).contains(&address))
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Box<History> {
        // SAFETY: atomics only; zero is an empty ring, as documented.
        Box::new(unsafe { std::mem::zeroed() })
    }

    fn event(kind: EventKind, status: NTSTATUS) -> Event {
        Event::new(kind, 0x1230 as *mut DEVICE_OBJECT, -3, status, 77)
    }

    #[test]
    fn events_come_back_as_recorded() {
        let history = empty();
        assert_eq!(history.snapshot(), (vec![], 0));
        for (index, kind) in EventKind::ALL.into_iter().enumerate() {
            let marked = event(kind, index as i32 - 5).with_pending(index % 2 == 0);
            history.record(marked.with_routine((index, 2 * index)));
        }
        let (events, forgotten) = history.snapshot();
        assert_eq!(forgotten, 0);
        for (index, (event, kind)) in events.iter().zip(EventKind::ALL).enumerate() {
            assert_eq!((event.kind, event.status), (kind, index as i32 - 5));
            assert_eq!(event.pending, index % 2 == 0);
            assert_eq!(event.routine, (index, 2 * index));
            assert_eq!(
                (event.device as usize, event.location, event.site),
                (0x1230, -3, 77)
            );
            assert_eq!(event.thread, thread::current().id());
        }
    }

    #[test]
    fn the_oldest_events_are_overwritten() {
        let history = empty();
        for status in 0..EVENTS as i32 + 5 {
            history.record(event(EventKind::Called, status));
        }
        let (events, forgotten) = history.snapshot();
        assert_eq!((events.len(), forgotten), (EVENTS, 5));
        assert_eq!(
            (events[0].status, events[EVENTS - 1].status),
            (5, EVENTS as i32 + 4)
        );
        history.clear();
        assert_eq!(history.snapshot(), (vec![], 0));
    }
}
