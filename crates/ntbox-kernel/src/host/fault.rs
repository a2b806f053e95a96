//! Faults: memory or instructions that a driver should not have touched.
//!
//! On Linux [`prepare_thread`] makes faults of the thread arrive here. Reading
//! `cr8` is answered with the IRQL of the thread; everything else that a driver
//! has to do with becomes a violation with the driver's line, and the process
//! ends. Faults that no driver took part in are left to whoever handled them
//! before.
//!
//! The handler runs on a stack of its own and only collects; a thread that
//! waits for nothing else makes the report, on an ordinary stack. If it cannot
//! (the faulting thread may hold any lock), the process ends a little later
//! with what is known.
//!
//! On Windows hosts faults are not handled: the process ends as the system
//! ends it.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod judge;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux;
#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod process_tests;

/// Makes this thread able to take faults. Called once for each thread before
/// driver code runs on it; further calls cost a look at a thread-local.
pub fn prepare_thread() {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    linux::prepare_thread();
}
