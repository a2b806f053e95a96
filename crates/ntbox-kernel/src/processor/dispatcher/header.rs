//! The header that every dispatcher object begins with.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "dispatcher objects live in driver memory"
)]

use super::waiter::Waiter;
use crate::host::memory;
use crate::nt::{DISPATCHER_HEADER, KMUTANT, KQUEUE, LIST_ENTRY};
use crate::pool;
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::atomic::{AtomicI32, Ordering};

/// `Header.Type` of an object that can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ObjectType {
    /// An event that stays signaled.
    NotificationEvent = 0,
    /// An event that is reset by the wait it satisfies.
    SynchronizationEvent = 1,
    /// A mutex.
    Mutant = 2,
    /// A process.
    Process = 3,
    /// A queue, whose state is how many entries nobody has been given.
    Queue = 4,
    /// A counted semaphore.
    Semaphore = 5,
    /// A thread; signaled when it has ended.
    Thread = 6,
    /// A timer that stays signaled.
    NotificationTimer = 8,
    /// A timer that is reset by the wait it satisfies.
    SynchronizationTimer = 9,
}

impl ObjectType {
    fn of(value: u8) -> Option<Self> {
        use ObjectType::*;
        [
            NotificationEvent,
            SynchronizationEvent,
            Mutant,
            Process,
            Queue,
            Semaphore,
            Thread,
            NotificationTimer,
            SynchronizationTimer,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == value)
    }
}

const TIMERS: &[ObjectType] = &[
    ObjectType::NotificationTimer,
    ObjectType::SynchronizationTimer,
];

/// `MaximumCount` of a queue that was run down: every wait for it ends, and takes nothing of its state.
pub(super) const RUN_DOWN: u32 = 0;

/// A dispatcher object by its header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Object(pub(super) *mut DISPATCHER_HEADER);

impl Object {
    /// # Safety
    /// Everything else here requires that the memory is a dispatcher object's.
    pub(super) unsafe fn at<T>(object: *mut T) -> Self {
        Self(object.cast())
    }
    /// Writes the header.
    pub(super) fn initialize(self, kind: ObjectType, bytes: usize, state: i32) {
        let bytes_of_header = self.0.cast::<u8>();
        // SAFETY: `at`; type, signalling and size are the first three bytes.
        unsafe {
            bytes_of_header
                .cast::<[u8; 4]>()
                .write([kind as u8, 0, (bytes / 4) as u8, 0])
        };
        self.state().store(state, Ordering::Relaxed);
        // SAFETY: `at`.
        let list: *mut LIST_ENTRY = unsafe { &raw mut (*self.0).WaitListHead };
        // SAFETY: as above.
        unsafe {
            list.write(LIST_ENTRY {
                Flink: list,
                Blink: list,
            })
        };
    }
    pub(super) fn state(self) -> &'static AtomicI32 {
        // SAFETY: `at`; the field is aligned. The reference is not kept beyond the call it is made for.
        unsafe { AtomicI32::from_ptr(&raw mut (*self.0).SignalState) }
    }
    /// The type, or `None` if the object was never initialized.
    pub(super) fn kind(self) -> Option<ObjectType> {
        // SAFETY: `at`.
        let list = unsafe { (&raw const (*self.0).WaitListHead.Flink).read() };
        if list.is_null() {
            return None;
        }
        // SAFETY: `at`; the low bits may carry flags of the kernel in other builds, not here.
        ObjectType::of(unsafe { self.0.cast::<u8>().read() })
    }
    pub(super) fn owner(self) -> *mut *mut c_void {
        // SAFETY: only called for mutants.
        unsafe { &raw mut (*self.0.cast::<KMUTANT>()).OwnerThread }.cast()
    }
    pub(super) fn is_signaled_for(self, waiter: &Waiter) -> bool {
        let state = self.state().load(Ordering::Relaxed);
        state > 0
            || (self.kind() == Some(ObjectType::Mutant)
                // SAFETY: a mutant's field, under the lock.
                && unsafe { self.owner().read() }.addr() == waiter.address())
    }
    /// True for a queue that no thread waits at any more.
    fn is_run_down(self) -> bool {
        // SAFETY: a queue's field, under the lock.
        unsafe { (*self.0.cast::<KQUEUE>()).MaximumCount == RUN_DOWN }
    }
    /// Changes the state as its satisfied wait does. True if this
    /// made the thread the owner of a mutex.
    pub(super) fn consume(self, waiter: &'static Waiter) -> bool {
        let state = self.state();
        match self.kind() {
            Some(ObjectType::SynchronizationEvent | ObjectType::SynchronizationTimer) => {
                state.store(0, Ordering::Release);
            }
            Some(ObjectType::Semaphore) => {
                state.fetch_sub(1, Ordering::AcqRel);
            }
            Some(ObjectType::Queue) if !self.is_run_down() => {
                state.fetch_sub(1, Ordering::AcqRel);
            }
            Some(ObjectType::Mutant) if state.fetch_sub(1, Ordering::AcqRel) == 1 => {
                // SAFETY: a mutant's field, under the lock.
                unsafe {
                    self.owner()
                        .write(std::ptr::from_ref(waiter).cast_mut().cast())
                };
                return true;
            }
            _ => {}
        }
        false
    }
    pub(super) fn describe(self) -> String {
        let kind = self.kind().map_or("object", |kind| match kind {
            ObjectType::NotificationEvent | ObjectType::SynchronizationEvent => "event",
            ObjectType::Mutant => "mutex",
            ObjectType::Process => "process",
            ObjectType::Queue => "queue",
            ObjectType::Semaphore => "semaphore",
            ObjectType::Thread => "thread",
            ObjectType::NotificationTimer | ObjectType::SynchronizationTimer => "timer",
        });
        match pool::describe(self.0.addr()) {
            Some(place) => format!("{kind} {:p} ({place})", self.0),
            None => format!("{kind} {:p}", self.0),
        }
    }
}

