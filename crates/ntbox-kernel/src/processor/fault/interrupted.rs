//! What becomes of a thread that an instruction or a single step has interrupted.

use super::handover::{Collected, Handed, hand_over, this_thread};
use super::judge::{Access, CR8_READ_BYTES, Fault, Place, Trap, concerns_driver, reads_cr8};
use super::wild::Wild;
use super::{elsewhere, level};
use crate::host::pageable::{self, Touched};
use crate::nt::{
    DISPATCH_LEVEL, NTSTATUS, STATUS_ACCESS_VIOLATION, STATUS_BREAKPOINT,
    STATUS_ILLEGAL_INSTRUCTION, STATUS_INTEGER_DIVIDE_BY_ZERO,
};
use crate::pe_image::{self, Origin, crossing};
use crate::processor::exception::{self, Touch, USER_END};
use crate::processor::instruction::{code_at, misaligned};
use crate::processor::step::{self, Next, Registers, STACK_POINTER, Step};
use crate::processor::{irql, processor_block, shared_page, top_level};
use crate::verifier;

/// A thread, where it was interrupted.
pub(super) trait Interrupted {
    /// The instruction that it was interrupted at.
    fn instruction(&self) -> usize;
    /// Lets it go on at another one.
    fn set_instruction(&mut self, address: usize);
    /// The general registers.
    fn registers(&self) -> Registers;
    /// Changes one of them.
    fn set_register(&mut self, register: usize, value: u64);
    /// Lets the one that was stepped through be interrupted after its next instruction, too.
    fn go_on_stepping(&mut self);
    /// Lets it run from here.
    fn stop_stepping(&mut self);
    /// Has it raise an exception where it is, when it goes on; false where that cannot be done.
    fn raise(&mut self, code: NTSTATUS, information: &[u64]) -> bool;
}

/// What is to be done with the thread.
#[derive(PartialEq, Eq)]
pub(super) enum Then {
    /// It goes on.
    GoOn,
    /// It is none of ours.
    HandBack,
}

/// A single step is done.
pub(super) fn stepped(thread: &mut impl Interrupted) -> Then {
    elsewhere::move_back(thread);
    let instruction = thread.instruction();
    if step::record(instruction, || thread.registers()) {
        thread.go_on_stepping();
        return Then::GoOn;
    }
    let next = step::watched(&Step {
        instruction,
        registers: thread.registers(),
    });
    match next {
        Some(Next::Report(access)) => faulted(thread, Trap::GivenAway(access)),
        Some(Next::GoOn) => {
            thread.go_on_stepping();
            Then::GoOn
        }
        Some(Next::Stop | Next::Pause) => {
            thread.stop_stepping();
            Then::GoOn
        }
        // It was asked for until now, or by the thread that has started this one.
        None => {
            thread.stop_stepping();
            Then::GoOn
        }
    }
}

/// Hands a fault to the handlers of drivers, if it is one that they may take: of memory that could be
/// a program's, below `DISPATCH_LEVEL`, or of an instruction. What they do not want comes again.
fn becomes_exception(thread: &mut impl Interrupted, trap: Trap, stack_pointer: usize) -> bool {
    let instruction = thread.instruction();
    let touched = match trap {
        Trap::Memory { address, .. }
            if irql::current() >= DISPATCH_LEVEL || address >= USER_END =>
        {
            return false;
        }
        Trap::Memory { address, access } => Some((address, access)),
        _ => None,
    };
    if pe_image::image_at(instruction).is_none() {
        let Some((address, access)) = touched else {
            return false;
        };
        let writes = access == Access::Write;
        let Some(way_out) = exception::abandon(Touch { address, writes }) else {
            return false;
        };
        // As at the entry of a function, behind what a leaf may keep below the stack pointer.
        thread.set_register(STACK_POINTER, (stack_pointer as u64 - 256) / 16 * 16 - 8);
        thread.set_instruction(way_out);
        return true;
    }
    if exception::is_unwanted(instruction) {
        return false;
    }
    match (trap, touched) {
        (_, Some((address, access))) => {
            let kind = match access {
                Access::Read => 0,
                Access::Write => 1,
                Access::Execute => 8,
            };
            thread.raise(STATUS_ACCESS_VIOLATION, &[kind, address as u64])
        }
        (Trap::Division, _) => thread.raise(STATUS_INTEGER_DIVIDE_BY_ZERO, &[]),
        (Trap::Instruction, _) => thread.raise(STATUS_ILLEGAL_INSTRUCTION, &[]),
        // BREAKPOINT_BREAK.
        (Trap::Breakpoint, _) => thread.raise(STATUS_BREAKPOINT, &[0]),
        _ => false,
    }
}

/// An instruction cannot be done. Returns unless a driver has to do with it.
pub(super) fn faulted(thread: &mut impl Interrupted, trap: Trap) -> Then {
    let instruction = thread.instruction();
    // The code of a page that is not there cannot be looked at, and tells nothing.
    let code = match trap {
        Trap::Memory { .. } | Trap::GivenAway(_) => [0; 4],
        _ => code_at(instruction).0,
    };
    if matches!(trap, Trap::Protection) && pe_image::image_at(instruction).is_some() {
        if let Some(register) = reads_cr8(&code) {
            thread.set_register(register, u64::from(irql::current()));
            thread.set_instruction(instruction + CR8_READ_BYTES);
            return Then::GoOn;
        }
        if level::set(thread, &code) {
            return Then::GoOn;
        }
    }
    let place = place_of(thread, trap);
    if let (Trap::Memory { access, .. }, Place::SharedPage(offset)) = (trap, place)
        && access == Access::Read
        && elsewhere::read_shared_page(thread, offset)
    {
        return Then::GoOn;
    }
    let touched = match trap {
        Trap::Memory { address, access } => {
            pageable::touched(address, access, irql::current() >= DISPATCH_LEVEL)
        }
        _ => None,
    };
    if touched == Some(Touched::PagedIn) {
        return Then::GoOn;
    }
    if verifier::is_reporting_here() {
        verifier::give_up();
    }
    let stack_pointer = thread.registers()[STACK_POINTER] as usize;
    if becomes_exception(thread, trap, stack_pointer) {
        return Then::GoOn;
    }
    let fault = Fault {
        trap,
        instruction,
        stack_pointer,
        stack_limit: crossing::stack().start,
        irql: irql::current(),
        code,
        place,
        pageable: touched == Some(Touched::TooHigh),
        told: top_level::told(),
        wild: Wild::called(trap, instruction),
        misaligned: match trap {
            Trap::Protection => misaligned(&Step {
                instruction,
                registers: thread.registers(),
            }),
            _ => None,
        },
    };
    let origin = Origin::interrupted(instruction, thread.registers());
    if !concerns_driver(&fault, &origin) {
        return Then::HandBack;
    }
    hand_over(Handed::Driver(Collected {
        fault,
        origin,
        thread: this_thread(),
    }))
}

/// What of a processor the fault is about.
fn place_of(thread: &impl Interrupted, trap: Trap) -> Place {
    let found = match trap {
        Trap::Memory { address, .. } => shared_page::offset_of(address)
            .map(Place::SharedPage)
            .or_else(|| processor_block::offset_of(address).map(Place::ProcessorBlock)),
        Trap::Protection => {
            let fields = thread
                .registers()
                .into_iter()
                .find_map(processor_block::field_of);
            fields.map(Place::ReadInProcessorBlock)
        }
        _ => None,
    };
    found.unwrap_or(Place::Elsewhere)
}
