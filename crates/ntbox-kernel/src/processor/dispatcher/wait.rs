//! Waiting: what a thread does that must.

#![expect(unsafe_code, reason = "dispatcher objects live in driver memory")]

use super::counted::took_mutants;
use super::header::{Object, ObjectType};
use super::waits::{WaitBlock, lock};
use crate::nt::{DISPATCH_LEVEL, NTSTATUS, STATUS_SUCCESS, STATUS_TIMEOUT, STATUS_USER_APC};
use crate::processor::lock_order::{self, Mode};
use crate::processor::thread::{self, Thread};
use crate::processor::{apc, irql, points, time};
use crate::verifier;
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Objects that a wait without a wait block array may name (`THREAD_WAIT_OBJECTS`).
pub const THREAD_WAIT_OBJECTS: usize = 3;
/// Objects that any wait may name.
pub const MAXIMUM_WAIT_OBJECTS: usize = 64;

/// Waits for one or all of `objects`: `STATUS_WAIT_0` + index for one,
/// `STATUS_SUCCESS` for all, or `STATUS_TIMEOUT`. `timeout` is in units of
/// 100 ns, negative for a span and positive for a system time; zero never
/// blocks. With `takes_user_apcs`, an alertable wait of user mode, it ends with
/// `STATUS_USER_APC` when it would block and the thread has some. Nothing else
/// alerts threads of the box.
///
/// IRQL < `DISPATCH_LEVEL`, or = `DISPATCH_LEVEL` with a timeout of zero.
///
/// # Safety
/// The objects are dispatcher objects that stay alive during the wait.
pub unsafe fn wait(
    objects: &[*mut c_void],
    all: bool,
    timeout: Option<i64>,
    takes_user_apcs: bool,
) -> NTSTATUS {
    // SAFETY: contract of the function.
    unsafe { wait_for(objects, all, timeout, takes_user_apcs, 0) }
}

/// [`wait`] for a driver at `caller`.
///
/// # Safety
/// As [`wait`].
pub unsafe fn wait_for(
    objects: &[*mut c_void],
    all: bool,
    timeout: Option<i64>,
    takes_user_apcs: bool,
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
    apc::deliver_apcs();
    // A wait that ends by itself, or with another object, is none for ever.
    let mutant = mutant_alone(objects);
    if let (Some(mutant), None) = (mutant, timeout) {
        lock_order::acquiring(mutant, MUTEX, Mode::Exclusive, caller);
    }
    points::point();
    let deadline = timeout.filter(|timeout| *timeout != 0).map(time::deadline);
    let mut block = WaitBlock::new(&thread.waiter, objects, all, caller);
    let status = match timeout {
        Some(0) => {
            let _waits = lock();
            block
                .satisfy()
                .unwrap_or_else(|| match takes_user_apcs && thread.apcs.end_wait() {
                    true => STATUS_USER_APC,
                    false => STATUS_TIMEOUT,
                })
        }
        _ => block_until(thread, &mut block, deadline, takes_user_apcs, caller),
    };
    points::goes_on();
    took_mutants(block.mutants);
    if let (Some(mutant), STATUS_SUCCESS) = (mutant, status) {
        lock_order::acquired(mutant, MUTEX, Mode::Exclusive, caller);
    }
    status
}

/// What it is called in reports.
const MUTEX: &str = "mutex";

/// The mutex that is the only object of a wait.
fn mutant_alone(objects: &[*mut c_void]) -> Option<usize> {
    let [object] = *objects else { return None };
    // SAFETY: the caller of `wait` vouches for the objects.
    let kind = unsafe { Object::at(object) }.kind();
    (kind == Some(ObjectType::Mutant)).then(|| object.addr())
}

/// Waits until the block is satisfied or the deadline has come.
fn block_until(
    thread: &'static Thread,
    block: &mut WaitBlock<'_>,
    deadline: Option<Instant>,
    takes_user_apcs: bool,
    caller: usize,
) -> NTSTATUS {
    let at: *mut WaitBlock<'static> = std::ptr::from_mut(block).cast();
    let mut warn_at = (!thread.is_system()).then(|| Instant::now() + LONG_WAIT);
    let mut waits = lock();
    loop {
        // SAFETY: the block lies in the caller's frame; this thread reads it under the lock.
        if let Some(status) = unsafe { (*at).satisfy() } {
            return status;
        }
        waits.blocks.push(at);
        points::waits();
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
            if thread.apcs.are_due() {
                waits.remove(at);
                break true;
            }
            if takes_user_apcs && thread.apcs.end_wait() {
                waits.remove(at);
                return STATUS_USER_APC;
            }
            if warn_at.is_some_and(|warn_at| warn_at <= now) {
                waits.remove(at);
                break false;
            }
            let until = [deadline, warn_at].into_iter().flatten().min();
            waits = match until {
                Some(until) => {
                    let (waits, _) = thread
                        .waiter
                        .wake
                        .wait_timeout(waits, until.saturating_duration_since(now))
                        .unwrap_or_else(PoisonError::into_inner);
                    waits
                }
                None => thread
                    .waiter
                    .wake
                    .wait(waits)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        };
        drop(waits);
        if ended {
            apc::deliver_apcs();
        } else {
            warn_at = None;
            // SAFETY: as above.
            warn(thread, unsafe { &*at }, caller);
        }
        waits = lock();
    }
}

/// A wait of a user thread that is worth a line.
const LONG_WAIT: Duration = Duration::from_secs(30);

fn warn(thread: &Thread, block: &WaitBlock<'_>, caller: usize) {
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
        "ntbox: {thread:?} has waited{place} for {} seconds for {}",
        LONG_WAIT.as_secs(),
        objects.join(", ")
    );
}

/// Waits for a time and takes APCs (`KeDelayExecutionThread`). IRQL <= `APC_LEVEL`.
/// `interval` and `takes_user_apcs` are as those of [`wait`].
pub fn delay(interval: i64, takes_user_apcs: bool, caller: usize) -> NTSTATUS {
    irql::require("KeDelayExecutionThread", caller);
    apc::deliver_apcs();
    if takes_user_apcs && thread::current().apcs.end_wait() {
        return STATUS_USER_APC;
    }
    if interval == 0 {
        std::thread::yield_now();
        return STATUS_SUCCESS;
    }
    if points::takes_part() {
        points::long_time(time::span(interval));
        return STATUS_SUCCESS;
    }
    let thread = thread::current();
    let mut block = WaitBlock::new(&thread.waiter, &[], false, caller);
    let deadline = Some(time::deadline(interval));
    match block_until(thread, &mut block, deadline, takes_user_apcs, caller) {
        STATUS_USER_APC => STATUS_USER_APC,
        _ => STATUS_SUCCESS,
    }
}
