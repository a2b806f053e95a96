//! Dispatcher objects and the waits on them.
//!
//! Events, semaphores, mutants and timers lie in driver memory, with the layout
//! that drivers know; threads and processes begin with the same header. Their
//! state is in `SignalState`, as in NT, and is changed under one lock for the
//! whole process. A thread that must wait leaves a [`WaitBlock`] in a list; who
//! signals an object satisfies the waits on it in the order they began and
//! consumes its state for the waiter (an auto-reset event wakes exactly one).
//!
//! A wait is interrupted for APCs and then begins anew, at the end of the list.
//! `WaitListHead` is initialized but not linked: nothing documented reads it.
//!
//! Source: "Kernel Dispatcher Objects" in the kernel architecture guide,
//! `KeWaitForSingleObject`, `KeWaitForMultipleObjects` in the DDI reference.

#![expect(unsafe_code, reason = "dispatcher objects live in driver memory")]

use super::rules::{self, violation};
use super::thread::{self, Thread};
use super::{irql, time};
use crate::nt::{
    APC_LEVEL, DISPATCH_LEVEL, DISPATCHER_HEADER, KEVENT, KMUTANT, KSEMAPHORE, LIST_ENTRY,
    NTSTATUS, STATUS_SUCCESS, STATUS_TIMEOUT,
};
use crate::{pool, verifier};
use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Objects that a wait without a wait block array may name (`THREAD_WAIT_OBJECTS`).
pub const THREAD_WAIT_OBJECTS: usize = 3;
/// Objects that any wait may name.
pub const MAXIMUM_WAIT_OBJECTS: usize = 64;

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
            Semaphore,
            Thread,
            NotificationTimer,
            SynchronizationTimer,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == value)
    }
}

/// A dispatcher object by its header.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Object(*mut DISPATCHER_HEADER);

