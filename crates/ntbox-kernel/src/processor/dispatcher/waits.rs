//! The waits under way, and what satisfies them.

#![expect(unsafe_code, reason = "dispatcher objects live in driver memory")]

use super::header::Object;
use super::waiter::Waiter;
use crate::host::memory::try_read;
use crate::nt::{KEVENT, NTSTATUS, STATUS_SUCCESS};
use crate::processor::{object, points};
use std::ffi::c_void;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A wait under way. It lies on the stack of the waiting thread, and in the list
/// only while that thread is inside [`wait`].
pub(super) struct WaitBlock<'a> {
    waiter: &'static Waiter,
    pub(super) objects: &'a [*mut c_void],
    all: bool,
    /// Where a driver has called for it, or 0.
    caller: usize,
    /// Of the wait, once who signals an object has satisfied it.
    pub(super) status: Option<NTSTATUS>,
    /// Mutexes that the satisfied wait made the thread own. The objects of a wait
    /// may be gone by the time it returns, so this is kept here.
    pub(super) mutants: u32,
}

impl<'a> WaitBlock<'a> {
    pub(super) fn new(
        waiter: &'static Waiter,
        objects: &'a [*mut c_void],
        all: bool,
        caller: usize,
    ) -> Self {
        Self {
            waiter,
            objects,
            all,
            caller,
            status: None,
            mutants: 0,
        }
    }
    /// Consumes the objects if the wait can be satisfied now.
    pub(super) fn satisfy(&mut self) -> Option<NTSTATUS> {
        let waiter = self.waiter;
        // SAFETY: the caller of `wait` vouches for the objects.
        let objects = self
            .objects
            .iter()
            .map(|object| unsafe { Object::at(*object) });
        if self.all {
            if objects.len() == 0 || !objects.clone().all(|object| object.is_signaled_for(waiter)) {
                return None;
            }
            self.mutants = objects
                .map(|object| u32::from(object.consume(waiter)))
                .sum();
            return Some(STATUS_SUCCESS);
        }
        let (index, object) = objects
            .enumerate()
            .find(|(_, object)| object.is_signaled_for(waiter))?;
        self.mutants = u32::from(object.consume(waiter));
        Some(index as NTSTATUS)
    }
}

/// The list of waits, in the order they began.
#[derive(Default)]
pub(super) struct Waits {
    pub(super) blocks: Vec<*mut WaitBlock<'static>>,
}

// SAFETY: the blocks are only reached under the lock, while their threads wait.
unsafe impl Send for Waits {}

static WAITS: Mutex<Waits> = Mutex::new(Waits { blocks: Vec::new() });

pub(super) fn lock() -> MutexGuard<'static, Waits> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waits {
    /// Ends the waits that the new state of `object` satisfies.
    pub(super) fn signal(&mut self, object: Object) {
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
                    block.waiter.wake.notify_one();
                    points::woken(block.waiter.thread);
                    self.blocks.remove(index);
                }
                None => index += 1,
            }
        }
    }
    pub(super) fn remove(&mut self, block: *mut WaitBlock<'static>) {
        self.blocks.retain(|other| *other != block);
    }
}

/// A wait under way, for who looks at it from another thread.
#[derive(Debug)]
pub struct UnderWay {
    /// Client id of the thread.
    pub thread: u32,
    /// What it waits for; nothing if for a time.
    pub objects: Vec<String>,
    /// It waits for all of them.
    pub all: bool,
    /// Where a driver has called for it, or 0.
    pub caller: usize,
}

/// The waits under way, in the order they began; `parked` are the events that stand for a lock, with its address.
pub fn under_way(parked: &[(*mut KEVENT, usize)]) -> Vec<UnderWay> {
    let waits = lock();
    let describe = |object: &*mut c_void| {
        let stands_for = |(event, _): &&(*mut KEVENT, usize)| event.cast() == *object;
        if let Some((_, lock)) = parked.iter().find(stands_for) {
            return format!("the lock at 0x{lock:x}");
        }
        // The memory of an object may be gone while it is waited for.
        let is_there = try_read(object.addr(), &mut [0; size_of::<usize>()]);
        match is_there {
            // SAFETY: a wait names dispatcher objects, and this one can be read.
            true => unsafe { Object::at(*object) }.describe(),
            false => format!("an object at {object:p}, where there is no memory any more"),
        }
    };
    let told = waits.blocks.iter().map(|block| {
        // SAFETY: blocks in the list belong to threads inside `wait`.
        let block = unsafe { &**block };
        UnderWay {
            thread: block.waiter.thread,
            objects: block.objects.iter().map(describe).collect(),
            all: block.all,
            caller: block.caller,
        }
    });
    told.collect()
}

/// Wakes a thread from its wait, if it is in one, to take an APC.
pub(in crate::processor) fn interrupt_wait(waiter: &Waiter) {
    let _waits = lock();
    waiter.wake.notify_one();
}

/// Sets the state of an object to signaled and ends waits.
///
/// # Safety
/// `object` points to an initialized dispatcher object.
pub(in crate::processor) unsafe fn signal(object: *mut c_void) {
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
pub(in crate::processor) unsafe fn unsignal(object: *mut c_void) {
    let _waits = lock();
    // SAFETY: contract of the function.
    unsafe { Object::at(object) }
        .state()
        .store(0, Ordering::Release);
}

/// Signals the object of a thread that ends.
pub(in crate::processor) fn signal_thread_object(object: *mut c_void) {
    // SAFETY: made by `initialize_thread_object`; the thread that ends has a reference of it.
    unsafe { signal(object) };
}

/// Gives up the reference that a thread has of its object, and that has been signaled, at PASSIVE_LEVEL.
pub(in crate::processor) fn give_up_thread_object(object: *mut c_void) {
    // SAFETY: as above; it runs no driver code any more, and nobody else gives this reference up.
    unsafe { object::release(object) };
}
