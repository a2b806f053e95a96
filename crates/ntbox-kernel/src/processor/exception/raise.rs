//! How exceptions come: from routines that raise, and from faults.

#![expect(unsafe_code, reason = "contexts of drivers are gone on with")]

use super::context::{Context, NONCONTINUABLE, RSP, Record, capture_and_raise, restore};
use super::search::{Found, search};
use crate::nt::NTSTATUS;
use crate::pe_image::crossing::{self, Entered};
use crate::verifier;
use std::cell::Cell;

/// `STATUS_ACCESS_VIOLATION`.
const STATUS_ACCESS_VIOLATION: NTSTATUS = 0xC000_0005_u32.cast_signed();

/// An access to memory of a program that a routine has made for a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The address.
    pub address: usize,
    /// True of a write.
    pub writes: bool,
}

#[derive(Clone, Copy)]
enum Raised {
    /// By this routine, with these flags.
    Status(&'static str, NTSTATUS, u32),
    Memory(Touch),
    Record(Record),
}

thread_local! {
    /// What the routine that a driver has called raises when it has returned.
    static RAISED: Cell<Option<Raised>> = const { Cell::new(None) };
    /// The instruction whose fault no handler wants.
    static UNWANTED: Cell<u64> = const { Cell::new(0) };
}

/// Has `routine`, which the driver called, raise an exception as soon as it returns, which is to be at
/// once. For routines that their table marks so; a report has its name.
pub fn raise(routine: &'static str, status: NTSTATUS) {
    RAISED.set(Some(Raised::Status(routine, status, NONCONTINUABLE)));
}

/// As [`raise`], of what a handler may let the driver go on behind.
pub fn raise_continuable(routine: &'static str, status: NTSTATUS) {
    RAISED.set(Some(Raised::Status(routine, status, 0)));
}

/// As [`raise`], for an access of the routine that has failed.
pub fn raise_memory(touch: Touch) {
    RAISED.set(Some(Raised::Memory(touch)));
}

/// As [`raise`], with a record that the driver has made.
pub fn raise_record(record: &Record) {
    RAISED.set(Some(Raised::Record(*record)));
}

/// True if the routine that has just returned raises.
pub extern "win64" fn has_raised() -> bool {
    RAISED.get().is_some()
}

/// Jumped to with the stack as the routine found it: the way on when it raises.
///
/// # Safety
/// The stack pointer is at the return address, and what a call preserves is the caller's.
#[unsafe(naked)]
pub unsafe extern "win64" fn raise_at_caller() -> ! {
    core::arch::naked_asm!("jmp {capture}", capture = sym capture_and_raise)
}

/// Raises what [`raise`] left, in the driver.
pub(super) unsafe extern "win64" fn raise_pending(context: *const Context) -> ! {
    let stack = context.addr();
    // SAFETY: the only caller has left it on the kernel stack.
    let context = unsafe { &*context };
    let call = context.as_call();
    crossing::interrupt(&call, stack);
    let at = context.instruction;
    let raised = RAISED.take();
    let mut record = match raised {
        Some(Raised::Memory(touch)) => {
            let information = [u64::from(touch.writes), touch.address as u64];
            Record::new(STATUS_ACCESS_VIOLATION, 0, at, &information)
        }
        Some(Raised::Status(_, status, flags)) => Record::new(status, flags, at, &[]),
        Some(Raised::Record(record)) => Record {
            address: at,
            ..record
        },
        None => Record::new(0, NONCONTINUABLE, at, &[]),
    };
    match search(&mut record, context) {
        // SAFETY: the driver's own registers, as they were.
        Found::GoOn => unsafe { go_on(context, crossing::entered()) },
        Found::GoOnWrongly | Found::Nobody => {}
    }
    if let Some(Raised::Memory(touch)) = raised {
        crossing::go_on_in(crossing::entered());
        let stack = context.general[RSP] - 8;
        // SAFETY: nothing is there, and the process ends with a report of that.
        unsafe { again(touch.address, touch.writes, stack) }
    }
    let routine = match raised {
        Some(Raised::Status(routine, ..)) => routine,
        _ => "RtlRaiseException",
    };
    verifier::not_handled(routine, record.code, at as usize)
}

/// Makes an access that is known to fault, so that the fault is reported as any other: with the stack
/// as it was when the driver had called, its return address uppermost.
#[unsafe(naked)]
unsafe extern "win64" fn again(address: usize, writes: bool, stack: u64) -> ! {
    core::arch::naked_asm!(
        "mov rsp, r8",
        "test dl, dl",
        "jz 2f",
        "mov byte ptr [rcx], 0",
        "2:",
        "mov al, byte ptr [rcx]",
        "ud2",
    )
}

/// Where a thread goes on whose driver has faulted: searches for a handler, on the host's stack.
///
/// # Safety
/// Both lie on the stack of this thread, below the frame that has faulted, the record below the context.
pub unsafe extern "win64" fn raise_by_fault(record: *mut Record, context: *const Context) -> ! {
    let stack = record.addr();
    // SAFETY: contract.
    let context = unsafe { &*context };
    let call = context.as_call();
    // Where the processor leaves it in the kernel's own code; behind its first byte, as reports have it.
    let return_address: *mut u64 = std::ptr::with_exposed_provenance_mut(call.stack_pointer);
    // SAFETY: stack that the thread does not use, as that further below with the context.
    unsafe { return_address.write_unaligned(context.instruction + 1) };
    crossing::interrupt(&call, stack);
    // SAFETY: contract.
    let record = unsafe { &mut *record };
    if search(record, context) != Found::GoOn {
        UNWANTED.set(context.instruction);
    }
    // SAFETY: the driver's own registers, as they were, or as a filter has left them.
    unsafe { go_on(context, crossing::entered()) }
}

/// Lets the driver go on, in the routine that was `entered`.
///
/// # Safety
/// As [`restore`].
pub(super) unsafe fn go_on(context: *const Context, entered: Entered) -> ! {
    crossing::go_on_in(entered);
    // SAFETY: contract.
    unsafe { restore(context) }
}

/// True once for an instruction that was interrupted by a fault which no handler wanted: it has been
/// done again, and is to be reported.
pub fn is_unwanted(instruction: usize) -> bool {
    instruction != 0 && UNWANTED.get() == instruction as u64 && UNWANTED.replace(0) != 0
}