impl Object {
    /// # Safety
    /// Everything else here requires that the memory is a dispatcher object's.
    unsafe fn at<T>(object: *mut T) -> Self {
        Self(object.cast())
    }
    /// Writes the header.
    fn initialize(self, kind: ObjectType, bytes: usize, state: i32) {
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
    fn state(self) -> &'static AtomicI32 {
        // SAFETY: `at`; the field is aligned. The reference is not kept beyond the call it is made for.
        unsafe { AtomicI32::from_ptr(&raw mut (*self.0).SignalState) }
    }
    /// The type, or `None` if the object was never initialized.
    fn kind(self) -> Option<ObjectType> {
        // SAFETY: `at`.
        let list = unsafe { (&raw const (*self.0).WaitListHead.Flink).read() };
        if list.is_null() {
            return None;
        }
        // SAFETY: `at`; the low bits may carry flags of the kernel in other builds, not here.
        ObjectType::of(unsafe { self.0.cast::<u8>().read() })
    }
    fn owner(self) -> *mut *mut c_void {
        // SAFETY: only called for mutants.
        unsafe { &raw mut (*self.0.cast::<KMUTANT>()).OwnerThread }.cast()
    }
    fn is_signaled_for(self, thread: &Thread) -> bool {
        let state = self.state().load(Ordering::Relaxed);
        state > 0
            || (self.kind() == Some(ObjectType::Mutant)
                // SAFETY: a mutant's field, under the lock.
                && unsafe { self.owner().read() }.addr() == std::ptr::from_ref(thread).addr())
    }
    /// Changes the state as the satisfied wait of `thread` does. True if this
    /// made the thread the owner of a mutex.
    fn consume(self, thread: &'static Thread) -> bool {
        let state = self.state();
        match self.kind() {
            Some(ObjectType::SynchronizationEvent | ObjectType::SynchronizationTimer) => {
                state.store(0, Ordering::Release);
            }
            Some(ObjectType::Semaphore) => {
                state.fetch_sub(1, Ordering::AcqRel);
            }
            Some(ObjectType::Mutant) if state.fetch_sub(1, Ordering::AcqRel) == 1 => {
                // SAFETY: a mutant's field, under the lock.
                unsafe {
                    self.owner()
                        .write(std::ptr::from_ref(thread).cast_mut().cast())
                };
                return true;
            }
            _ => {}
        }
        false
    }
    fn describe(self) -> String {
        let kind = self.kind().map_or("object", |kind| match kind {
            ObjectType::NotificationEvent | ObjectType::SynchronizationEvent => "event",
            ObjectType::Mutant => "mutex",
            ObjectType::Process => "process",
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

/// A wait under way. It lies on the stack of the waiting thread, and in the list
/// only while that thread is inside [`wait`].
struct WaitBlock<'a> {
    thread: &'static Thread,
    objects: &'a [*mut c_void],
    all: bool,
    status: Option<NTSTATUS>,
    /// Mutexes that the satisfied wait made the thread own. The objects of a wait
    /// may be gone by the time it returns, so this is kept here.
    mutants: u32,
}

impl<'a> WaitBlock<'a> {
    fn new(thread: &'static Thread, objects: &'a [*mut c_void], all: bool) -> Self {
        Self {
            thread,
            objects,
            all,
            status: None,
            mutants: 0,
        }
    }
    /// Consumes the objects if the wait can be satisfied now.
    fn satisfy(&mut self) -> Option<NTSTATUS> {
        let thread = self.thread;
        // SAFETY: the caller of `wait` vouches for the objects.
        let objects = self
            .objects
            .iter()
            .map(|object| unsafe { Object::at(*object) });
        if self.all {
            if objects.len() == 0 || !objects.clone().all(|object| object.is_signaled_for(thread)) {
                return None;
            }
            self.mutants = objects
                .map(|object| u32::from(object.consume(thread)))
                .sum();
            return Some(STATUS_SUCCESS);
        }
        let (index, object) = objects
            .enumerate()
            .find(|(_, object)| object.is_signaled_for(thread))?;
        self.mutants = u32::from(object.consume(thread));
        Some(index as NTSTATUS)
    }
    /// Called by the waiting thread when its wait was satisfied: it is in a
    /// critical region while it owns a mutex.
    fn took(&self) {
        for _ in 0..self.mutants {
            OWNED_MUTANTS.set(OWNED_MUTANTS.get() + 1);
            thread::enter_critical_region();
        }
    }
}

/// The list of waits, in the order they began.
#[derive(Default)]
struct Waits {
    blocks: Vec<*mut WaitBlock<'static>>,
}

// SAFETY: the blocks are only reached under the lock, while their threads wait.
unsafe impl Send for Waits {}

static WAITS: Mutex<Waits> = Mutex::new(Waits { blocks: Vec::new() });

fn lock() -> MutexGuard<'static, Waits> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waits {
    /// Ends the waits that the new state of `object` satisfies.
    fn signal(&mut self, object: Object) {
        let address: *mut c_void = object.0.cast();
        let mut index = 0;
        while let Some(block) = self.blocks.get(index).copied() {
            // SAFETY: blocks in the list belong to threads inside `wait`.
            let block = unsafe { &mut *block };
            if !block.objects.contains(&address) {
                index += 1;
                continue;
            }
            match block.satisfy() {
                Some(status) => {
                    block.status = Some(status);
                    block.thread.wake.notify_one();
                    self.blocks.remove(index);
                }
                None => index += 1,
            }
        }
    }
    fn remove(&mut self, block: *mut WaitBlock<'static>) {
        self.blocks.retain(|other| *other != block);
    }
}

/// Wakes `thread` from its wait, if it is in one, to take an APC.
pub(super) fn interrupt_wait(thread: &Thread) {
    let _waits = lock();
    thread.wake.notify_one();
}

/// Reports an object that is not of one of `kinds`.
fn expect_kind(object: Object, ddi: &str, kinds: &[ObjectType]) -> bool {
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
        &[],
    );
    false
}

const EVENTS: &[ObjectType] = &[
    ObjectType::NotificationEvent,
    ObjectType::SynchronizationEvent,
];

/// `KeInitializeEvent`. Any IRQL.
///
/// # Safety
/// `event` points to writable, aligned memory of a `KEVENT` that nobody waits for.
pub unsafe fn initialize_event(event: *mut KEVENT, notification: bool, signaled: bool) {
    let kind = if notification {
        ObjectType::NotificationEvent
    } else {
        ObjectType::SynchronizationEvent
    };
    // SAFETY: contract of the function.
    unsafe { Object::at(event) }.initialize(kind, size_of::<KEVENT>(), i32::from(signaled));
}

/// `KeSetEvent`: signals and returns the old state. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// `event` points to an initialized `KEVENT` that is alive until this call has
/// taken the lock; the waiter it wakes may free it.
pub unsafe fn set_event(event: *mut KEVENT) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(event) };
    expect_kind(object, "KeSetEvent", EVENTS);
    let mut waits = lock();
    let old = object.state().swap(1, Ordering::AcqRel);
    if old == 0 {
        waits.signal(object);
    }
    old
}

