//! Reads of memory that no program has, answered from memory that this one has: the page that the kernel
//! shares with programs.
//!
//! The register that the address is made with is moved to the thread's own copy of the page for one
//! instruction, which then does whatever it does with what it reads, and is moved back behind it.

use super::interrupted::Interrupted;
use crate::processor::step::Step;
use crate::processor::{instruction, processor_block, shared_page};
use iced_x86::{
    Instruction, InstructionInfo, InstructionInfoFactory, OpAccess, OpKind, Register, UsedMemory,
};
use std::cell::Cell;

/// A register that points elsewhere for one instruction.
#[derive(Clone, Copy)]
struct Moved {
    register: usize,
    /// What it is away from where it was.
    by: u64,
}

thread_local! {
    static MOVED: Cell<Option<Moved>> = const { Cell::new(None) };
}

/// Lets the thread read at `offset` of the shared page. False if that is not modelled, or the instruction
/// reads it in a way that this cannot follow.
pub(super) fn read_shared_page(thread: &mut impl Interrupted, offset: usize) -> bool {
    let Some(page) = processor_block::shared_page() else {
        return false;
    };
    let step = Step {
        instruction: thread.instruction(),
        registers: thread.registers(),
    };
    let code = instruction::at(step.instruction);
    let mut factory = InstructionInfoFactory::new();
    let information = factory.info(&code);
    let found = information.used_memory().iter().find_map(|used| {
        let address = instruction::address_of(used, &step)? as usize;
        let at = shared_page::offset_of(address)?;
        // The size of what is repeated is that of the instruction.
        let bytes = at..at + code.memory_size().size().max(1);
        let reads =
            matches!(used.access(), OpAccess::Read | OpAccess::CondRead) && bytes.contains(&offset);
        (reads && shared_page::is_modelled(&bytes)).then_some((used, bytes, address))
    });
    let Some((used, bytes, address)) = found else {
        return false;
    };
    // SAFETY: the page is this thread's.
    #[expect(unsafe_code, reason = "a page is filled")]
    unsafe {
        shared_page::fill(page)
    };
    let from = page.expose_provenance() + bytes.start;
    if used.base() == Register::None && used.index() == Register::None {
        return load(thread, &code, from);
    }
    let Some(register) = pointer_of(&code, information, used) else {
        return false;
    };
    let by = (from as u64).wrapping_sub(address as u64);
    thread.set_register(register, step.registers[register].wrapping_add(by));
    // A string instruction moves the register on; any other that writes it has no use for what it was.
    let stays = code.is_string_instruction() || !is_written(information, register);
    MOVED.set(stays.then_some(Moved { register, by }));
    thread.go_on_stepping();
    true
}

/// `mov al/ax/eax/rax, [address]`, which makes its address with no register.
#[expect(unsafe_code, reason = "a field of the page is read")]
fn load(thread: &mut impl Interrupted, code: &Instruction, from: usize) -> bool {
    const RAX: usize = 0;
    let at: *const u8 = std::ptr::with_exposed_provenance(from);
    let old = thread.registers()[RAX];
    let value = match code.op0_register() {
        // SAFETY: fields that are modelled lie in the thread's page, here and below.
        Register::AL => old & !0xFF | u64::from(unsafe { at.read() }),
        // SAFETY: as above.
        Register::AX => old & !0xFFFF | u64::from(unsafe { at.cast::<u16>().read_unaligned() }),
        // SAFETY: as above.
        Register::EAX => u64::from(unsafe { at.cast::<u32>().read_unaligned() }),
        // SAFETY: as above.
        Register::RAX => unsafe { at.cast::<u64>().read_unaligned() },
        _ => return false,
    };
    thread.set_register(RAX, value);
    thread.set_instruction(code.next_ip() as usize);
    true
}

/// The register to move: it makes the address alone or with a distance, and the instruction does nothing
/// with its value.
fn pointer_of(
    code: &Instruction,
    information: &InstructionInfo,
    used: &UsedMemory,
) -> Option<usize> {
    let (base, index) = (used.base().full_register(), used.index().full_register());
    let register = if base.is_gpr64() { base } else { index };
    if !register.is_gpr64() || base == index || register == index && used.scale() != 1 {
        return None;
    }
    let is_used = (0..code.op_count()).any(|operand| {
        code.op_kind(operand) == OpKind::Register
            && code.op_register(operand).full_register() == register
            && information.op_access(operand) != OpAccess::Write
    });
    (!is_used).then(|| register.number())
}

fn is_written(information: &InstructionInfo, register: usize) -> bool {
    information.used_registers().iter().any(|used| {
        let full = used.register().full_register();
        full.is_gpr64() && full.number() == register && instruction::writes(used.access())
    })
}

/// The instruction is done: the register points again to where it did.
pub(super) fn move_back(thread: &mut impl Interrupted) {
    if let Some(Moved { register, by }) = MOVED.take() {
        let now = thread.registers()[register];
        thread.set_register(register, now.wrapping_sub(by));
    }
}
