//! What the box needs of the operating system it runs on.
//!
//! Linux and Windows on x86-64 run everything; what one of them has no counterpart
//! for is said where it would be.

pub mod address_map;
pub mod file;
pub mod memory;
pub mod pageable;
pub mod segment;
#[cfg(test)]
pub(crate) mod test_process;

use std::sync::OnceLock;

#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;

/// True where the box sees what a driver's code must not touch.
pub const TAKES_FAULTS: bool = cfg!(all(
    any(target_os = "linux", windows),
    target_arch = "x86_64"
));

/// Bytes of a page, on every host the box runs on.
pub const PAGE: usize = 4096;

/// Writes all of `text` to standard output or standard error, past any lock or
/// buffer of this process. Errors are ignored: nobody is left to hear of them.
pub fn write_raw(to_standard_output: bool, text: &str) {
    system::write_raw(to_standard_output, text);
}

/// What the operating system calls the thread that runs.
pub fn thread_id() -> u32 {
    system::thread_id()
}

/// The stack of the thread that runs, from its lowest address to the one above it, where drivers have none of their
/// own.
#[cfg(windows)]
pub fn stack() -> std::ops::Range<usize> {
    system::stack()
}
/// Elsewhere nobody asks.
#[cfg(not(windows))]
pub fn stack() -> std::ops::Range<usize> {
    0..usize::MAX
}

/// On Linux hosts temporary directories go before a signal ends the process (SIGINT, SIGTERM, SIGHUP). To be called
/// before there are other threads.
pub fn expect_signals() {
    #[cfg(target_os = "linux")]
    file::sweep::before_signals();
}

/// Has `take` asked when one of these signals comes: it says whether the command ends by itself.
#[cfg(target_os = "linux")]
pub fn take_signals(take: impl Fn() -> bool + Send + Sync + 'static) {
    file::sweep::take_signals(Box::new(take));
}

/// What is done last, once.
static LAST: OnceLock<fn()> = OnceLock::new();

/// Has `act` done where the process ends at once: what others rely on in it. It may run in any thread, at any place
/// of that one, and so neither allocates nor locks. The first one stays.
pub fn before_exit(act: fn()) {
    let _first_stays = LAST.set(act);
}

/// Ends the process at once, without running destructors or exit handlers: other threads may hold any lock. What
/// [`before_exit`] was told is done before, and on Linux hosts temporary directories go.
pub fn exit_now(code: i32) -> ! {
    if let Some(act) = LAST.get() {
        act();
    }
    system::exit_now(code)
}
