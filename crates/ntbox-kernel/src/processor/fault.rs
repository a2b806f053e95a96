//! Faults: memory or instructions that a driver should not have touched.
//!
//! [`prepare_thread`] makes faults of the thread arrive here: as signals on
//! Linux, as exceptions on Windows. Reading `cr8` is answered with the IRQL of
//! the thread, writing it sets that, and the page that the kernel shares with programs is read elsewhere; everything else that a driver has to do with becomes a violation
//! with the driver's line, and the process ends. Faults that no driver took part
//! in, and panics, are the box's own: they go to who has asked for them ([`tell_own`]),
//! else to whoever handled them before.
//!
//! The handler only collects; a thread that waits for nothing else makes the
//! report, on a stack that is not the faulting one. If it cannot (the faulting
//! thread may hold any lock), the process ends a little later with what is known.
//!
//! | module | holds |
//! |---|---|
//! | `linux`, `windows` | where a fault comes from, and whom it is handed back to |
//! | `interrupted` | what becomes of a thread that was interrupted |
//! | `handover` | the way of a fault to the thread that reports it |
//! | `judge` | which rule it breaks |
//! | `level`, `elsewhere` | faults that the thread goes on from: `mov cr8`, the shared page |
//! | `wild` | routines of drivers that lead nowhere |
//! | `sample` | where another thread is |
//! | `own` | faults and panics of the box itself |

pub use own_fault::{FAILED, OwnFault};

use crate::nt::Kirql;

mod own_fault;

#[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
mod elsewhere;
#[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
mod handover;
#[cfg(all(test, any(target_os = "linux", windows), target_arch = "x86_64"))]
mod inlined_tests;
#[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
mod interrupted;
#[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
mod judge;
#[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
mod level;
#[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
mod own;
#[cfg(all(test, any(target_os = "linux", windows), target_arch = "x86_64"))]
mod own_tests;
#[cfg(all(test, any(target_os = "linux", windows), target_arch = "x86_64"))]
mod process_tests;
#[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
mod sample;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "fault/linux.rs"]
mod system;
#[cfg(all(windows, target_arch = "x86_64"))]
#[path = "fault/windows.rs"]
mod system;
#[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
mod wild;

/// What reports call the thread that runs. The handler can ask no other floor: it may have interrupted it.
pub(super) fn call_thread(id: u32, name: &'static str) {
    #[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
    handover::call_thread(id, name);
    #[cfg(not(all(any(target_os = "linux", windows), target_arch = "x86_64")))]
    let _ = (id, name);
}

/// Where a thread is, seen from another one.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The instruction that it is at.
    pub instruction: usize,
    /// Its level, where the host lets that be seen.
    pub irql: Option<Kirql>,
    /// The routine of the box that the innermost driver has called, for [`crate::pe_image::imported_routine`]; or 0.
    pub called: usize,
    /// Return addresses into drivers, innermost first.
    pub calls: Vec<usize>,
}

/// Looks at the thread that the box and the host call so, whose crossings with drivers are at `crossings`; `None` if it has
/// ended or does not answer.
pub(super) fn sample(id: u32, host: u32, crossings: usize) -> Option<Sample> {
    #[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
    return sample::sample(id, host, crossings);
    #[cfg(not(all(any(target_os = "linux", windows), target_arch = "x86_64")))]
    return (id, host, crossings, None).3;
}

/// Has faults of the box itself (on Linux) and panics told by `tell`, which ends the process with [`FAILED`]. It is
/// called on a thread of its own, while the others go on.
pub fn tell_own(tell: fn(&OwnFault) -> !) {
    #[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
    {
        own::set(tell);
        std::panic::set_hook(Box::new(|panic| own::panicked(panic.to_string())));
    }
    #[cfg(not(all(any(target_os = "linux", windows), target_arch = "x86_64")))]
    let _ = tell;
}

/// What is written in the place of the report of [`tell_own`] if that faults or takes too long.
pub fn keep_ready(json: bool, text: String) {
    #[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
    own::keep_ready(json, text);
    #[cfg(not(all(any(target_os = "linux", windows), target_arch = "x86_64")))]
    let _ = (json, text);
}

/// Makes this thread able to take faults. Called once for each thread before
/// driver code runs on it; further calls cost a look at a thread-local.
pub fn prepare_thread() {
    #[cfg(all(any(target_os = "linux", windows), target_arch = "x86_64"))]
    system::prepare_thread();
}
