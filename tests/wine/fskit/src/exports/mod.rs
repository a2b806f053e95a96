//! The routines of the kernel that a filter needs and Wine 8.0 does not have, under their own
//! names, and those that it has but that do nothing useful.
//!
//! What each does is in the DDI reference; here is said only where it falls short of that.
//!
//! | module | routines for |
//! |---|---|
//! | [`devices`] | device stacks, volume parameter blocks |
//! | [`file_systems`] | registration of file systems and callbacks |
//! | [`completion`] | IoSetCompletionRoutineEx |
//! | [`rundown`] | rundown protection |
//! | [`pool`] | the pool, counted |
//! | [`event_log`] | entries of the event log, counted |
//! | [`etw`] | providers of events, counted |
//! | [`names`] | names of drivers, keys of services |
//! | [`time`] | the time of day |
//!
//! KeGetCurrentIrql and IoGetTopLevelIrp are here: Wine's kernel threads have no IRQL, and none of them is
//! inside a file system.

pub mod completion;
pub mod devices;
mod etw;
pub mod event_log;
pub mod file_systems;
mod names;
pub mod pool;
pub mod rundown;
mod time;

use fskit_protocol::Report;
use wdk_sys::IRP;

/// PASSIVE_LEVEL, always.
#[unsafe(no_mangle)]
extern "C" fn KeGetCurrentIrql() -> u8 {
    0
}

/// There is nothing to wait for: DPCs never run.
#[unsafe(no_mangle)]
extern "C" fn KeFlushQueuedDpcs() {}

/// No file system calls itself here.
#[unsafe(no_mangle)]
extern "C" fn IoGetTopLevelIrp() -> *mut IRP {
    core::ptr::null_mut()
}

/// Puts the counters into `report`.
pub fn count(report: &mut Report) {
    report.registrations = file_systems::count();
    report.providers = etw::count();
    report.pool_blocks = pool::count();
    (report.log_entries, report.last_log_code) = event_log::count();
}
