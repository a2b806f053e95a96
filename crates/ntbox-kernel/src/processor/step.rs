//! Single steps: the registers of a thread before each instruction of a piece
//! of work, so that what a driver does can be counted instead of argued.
//!
//! The processor's trap flag makes every instruction of the thread trap; the
//! fault handler passes the trap on to [`record`], which writes the registers
//! to memory that was set aside before. [`watch`] shows the instructions to a
//! function instead, which can say that one must not run.

#![expect(
    unsafe_code,
    reason = "the trap flag is set, and written to from the trap"
)]

use super::fault;
use crate::host::TAKES_FAULTS;
use crate::pe_image::crossing;
use crate::verifier::Rule;
use std::cell::Cell;

/// General registers, in the processor's order: rax rcx rdx rbx rsp rbp rsi rdi r8 … r15.
pub type Registers = [u64; 16];

/// Index of the stack pointer in [`Registers`].
pub const STACK_POINTER: usize = 4;

/// An instruction that is about to run.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Its address.
    pub instruction: usize,
    /// The registers.
    pub registers: Registers,
}

/// The steps of a piece of work.
pub struct Steps {
    /// In the order in which they ran.
    pub steps: Vec<Step>,
    /// Instructions that there was no room for.
    pub lost: usize,
}

/// What is to be done after the look at a step.
pub enum Next {
    /// The instruction runs, and the next one is looked at.
    GoOn,
    /// It runs, and no further one is looked at until the thread comes back from a call of the box
    /// to a driver.
    Pause,
    /// It runs, and no further one is looked at.
    Stop,
    /// It is about to break a rule.
    Report(Access),
}

/// An access to memory that breaks a rule though the memory is there.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Where.
    pub address: usize,
    /// It writes.
    pub writes: bool,
    /// The rule.
    pub rule: &'static Rule,
    /// In what belongs to somebody else.
    pub offset: usize,
    /// Where the thread gave it away.
    pub given_by: usize,
}

/// Looks at a step before it is done.
type Watcher = fn(&Step) -> Next;

thread_local! {
    static RECORDING: Cell<*mut Steps> = const { Cell::new(std::ptr::null_mut()) };
    static WATCHER: Cell<Option<Watcher>> = const { Cell::new(None) };
}

/// From here on every instruction of this thread is shown to `watcher` before it runs, until
/// that says otherwise. Nothing while the thread's steps are being recorded, and on hosts without
/// a handler for the trap.
pub fn watch(watcher: Watcher) {
    if !TAKES_FAULTS || !RECORDING.get().is_null() {
        return;
    }
    WATCHER.set(Some(watcher));
    set_trap_flag(true);
}

/// Ends what [`watch`] began: from here on no watcher of this thread is called.
pub fn stop_watching() {
    if WATCHER.replace(None).is_some() {
        crossing::trap_behind(false);
        set_trap_flag(false);
    }
}

/// Shows a step of this thread to its watcher; `None` if there is none. The thread runs driver
/// code or returns to it, and holds no lock of the box.
pub(super) fn watched(step: &Step) -> Option<Next> {
    let next = WATCHER.get()?(step);
    match next {
        Next::GoOn => {}
        Next::Pause => crossing::trap_behind(true),
        Next::Stop | Next::Report(_) => WATCHER.set(None),
    }
    Some(next)
}

/// Runs `work` step by step and returns up to `most` of them. `None` on hosts without a
/// handler for the trap.
pub fn steps_of(most: usize, work: impl FnOnce()) -> Option<Steps> {
    if !TAKES_FAULTS {
        return None;
    }
    fault::prepare_thread();
    let mut steps = Steps {
        steps: Vec::with_capacity(most),
        lost: 0,
    };
    RECORDING.set(&raw mut steps);
    set_trap_flag(true);
    work();
    set_trap_flag(false);
    // A handler that sets the flag again for each step, as Windows' has to, ends with this.
    RECORDING.set(std::ptr::null_mut());
    Some(steps)
}

/// Writes a step of this thread down; false if it is not recording. Neither allocates nor locks.
pub(super) fn record(instruction: usize, registers: impl FnOnce() -> Registers) -> bool {
    let recording = RECORDING.get();
    if recording.is_null() {
        return false;
    }
    // SAFETY: `steps_of` keeps it until it has reset the pointer, on this thread, and does not
    // touch it while the trap flag is set.
    let steps = unsafe { &mut *recording };
    if steps.steps.len() < steps.steps.capacity() {
        steps.steps.push(Step {
            instruction,
            registers: registers(),
        });
    } else {
        steps.lost += 1;
    }
    true
}

#[cfg(target_arch = "x86_64")]
fn set_trap_flag(on: bool) {
    let (keep, set): (u64, u64) = if on { (!0, 1 << 8) } else { (!(1 << 8), 0) };
    // SAFETY: changes the trap flag alone; the traps are handled, as `prepare_thread` was called.
    unsafe {
        std::arch::asm!(
            "pushfq",
            "and qword ptr [rsp], {keep}",
            "or qword ptr [rsp], {set}",
            "popfq",
            keep = in(reg) keep,
            set = in(reg) set,
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn set_trap_flag(_: bool) {}

#[cfg(all(test, any(target_os = "linux", windows), target_arch = "x86_64"))]
mod tests {
    use super::*;
    use std::hint::black_box;

    /// As a thread is that one started which was stepped through.
    #[test]
    fn a_step_that_nobody_asked_for_is_the_last() {
        fault::prepare_thread();
        set_trap_flag(true);
        assert_eq!(black_box(2) + black_box(2), 4);
    }

    #[test]
    fn a_thread_that_is_no_longer_watched_runs_on() {
        thread_local! {
            static SEEN: Cell<u32> = const { Cell::new(0) };
        }
        fault::prepare_thread();
        watch(|_| {
            SEEN.set(SEEN.get() + 1);
            Next::GoOn
        });
        black_box(SEEN.get());
        stop_watching();
        let seen = SEEN.get();
        assert!(seen > 0);
        assert_eq!((0..10).map(black_box).sum::<u32>(), 45);
        assert_eq!(SEEN.get(), seen);
    }

    #[test]
    fn each_instruction_of_the_work_is_a_step() {
        let count = |turns: u64| {
            let steps = steps_of(100_000, || {
                for turn in 0..turns {
                    black_box(turn);
                }
            });
            let steps = steps.expect("this host has the handler");
            assert_eq!(steps.lost, 0);
            assert!(
                steps
                    .steps
                    .iter()
                    .all(|step| step.instruction != 0 && step.registers[STACK_POINTER] != 0)
            );
            steps.steps.len()
        };
        let (few, many) = (count(10), count(110));
        assert!(few >= 10 && many >= few + 100, "{few} {many}");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let steps = steps_of(5, || {
            for turn in 0..100 {
                black_box(turn);
            }
        });
        let steps = steps.expect("this host has the handler");
        assert_eq!(steps.steps.len(), 5);
        assert!(steps.lost >= 100);
    }
}
