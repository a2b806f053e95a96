//! What an instruction of a driver does to memory, told from its code and the registers before it.

#![expect(unsafe_code, reason = "code is read where it lies")]

use super::step::Step;
use crate::host::memory::try_read;
use crate::pe_image::{self, Image};
use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, OpAccess, OpKind, Register,
    UsedMemory,
};

/// Longest instruction of the processor, in bytes.
const LONGEST: usize = 15;

/// The instruction at `address`.
pub fn at(address: usize) -> Instruction {
    let (code, readable) = code_at::<LONGEST>(address);
    Decoder::with_ip(64, &code[..readable], address as u64, DecoderOptions::NONE).decode()
}

/// The byte codes at an address, and how many of them are readable.
pub(super) fn code_at<const BYTES: usize>(address: usize) -> ([u8; BYTES], usize) {
    let runs = |image: &Image| {
        image.is_runnable(address) && image.is_runnable(address.wrapping_add(BYTES - 1))
    };
    if pe_image::image_at(address).is_some_and(runs) {
        // Drivers are looked at often: without the host's help.
        // SAFETY: the section is mapped and readable while the image is loaded.
        return (unsafe { (address as *const [u8; BYTES]).read() }, BYTES);
    }
    let mut code = [0; BYTES];
    // At the end of a section fewer bytes can be read.
    let readable = (1..=BYTES)
        .rev()
        .find(|length| try_read(address, &mut code[..*length]));
    (code, readable.unwrap_or(0))
}

/// Where the memory lies that a step uses; `None` for what it only computes the address of.
pub fn address_of(used: &UsedMemory, step: &Step) -> Option<u64> {
    if used.access() == OpAccess::NoMemAccess {
        return None;
    }
    used.virtual_address(0, |register, _, _| value_of(register, step))
}

/// Memory that a step uses at an address that is one, and what its instruction needs that to be a multiple of, if it
/// is not: 16, 32 or 64 bytes at once are taken at multiples of as many by instructions that do not say otherwise.
pub fn misaligned(step: &Step) -> Option<(u64, u64)> {
    let mut information = InstructionInfoFactory::new();
    let instruction = at(step.instruction);
    let used = information.info(&instruction).used_memory();
    used.iter().find_map(|used| {
        let address = address_of(used, step)?;
        let size = used.memory_size().size() as u64;
        let is_one = address.cast_signed() << 16 >> 16 == address.cast_signed();
        (is_one && [16, 32, 64].contains(&size) && !address.is_multiple_of(size))
            .then_some((address, size))
    })
}

/// True if the access may write.
pub fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// Each access of a step to memory that lies in `range`: where, and whether it may write.
pub fn accesses_in(step: &Step, range: &std::ops::Range<usize>) -> Option<(usize, bool)> {
    let instruction = at(step.instruction);
    let operands = 0..instruction.op_count();
    let uses_memory = operands
        .map(|operand| instruction.op_kind(operand))
        .any(|kind| kind == OpKind::Memory || is_string(kind));
    if !uses_memory {
        return None;
    }
    let mut information = InstructionInfoFactory::new();
    let used = information.info(&instruction).used_memory();
    used.iter().find_map(|used| {
        let address = address_of(used, step)? as usize;
        let end = address.checked_add(used.memory_size().size().max(1))?;
        let touches = address < range.end && end > range.start;
        touches.then(|| (address.max(range.start), writes(used.access())))
    })
}

/// True for the operands of string instructions.
fn is_string(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::MemorySegSI
            | OpKind::MemorySegESI
            | OpKind::MemorySegRSI
            | OpKind::MemoryESDI
            | OpKind::MemoryESEDI
            | OpKind::MemoryESRDI
    )
}

fn value_of(register: Register, step: &Step) -> Option<u64> {
    let full = register.full_register();
    match full {
        Register::RIP => Some(step.instruction as u64),
        // Segment bases are zero in 64-bit mode but for fs and gs, which no driver uses for requests.
        _ if register.is_segment_register() => Some(0),
        _ if full.is_gpr64() => step.registers.get(full.number()).copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::step::Registers;

    /// An access of `code` with `registers`, each of which is a number and a value.
    fn access(code: &[u8], registers: &[(usize, u64)]) -> Option<(usize, bool)> {
        let mut step = Step {
            instruction: code.as_ptr().addr(),
            registers: Registers::default(),
        };
        for (register, value) in registers {
            step.registers[*register] = *value;
        }
        accesses_in(&step, &(0x1000..0x1100))
    }

    #[test]
    fn what_is_not_aligned_is_told_from_what_is_no_address() {
        // movaps xmm0, [rcx]
        static CODE: [u8; 3] = [0x0F, 0x28, 0x01];
        let at = |address| {
            let mut step = Step {
                instruction: CODE.as_ptr().addr(),
                registers: Registers::default(),
            };
            step.registers[1] = address;
            misaligned(&step)
        };
        assert_eq!(at(0x1008), Some((0x1008, 16)));
        assert_eq!(at(0xFFFF_8000_0000_0008), Some((0xFFFF_8000_0000_0008, 16)));
        assert_eq!(at(0x1010), None);
        assert_eq!(at(0x8000_0000_0000_0008), None);
    }

    #[test]
    fn accesses_are_computed_from_the_registers() {
        // mov rax, [rcx + 0x30]
        let read = [0x48, 0x8B, 0x41, 0x30];
        assert_eq!(access(&read, &[(1, 0x1000)]), Some((0x1030, false)));
        assert_eq!(access(&read, &[(1, 0x1100)]), None);
        // It reaches into the range.
        assert_eq!(access(&read, &[(1, 0x0FCC)]), Some((0x1000, false)));
        // or byte [rdx + rax*8 + 3], 1
        let mark = [0x80, 0x4C, 0xC2, 0x03, 0x01];
        assert_eq!(access(&mark, &[(2, 0x1000), (0, 2)]), Some((0x1013, true)));
        // lea rax, [rcx + 0x30]; ret; mov rax, rcx
        assert_eq!(access(&[0x48, 0x8D, 0x41, 0x30], &[(1, 0x1000)]), None);
        assert_eq!(access(&[0xC3], &[(4, 0x1000)]), None);
        assert_eq!(access(&[0x48, 0x89, 0xC8], &[(1, 0x1000)]), None);
        // movsb from the range, stosb into it
        assert_eq!(
            access(&[0xA4], &[(6, 0x1001), (7, 0x2000)]),
            Some((0x1001, false))
        );
        assert_eq!(access(&[0xAA], &[(7, 0x10FF)]), Some((0x10FF, true)));
    }
}
