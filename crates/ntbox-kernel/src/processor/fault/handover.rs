//! The way of the one fault that is reported, from the thread that it happened
//! on to the one that reports it.

#![expect(unsafe_code, reason = "the fault is handed over without a lock")]

use super::judge::{Fault, report};
use super::own::{self, Taken};
use super::system::Bell;
use crate::host::exit_now;
use crate::pe_image::Origin;
use crate::verifier::{self, Context};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

/// The report has this long; then the process ends without.
const TIME_TO_REPORT: Duration = Duration::from_secs(60);

/// A fault, and where it happened.
pub(super) struct Collected {
    pub(super) fault: Fault,
    /// Where its calls are found. The thread stands still from here on.
    pub(super) origin: Origin,
    pub(super) thread: Named,
}

/// A thread in a report: its client id, and its name.
#[derive(Clone, Copy)]
pub(super) struct Named(u32, &'static str);

thread_local! {
    /// This thread. Read where it was interrupted.
    static THIS_THREAD: Cell<Named> = const { Cell::new(Named(0, "unnamed")) };
}

/// See [`super::call_thread`].
pub(super) fn call_thread(id: u32, name: &'static str) {
    THIS_THREAD.set(Named(id, name));
}

impl Named {
    pub(super) fn id(self) -> u32 {
        self.0
    }
    pub(super) fn name(self) -> &'static str {
        self.1
    }
}

/// What is handed over.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one, and nothing is allocated for it"
)]
pub(super) enum Handed {
    /// A driver's.
    Driver(Collected),
    /// The box's own.
    Box(Taken),
}

/// The thread that runs.
pub(super) fn this_thread() -> Named {
    THIS_THREAD.get()
}

struct Handover {
    taken: AtomicBool,
    ready: OnceLock<Bell>,
    fault: UnsafeCell<MaybeUninit<Handed>>,
}

// SAFETY: `fault` is written by the one thread that set `taken` first and read
// after the bell was rung by it.
unsafe impl Sync for Handover {}

static HANDOVER: Handover = Handover {
    taken: AtomicBool::new(false),
    ready: OnceLock::new(),
    fault: UnsafeCell::new(MaybeUninit::uninit()),
};

/// Hands a fault over; this thread has nothing left to do. Neither allocates nor locks.
pub(super) fn hand_over(handed: Handed) -> ! {
    verifier::announce();
    if !HANDOVER.taken.swap(true, Ordering::AcqRel)
        && let Some(ready) = HANDOVER.ready.get()
    {
        // SAFETY: this thread alone comes here; the reader waits for the bell.
        unsafe { (*HANDOVER.fault.get()).write(handed) };
        ready.ring();
    }
    wait_for_report()
}

/// The report ends the process.
fn wait_for_report() -> ! {
    std::thread::sleep(TIME_TO_REPORT);
    if own::is_taken() {
        own::give_up();
    }
    crate::host::write_raw(
        false,
        "ntbox: a rule was broken, and the report could not be made\n",
    );
    exit_now(1)
}

/// Runs when the process ends in the ordinary way, perhaps with success, while
/// another thread is about to report.
extern "C" fn at_exit() {
    if verifier::is_announced() {
        wait_for_report();
    }
}

/// Starts the thread that reports, before there can be a fault.
pub(super) fn start_reporter() {
    static STARTED: Once = Once::new();
    STARTED.call_once(start);
}

fn start() {
    // SAFETY: a function without arguments that may be called at any time.
    unsafe { libc::atexit(at_exit) };
    let ready = HANDOVER.ready.get_or_init(Bell::new);
    let reporter = std::thread::Builder::new().name("fault report".into());
    let started = reporter.stack_size(8 << 20).spawn(|| {
        ready.wait();
        // SAFETY: the thread that wrote the fault rang the bell, and nobody writes again.
        let handed = unsafe { &*HANDOVER.fault.get() };
        // SAFETY: it was written before the bell was rung.
        let collected = match unsafe { handed.assume_init_ref() } {
            Handed::Driver(collected) => collected,
            Handed::Box(taken) => own::report(taken),
        };
        let Named(id, name) = collected.thread;
        report(
            &collected.fault,
            &collected.origin,
            Context {
                thread: id,
                name: name.to_owned(),
                irql: collected.fault.irql,
            },
        )
    });
    if let Err(error) = started {
        crate::host::write_raw(
            false,
            &format!("ntbox: no thread for fault reports: {error}\n"),
        );
    }
}