/// `KePulseEvent`: satisfies the waits under way and resets. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// As [`set_event`].
pub unsafe fn pulse_event(event: *mut KEVENT) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(event) };
    expect_kind(object, "KePulseEvent", EVENTS);
    let mut waits = lock();
    let old = object.state().swap(1, Ordering::AcqRel);
    if old == 0 {
        waits.signal(object);
    }
    // The lock is held, so no waiter that was satisfied has run and freed the event.
    object.state().store(0, Ordering::Release);
    old
}

/// `KeResetEvent`: resets and returns the old state. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// `event` points to an initialized `KEVENT`.
pub unsafe fn reset_event(event: *mut KEVENT) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(event) };
    expect_kind(object, "KeResetEvent", EVENTS);
    let _waits = lock();
    object.state().swap(0, Ordering::AcqRel)
}

/// `KeClearEvent`: resets. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// `event` points to an initialized `KEVENT`.
pub unsafe fn clear_event(event: *mut KEVENT) {
    // SAFETY: contract of the function.
    unsafe { reset_event(event) };
}

/// `KeReadStateEvent`: non-zero if signaled. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// `event` points to an initialized `KEVENT`.
pub unsafe fn read_state_event(event: *mut KEVENT) -> i32 {
    // SAFETY: contract of the function.
    unsafe { read_state(event.cast()) }
}

/// `SignalState` of any dispatcher object.
///
/// # Safety
/// `object` points to a dispatcher object.
pub unsafe fn read_state(object: *mut c_void) -> i32 {
    // SAFETY: contract of the function.
    unsafe { Object::at(object) }
        .state()
        .load(Ordering::Acquire)
}

/// `KeInitializeSemaphore`.
///
/// # Safety
/// `semaphore` points to writable, aligned memory of a `KSEMAPHORE`.
pub unsafe fn initialize_semaphore(semaphore: *mut KSEMAPHORE, count: i32, limit: i32) {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(semaphore) };
    object.initialize(ObjectType::Semaphore, size_of::<KSEMAPHORE>(), count);
    // SAFETY: contract of the function.
    unsafe { (*semaphore).Limit = limit };
}

/// `KeReleaseSemaphore`: adds `adjustment` and returns the old count. Above the
/// limit NT raises `STATUS_SEMAPHORE_LIMIT_EXCEEDED`, which is a violation here.
///
/// # Safety
/// `semaphore` points to an initialized `KSEMAPHORE`.
pub unsafe fn release_semaphore(semaphore: *mut KSEMAPHORE, adjustment: i32) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(semaphore) };
    expect_kind(object, "KeReleaseSemaphore", &[ObjectType::Semaphore]);
    // SAFETY: contract of the function.
    let limit = unsafe { (*semaphore).Limit };
    let mut waits = lock();
    let old = object.state().load(Ordering::Acquire);
    match old.checked_add(adjustment) {
        Some(new) if adjustment > 0 && new <= limit => {
            object.state().store(new, Ordering::Release);
            waits.signal(object);
        }
        _ => {
            drop(waits);
            violation(
                &rules::SEMAPHORE_LIMIT,
                format!(
                    "{} has count {old} of {limit} and was released by {adjustment}",
                    object.describe()
                ),
                &[],
            );
        }
    }
    old
}

/// `KeInitializeMutex`: free.
///
/// # Safety
/// `mutant` points to writable, aligned memory of a `KMUTANT`.
pub unsafe fn initialize_mutant(mutant: *mut KMUTANT) {
    // SAFETY: contract of the function.
    unsafe { mutant.write_bytes(0, 1) };
    // SAFETY: contract of the function.
    unsafe { Object::at(mutant) }.initialize(ObjectType::Mutant, size_of::<KMUTANT>(), 1);
    // SAFETY: contract of the function. A KMUTEX holds off normal kernel APCs.
    unsafe { (*mutant).ApcDisable = 1 };
}

