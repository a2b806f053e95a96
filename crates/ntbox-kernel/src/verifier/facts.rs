//! What the floors above know and a report tells.
//!
//! The verifier asks nobody: the processor says who runs, the I/O manager what
//! a request is. Each hands in how, before it gives anything to a driver.

use super::Context;
use super::request::Request;
use crate::nt::IRP;
use std::sync::OnceLock;

type Id = fn() -> u32;
type Told = fn() -> Context;
type Live = fn(*mut IRP) -> Option<Request>;
type Freed = fn(usize) -> Option<Request>;

static THREADS: OnceLock<(Id, Told)> = OnceLock::new();
type Slots = fn(usize) -> Option<Slot>;

/// Where a driver has put a routine that the system calls.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Its name, and whose it is.
    pub name: String,
    /// The driver's DriverEntry.
    pub driver_entry: usize,
}

static SLOTS: OnceLock<Slots> = OnceLock::new();
static REQUESTS: OnceLock<(Live, Freed)> = OnceLock::new();

/// Hands in how the id of the current thread is told, and its circumstances.
pub fn tell_threads(id: Id, context: Told) {
    let _ = THREADS.set((id, context));
}

/// Hands in how a request is told that should be alive, and one that was freed
/// and lay around an address. Neither trusts what it is given, or waits.
pub fn tell_requests(live: Live, freed: Freed) {
    let _ = REQUESTS.set((live, freed));
}

/// Hands in how the slot is told that holds a routine.
pub fn tell_slots(slot_of: Slots) {
    let _ = SLOTS.set(slot_of);
}

/// The slot of a driver that holds `routine`.
pub fn slot_of(routine: usize) -> Option<Slot> {
    SLOTS.get().and_then(|slot_of| slot_of(routine))
}

/// The id of the current thread; 0 before any thread of the box runs.
pub fn current_thread() -> u32 {
    THREADS.get().map_or(0, |(id, _)| id())
}

/// Of the current thread; before any thread of the box runs, only its name.
pub(super) fn context() -> Context {
    match THREADS.get() {
        Some((_, context)) => context(),
        None => Context {
            thread: 0,
            name: std::thread::current()
                .name()
                .unwrap_or("unnamed")
                .to_owned(),
            irql: 0,
        },
    }
}

pub(super) fn live_request(irp: *mut IRP) -> Option<Request> {
    REQUESTS.get().and_then(|(live, _)| live(irp))
}

pub(super) fn freed_request(address: usize) -> Option<Request> {
    REQUESTS.get().and_then(|(_, freed)| freed(address))
}
