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
//! | [`names`] | names of drivers |
//! | [`time`] | the time of day |
//!
//! KeGetCurrentIrql is here: Wine's kernel threads have no IRQL.

pub mod completion;
pub mod devices;
pub mod event_log;
pub mod file_systems;
mod names;
pub mod pool;
pub mod rundown;
mod time;

use fskit_protocol::Report;

/// PASSIVE_LEVEL, always.
#[unsafe(no_mangle)]
extern "C" fn KeGetCurrentIrql() -> u8 {
    0
}

/// Puts the counters into `report`.
pub fn count(report: &mut Report) {
    report.registrations = file_systems::count();
    report.pool_blocks = pool::count();
    (report.log_entries, report.last_log_code) = event_log::count();
}