/// `KeReleaseMutex`: returns the old state; zero means that it is free now. NT
/// raises `STATUS_MUTANT_NOT_OWNED` in a thread that does not own it, which is a
/// violation here.
///
/// # Safety
/// `mutant` points to an initialized `KMUTANT`.
pub unsafe fn release_mutant(mutant: *mut KMUTANT) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(mutant) };
    expect_kind(object, "KeReleaseMutex", &[ObjectType::Mutant]);
    let me = std::ptr::from_ref(thread::current()).addr();
    let mut waits = lock();
    // SAFETY: a mutant's field, under the lock.
    if unsafe { object.owner().read() }.addr() != me {
        drop(waits);
        violation(
            &rules::MUTEX_NOT_OWNED,
            format!(
                "{} was released by a thread that does not own it",
                object.describe()
            ),
            &[],
        );
        return object.state().load(Ordering::Acquire);
    }
    let old = object.state().fetch_add(1, Ordering::AcqRel);
    if old == 0 {
        // SAFETY: as above.
        unsafe { object.owner().write(std::ptr::null_mut()) };
        waits.signal(object);
        drop(waits);
        OWNED_MUTANTS.set(OWNED_MUTANTS.get().saturating_sub(1));
        thread::leave_critical_region();
    }
    old
}