/// Prepares the header of a thread object.
pub(in crate::processor) fn initialize_thread_object(object: *mut c_void, ended: bool) {
    // SAFETY: the caller has just made the object.
    unsafe { Object::at(object) }.initialize(ObjectType::Thread, 0, i32::from(ended));
}

/// Prepares the header of a process object.
pub(in crate::processor) fn initialize_process_object(object: *mut c_void) {
    // SAFETY: the caller passes the memory of one.
    unsafe { Object::at(object) }.initialize(ObjectType::Process, 0, 0);
}

/// Prepares the header of a timer.
///
/// # Safety
/// `object` points to writable, aligned memory of a `KTIMER`.
pub(in crate::processor) unsafe fn initialize_timer_object(
    object: *mut c_void,
    notification: bool,
    bytes: usize,
) {
    let kind = if notification {
        ObjectType::NotificationTimer
    } else {
        ObjectType::SynchronizationTimer
    };
    // SAFETY: contract of the function.
    unsafe { Object::at(object) }.initialize(kind, bytes, 0);
}

/// True if there is an initialized timer at `address`.
pub(in crate::processor) fn is_timer(address: usize) -> bool {
    // SAFETY: a structure of integers and pointers, of which two fields are looked at.
    let header =
        unsafe { memory::try_read_as::<[usize; size_of::<DISPATCHER_HEADER>() / 8]>(address) };
    header.is_some_and(|header| {
        let kind = ObjectType::of(header[0] as u8);
        header[offset_of!(DISPATCHER_HEADER, WaitListHead) / 8] != 0
            && kind.is_some_and(|kind| TIMERS.contains(&kind))
    })
}

/// Reports an object that is no timer.
///
/// # Safety
/// `object` points to memory of a `KTIMER`.
pub(in crate::processor) unsafe fn expect_timer(
    object: *mut c_void,
    ddi: &str,
    caller: usize,
) -> bool {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(object) };
    expect_kind_at(object, ddi, TIMERS, &[("called at", caller)])
}

/// Reports an object that is not of one of `kinds`.
pub(super) fn expect_kind(object: Object, ddi: &str, kinds: &[ObjectType]) -> bool {
    expect_kind_at(object, ddi, kinds, &[])
}

fn expect_kind_at(
    object: Object,
    ddi: &str,
    kinds: &[ObjectType],
    sites: &[(&'static str, usize)],
) -> bool {
    let kind = object.kind();
    if kind.is_some_and(|kind| kinds.contains(&kind)) {
        return true;
    }
    let state = match kind {
        None => "was never initialized".to_owned(),
        Some(kind) => format!("is a {kind:?}"),
    };
    violation(
        &rules::UNINITIALIZED_OBJECT,
        format!("{ddi}: {} {state}", object.describe()),
        sites,
    );
    false
}
