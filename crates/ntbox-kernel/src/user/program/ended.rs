//! How a program learns that its calls have ended.

use super::super::ending::{self, Ending};
use super::super::event::Event;
use crate::nt::{HANDLE, IO_STATUS_BLOCK, STATUS_USER_APC};
use crate::processor::handle;
use crate::processor::thread::from_user_mode;
use std::ffi::c_void;
use std::ptr::without_provenance_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a program has the calls on a file end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndBy {
    /// An event for each.
    Event,
    /// A packet at a completion port of the file.
    Port,
    /// As [`Port`](Self::Port), but none of what has succeeded at once.
    PortUnlessDone,
    /// A user APC of the thread that calls. One that fast I/O may answer has an event.
    Apc,
}

impl EndBy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Event, Self::Port, Self::PortUnlessDone, Self::Apc];
}

/// A completion port of a program, and what it has taken from there.
pub(super) struct Port {
    handle: HANDLE,
    taken: Mutex<Vec<(usize, IO_STATUS_BLOCK)>>,
}

// SAFETY: a handle may be used from any thread of its process.
#[expect(unsafe_code, reason = "a handle is a pointer")]
unsafe impl Send for Port {}

// SAFETY: as above; what was taken is behind a lock.
#[expect(unsafe_code, reason = "a handle is a pointer")]
unsafe impl Sync for Port {}

impl Port {
    pub(super) fn new() -> Self {
        Self {
            handle: ending::nt_create_io_completion(),
            taken: Mutex::default(),
        }
    }
    pub(super) fn handle(&self) -> HANDLE {
        self.handle
    }
    /// The packet of the call with this number; those of others are kept for them.
    fn take(&self, number: usize, until: Option<Instant>) -> Option<IO_STATUS_BLOCK> {
        loop {
            let mut taken = locked(&self.taken);
            if let Some(place) = taken.iter().position(|(other, _)| *other == number) {
                return Some(taken.swap_remove(place).1);
            }
            drop(taken);
            let timeout = until.map(left);
            let packet = from_user_mode(|| ending::nt_remove_io_completion(self.handle, timeout));
            let packet = packet.ok()?;
            locked(&self.taken).push((packet.context.addr(), packet.status));
        }
    }
    /// Packets that no call has waited for.
    pub(super) fn unclaimed(&self) -> usize {
        self.take(0, Some(Instant::now()));
        locked(&self.taken).len()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        handle::close_handle(self.handle);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is left until then, as the timeout of a wait.
fn left(until: Instant) -> i64 {
    let left = until.saturating_duration_since(Instant::now());
    -i64::try_from(left.as_nanos() / 100).unwrap_or(i64::MAX)
}

/// The numbers of the calls whose APCs have come, once for each time.
static CAME: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// The program's APC routine; its context is the number of the call.
extern "win64" fn call_ended(context: *mut c_void, _block: *mut IO_STATUS_BLOCK, _reserved: u32) {
    locked(&CAME).push(context.addr());
}

/// Numbers calls, from 1.
static NUMBER: AtomicUsize = AtomicUsize::new(1);

/// What tells a program of the end of its calls on a file.
#[derive(Clone)]
pub(super) enum Told {
    Nothing,
    Event,
    Port(Arc<Port>),
    Apc,
}

impl Told {
    /// Of one more call, which fast I/O may answer or not.
    pub(super) fn of_call(&self, may_be_fast: bool) -> End {
        let number = || NUMBER.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::Nothing => End::Nothing,
            Self::Port(port) => End::Port(port.clone(), number()),
            Self::Apc if !may_be_fast => End::Apc(number()),
            Self::Event | Self::Apc => End::Event(Event::new()),
        }
    }
}

/// What tells a program of the end of a call.
pub(super) enum End {
    Nothing,
    Event(Event),
    Port(Arc<Port>, usize),
    Apc(usize),
}

impl End {
    /// For the service.
    pub(super) fn ending(&self) -> Ending {
        let none = Ending::event(std::ptr::null_mut());
        match self {
            Self::Nothing => none,
            Self::Event(event) => Ending::event(event.handle()),
            Self::Port(_, number) => Ending {
                context: without_provenance_mut(*number),
                ..none
            },
            Self::Apc(number) => Ending {
                routine: call_ended as *const () as usize,
                context: without_provenance_mut(*number),
                ..none
            },
        }
    }

    /// Waits for it, for ever without a time: what it says of the status, if it has come and says something.
    pub(super) fn wait(&self, time: Option<Duration>) -> (bool, Option<IO_STATUS_BLOCK>) {
        let until = time.map(|time| Instant::now() + time);
        match self {
            Self::Nothing => (true, None),
            Self::Event(event) => {
                let came = from_user_mode(|| event.wait(until.map(left))) == 0;
                (came, None)
            }
            Self::Port(port, number) => {
                let packet = port.take(*number, until);
                (packet.is_some(), packet)
            }
            Self::Apc(number) => (wait_for_apc(*number, until), None),
        }
    }

    /// Whether the event is signaled, if there is one.
    pub(super) fn is_signaled(&self) -> Option<bool> {
        match self {
            Self::Event(event) => Some(event.is_signaled()),
            _ => None,
        }
    }
}

/// Takes user APCs until that of the call with this number has come, or until then.
fn wait_for_apc(number: usize, until: Option<Instant>) -> bool {
    /// An hour.
    const LONG: i64 = -36_000_000_000;
    loop {
        let mut came = locked(&CAME);
        if let Some(place) = came.iter().position(|other| *other == number) {
            came.swap_remove(place);
            return true;
        }
        drop(came);
        let interval = until.map_or(LONG, left);
        let slept = from_user_mode(|| ending::nt_delay_execution(true, interval));
        if slept != STATUS_USER_APC && until.is_some_and(|until| until <= Instant::now()) {
            return false;
        }
    }
}