thread_local! {
    static OWNED_MUTANTS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Mutants that this thread owns.
pub(super) fn owned_mutants() -> u32 {
    OWNED_MUTANTS.get()
}

/// Prepares the header of a thread object.
pub(super) fn initialize_thread_object(object: *mut c_void, ended: bool) {
    // SAFETY: the caller has just made the object.
    unsafe { Object::at(object) }.initialize(ObjectType::Thread, 0, i32::from(ended));
}

/// Signals the object of a thread that ends.
pub(super) fn signal_thread_object(object: *mut c_void) {
    // SAFETY: made by `initialize_thread_object`, and never freed.
    unsafe { signal(object) };
}

/// Prepares the header of a process object.
pub(super) fn initialize_process_object(object: *mut c_void) {
    // SAFETY: the caller passes the memory of one.
    unsafe { Object::at(object) }.initialize(ObjectType::Process, 0, 0);
}

/// Prepares the header of a timer.
///
/// # Safety
/// `object` points to writable, aligned memory of a `KTIMER`.
pub(super) unsafe fn initialize_timer_object(
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

/// Sets the state of an object to signaled and ends waits.
///
/// # Safety
/// `object` points to an initialized dispatcher object.
pub(super) unsafe fn signal(object: *mut c_void) {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(object) };
    let mut waits = lock();
    object.state().store(1, Ordering::Release);
    waits.signal(object);
}

/// Sets the state of an object to not signaled.
///
/// # Safety
/// `object` points to an initialized dispatcher object.
pub(super) unsafe fn unsignal(object: *mut c_void) {
    let _waits = lock();
    // SAFETY: contract of the function.
    unsafe { Object::at(object) }
        .state()
        .store(0, Ordering::Release);
}

/// Waits for one or all of `objects`: `STATUS_WAIT_0` + index for one,
/// `STATUS_SUCCESS` for all, or `STATUS_TIMEOUT`. `timeout` is in units of
/// 100 ns, negative for a span and positive for a system time; zero never
/// blocks. Nothing alerts threads of the box, so `alertable` changes nothing.
///
/// IRQL < `DISPATCH_LEVEL`, or = `DISPATCH_LEVEL` with a timeout of zero.
///
/// # Safety
/// The objects are dispatcher objects that stay alive during the wait.
pub unsafe fn wait(
    objects: &[*mut c_void],
    all: bool,
    timeout: Option<i64>,
    alertable: bool,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { wait_for(objects, all, timeout, alertable, 0) }
}

/// [`wait`] for a driver at `caller`.
///
/// # Safety
/// As [`wait`].
pub unsafe fn wait_for(
    objects: &[*mut c_void],
    all: bool,
    timeout: Option<i64>,
    _alertable: bool,
    caller: usize,
) -> NTSTATUS {
    let thread = thread::current();
    let level = irql::current();
    if level >= DISPATCH_LEVEL && (timeout != Some(0) || level > DISPATCH_LEVEL) {
        violation(
            &verifier::rules::WAIT_AT_DISPATCH,
            format!(
                "a wait that may block was begun at {} ({level})",
                irql::name(level)
            ),
            &[("waited at", caller)],
        );
    }
    for object in objects {
        // SAFETY: contract of the function.
        let object = unsafe { Object::at(*object) };
        if object.kind().is_none() {
            violation(
                &rules::UNINITIALIZED_OBJECT,
                format!(
                    "a wait for {}, which is not an initialized dispatcher object",
                    object.describe()
                ),
                &[("waited at", caller)],
            );
        }
    }
    thread::deliver_apcs();
    let deadline = timeout.filter(|timeout| *timeout != 0).map(time::deadline);
    let mut block = WaitBlock::new(thread, objects, all);
    let status = match timeout {
        Some(0) => {
            let _waits = lock();
            block.satisfy().unwrap_or(STATUS_TIMEOUT)
        }
        _ => block_until(&mut block, deadline, caller),
    };
    block.took();
    status
}

/// Waits until the block is satisfied or the deadline has come.
fn block_until(block: &mut WaitBlock<'_>, deadline: Option<Instant>, caller: usize) -> NTSTATUS {
    let thread = block.thread;
    let at: *mut WaitBlock<'static> = std::ptr::from_mut(block).cast();
    let mut warn_at = (!thread.is_system()).then(|| Instant::now() + LONG_WAIT);
    let mut waits = lock();
    loop {
        // SAFETY: the block lies in the caller's frame; this thread reads it under the lock.
        if let Some(status) = unsafe { (*at).satisfy() } {
            return status;
        }
        waits.blocks.push(at);
        // Inner loop: until this thread has something to do other than wait on.
        let ended = loop {
            let now = Instant::now();
            // SAFETY: as above.
            if let Some(status) = unsafe { (*at).status } {
                return status;
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                waits.remove(at);
                return STATUS_TIMEOUT;
            }
            if thread.has_apc() && thread::takes_apcs() {
                waits.remove(at);
                break true;
            }
            if warn_at.is_some_and(|warn_at| warn_at <= now) {
                waits.remove(at);
                break false;
            }
            let until = [deadline, warn_at].into_iter().flatten().min();
            waits = match until {
                Some(until) => {
                    let (waits, _) = thread
                        .wake
                        .wait_timeout(waits, until.saturating_duration_since(now))
                        .unwrap_or_else(PoisonError::into_inner);
                    waits
                }
                None => thread
                    .wake
                    .wait(waits)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        };
        drop(waits);
        if ended {
            thread::deliver_apcs();
        } else {
            warn_at = None;
            // SAFETY: as above.
            warn(unsafe { &*at }, caller);
        }
        waits = lock();
    }
}

/// A wait of a user thread that is worth a line.
const LONG_WAIT: Duration = Duration::from_secs(30);

fn warn(block: &WaitBlock<'_>, caller: usize) {
    let objects: Vec<String> = block
        .objects
        .iter()
        // SAFETY: the objects of a wait under way.
        .map(|object| unsafe { Object::at(*object) }.describe())
        .collect();
    let place = if caller == 0 {
        String::new()
    } else {
        format!(" at {}", crate::pe_image::describe_code(caller))
    };
    eprintln!(
        "ntbox: {:?} has waited{place} for {} seconds for {}",
        block.thread,
        LONG_WAIT.as_secs(),
        objects.join(", ")
    );
}

/// Waits for a time and takes APCs (`KeDelayExecutionThread`). IRQL <= `APC_LEVEL`.
/// `interval` is as the timeout of [`wait`].
pub fn delay(interval: i64, caller: usize) -> NTSTATUS {
    irql::require_at_most("KeDelayExecutionThread", APC_LEVEL, caller);
    thread::deliver_apcs();
    if interval == 0 {
        std::thread::yield_now();
        return STATUS_SUCCESS;
    }
    let mut block = WaitBlock::new(thread::current(), &[], false);
    block_until(&mut block, Some(time::deadline(interval)), caller);
    STATUS_SUCCESS
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
