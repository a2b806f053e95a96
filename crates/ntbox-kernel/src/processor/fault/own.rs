//! What the box itself could not go on from: a fault in which no driver took part, a signal that was sent to it,
//! or a panic. Nobody is accused of it. It goes the way of a driver's fault, to the thread that reports.

use super::handover::{Handed, Named, hand_over, this_thread};
use super::judge::{Access, Trap};
use super::own_fault::{FAILED, OwnFault};
use crate::host;
use crate::pe_image::Origin;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most calls of the box that are told.
const CALLS: usize = 40;

/// What it is about.
#[derive(Clone)]
#[cfg_attr(
    windows,
    expect(
        dead_code,
        reason = "the host handles faults, and there are no signals"
    )
)]
pub(super) enum Complaint {
    /// The processor's.
    Trap(Trap),
    /// A signal that somebody has sent, the host's library for one, with its name.
    Signal(i32, &'static str),
    /// A panic, in its words.
    Panic(String),
}

/// What is known where it happened.
pub(super) struct Taken {
    complaint: Complaint,
    calls: [usize; CALLS],
    found: usize,
    origin: Origin,
    thread: Named,
}

type Tell = fn(&OwnFault) -> !;

static TELL: OnceLock<Tell> = OnceLock::new();
/// What is told if the report cannot be made, and on which channel.
static READY: OnceLock<(bool, String)> = OnceLock::new();
/// One is on its way to the report.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

thread_local! {
    static TELLS_HERE: Cell<bool> = const { Cell::new(false) };
    /// The calls are being looked for, which may fault.
    static LOOKS: Cell<bool> = const { Cell::new(false) };
}

/// See [`super::tell_own`].
pub(super) fn set(tell: Tell) {
    let _ = TELL.set(tell);
    // The host's library allocates when it looks for calls the first time.
    box_calls(&mut [0; CALLS]);
    super::handover::start_reporter();
}

/// See [`super::keep_ready`].
pub(super) fn keep_ready(json: bool, text: String) {
    let _ = READY.set((json, text));
}

/// True if the process ends because of the box itself.
pub(super) fn is_taken() -> bool {
    IS_TAKEN.load(Ordering::Acquire)
}

/// Ends the process with what is known.
pub(super) fn give_up() -> ! {
    match READY.get() {
        Some((json, text)) => host::write_raw(*json, text),
        None => host::write_raw(
            false,
            "ntbox: ntbox itself has failed, and the report could not be made\n",
        ),
    }
    host::exit_now(FAILED)
}

/// Takes a fault of the thread that was interrupted at `instruction`, which no driver has to do with; it returns
/// where nobody wants to know. Neither allocates nor locks.
#[cfg_attr(
    windows,
    expect(dead_code, reason = "the host may have a handler of its own")
)]
pub(super) fn faulted(complaint: Complaint, instruction: usize, origin: Origin) {
    if TELL.get().is_none() {
        return;
    }
    // Behind the first byte of the instruction, as a return address would be.
    let mut calls = [0; CALLS];
    calls[0] = instruction + 1;
    take(complaint, calls, Some(instruction), origin)
}

/// Takes a panic of this thread, in its words; it returns where nobody wants to know.
pub(super) fn panicked(what: String) {
    if TELL.get().is_some() {
        take(Complaint::Panic(what), [0; CALLS], None, Origin::here());
    }
}

fn take(complaint: Complaint, first: [usize; CALLS], at: Option<usize>, origin: Origin) -> ! {
    if TELLS_HERE.get() {
        give_up();
    }
    IS_TAKEN.store(true, Ordering::Release);
    let (mut calls, mut found) = (first, usize::from(at.is_some()));
    if !LOOKS.replace(true) {
        let mut all = [0; CALLS];
        let count = box_calls(&mut all);
        let begin = at.map_or(Some(0), |at| all.iter().position(|call| *call == at));
        // What the handler itself has on the stack is left out.
        let rest = begin.and_then(|begin| all.get(begin + found..count));
        for (into, call) in calls.iter_mut().skip(found).zip(rest.unwrap_or_default()) {
            *into = *call;
            found += 1;
        }
    }
    hand_over(Handed::Box(Taken {
        complaint,
        calls,
        found,
        origin,
        thread: this_thread(),
    }))
}

/// The return addresses on this thread's stack, the innermost first, as far as the host's library finds them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the host's library is asked")]
fn box_calls(into: &mut [usize; CALLS]) -> usize {
    let most = CALLS as libc::c_int;
    // SAFETY: room for so many pointers.
    let found = unsafe { libc::backtrace(into.as_mut_ptr().cast(), most) };
    usize::try_from(found).unwrap_or(0)
}
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn box_calls(_: &mut [usize; CALLS]) -> usize {
    0
}

/// Makes the report and ends the process. On the thread that reports.
pub(super) fn report(taken: &Taken) -> ! {
    TELLS_HERE.set(true);
    let Some(tell) = TELL.get() else { give_up() };
    let calls = taken.origin.frames();
    tell(&OwnFault {
        what: words(&taken.complaint),
        thread: taken.thread.id(),
        name: taken.thread.name(),
        at: taken.calls[..taken.found].to_vec(),
        calls: calls.iter().map(|frame| frame.at).collect(),
    })
}

fn words(complaint: &Complaint) -> String {
    match complaint {
        Complaint::Panic(what) => what.clone(),
        Complaint::Signal(number, name) => format!("it was sent the signal {number} ({name})"),
        Complaint::Trap(Trap::Memory { address, access }) => {
            let does = match access {
                Access::Read => "reads",
                Access::Write => "writes",
                Access::Execute => "executes",
            };
            format!("it {does} 0x{address:x}, where it may not")
        }
        Complaint::Trap(Trap::Protection) => {
            "it uses an address that is none (not canonical), or not aligned as its instruction needs".to_owned()
        }
        Complaint::Trap(Trap::Division) => "it divides by zero or out of range".to_owned(),
        Complaint::Trap(_) => "it executes what is no instruction".to_owned(),
    }
}
