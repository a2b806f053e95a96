//! Processor time: threads and their IRQL, waits, spin locks, work items and DPCs.
//!
//! Every host thread that runs kernel code is a [`thread::Thread`] and a
//! processor of its own: it has its own IRQL and is never preempted by another
//! thread of the box in NT's sense. A level of `DISPATCH_LEVEL` therefore keeps
//! nothing else from running elsewhere, as on a machine with many processors.
//!
//! - [`irql`]: the level of the current thread; [`held_locks`]: how many spin locks it holds;
//! - [`object`], [`lifetime`], [`handle`]: what threads, devices and files have in common;
//! - [`thread`]: thread objects, APCs, critical regions; [`process`]: the processes;
//! - [`top_level`]: who is above the file system in a thread;
//! - [`dispatcher`]: events, semaphores, mutexes and the waits on them;
//! - [`timer`], [`dpc`]: timers and DPC objects; [`time`], [`counter`]: the clocks;
//! - [`spin_lock`]: spin locks that know their owner;
//! - [`driver_code`]: calling a driver's routine on its kernel stack;
//! - [`work`]: system worker threads, DPCs and delayed calls;
//! - [`parking`]: waits on an address, for locks without a dispatcher object;
//! - [`system_thread`]: threads that drivers create; [`notify`]: whom they want to be told of;
//! - [`fault`], [`step`], [`instruction`]: what a driver's code must not touch, and each instruction of it;
//! - `processor_block`, `shared_page`: what Microsoft's headers read without a call;
//! - [`suspension`]: threads that are suspended inside a driver;
//! - [`turns`], [`points`]: two threads that run in turn, for every order of a race.
//!
//! From below: levels and APCs; the points, objects and waits that a thread is built on; processes and threads;
//! then what threads do, waiting first. A lower one is handed what it needs of a thread.

pub mod apc;
pub mod callback;
pub mod counter;
pub mod dispatcher;
pub mod dpc;
pub mod driver_code;
mod escape;
#[cfg(target_arch = "x86_64")]
pub mod exception;
pub mod fault;
pub mod given;
pub mod handle;
pub mod handle_callbacks;
pub mod held_locks;
pub mod instruction;
pub mod irql;
pub mod lifetime;
pub mod lock_manner;
pub mod lock_order;
pub mod notify;
pub mod object;
pub mod parking;
pub mod points;
pub mod process;
mod processor_block;
mod registered;
pub mod registry_callbacks;
mod shared_page;
pub mod spin_lock;
pub mod stack_use;
pub mod step;
pub mod suspension;
pub mod system_thread;
pub mod thread;
pub mod time;
pub mod timer;
pub mod top_level;
pub mod turns;
pub mod work;

use std::ops::Range;

/// What can still call into a driver whose code lies in `code`, or runs there:
/// queued and running work items and DPCs, set timers with a DPC, system threads, notify routines.
/// Each with the routine it concerns.
pub fn outstanding(code: &Range<usize>) -> Vec<(&'static str, usize)> {
    let mut found = work::outstanding(code);
    found.extend(timer::outstanding(code));
    found.extend(system_thread::outstanding(code));
    found.extend(notify::outstanding(code));
    found.extend(registry_callbacks::outstanding(code));
    found.extend(handle_callbacks::outstanding(code));
    found.extend(callback::outstanding(code));
    found
}
