//! Processor time: threads and their IRQL, waits, spin locks, work items and DPCs.
//!
//! Every host thread that runs kernel code is a [`thread::Thread`] and a
//! processor of its own: it has its own IRQL and is never preempted by another
//! thread of the box in NT's sense. A level of `DISPATCH_LEVEL` therefore keeps
//! nothing else from running elsewhere, as on a machine with many processors.
//!
//! - [`irql`]: the level of the current thread;
//! - [`thread`]: thread and process objects, APCs, critical regions;
//! - [`dispatcher`]: events, semaphores, mutants, timers and the waits on them;
//! - [`spin_lock`]: spin locks that know their owner;
//! - [`work`]: system worker threads, DPCs and delayed calls.

pub mod dispatcher;
pub mod dpc;
mod escape;
pub mod irql;
pub mod parking;
pub mod process;
pub mod rules;
pub mod spin_lock;
pub mod system_thread;
pub mod thread;
pub mod time;
pub mod timer;
pub mod work;
