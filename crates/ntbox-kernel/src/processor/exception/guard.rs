//! Memory of programs that a routine of the box touches for a driver: a fault there is not the box's,
//! but raised in the driver.

use super::USER_END;
use super::raise::{Touch, raise_at_caller, raise_memory};
use crate::pe_image::crossing::{self, CALL, TOUCHES};

/// For the handler of faults: where a thread goes on that has failed at `touch`, if the routine that its driver has
/// called can be abandoned (`touches` in the tables of exports).
pub fn abandon(touch: Touch) -> Option<usize> {
    if touch.address >= USER_END || !crossing::touches() {
        return None;
    }
    raise_memory(touch);
    Some(leave as *const () as usize)
}

/// Leaves the routine as its thunk does, with the registers that the thunk has kept, and raises what is pending.
#[unsafe(naked)]
extern "win64" fn leave() -> ! {
    core::arch::naked_asm!(
        "mov r11, gs:[0x28]",
        "mov rax, [r11 + {call}]",
        "movaps xmm6, [rax - 160]",
        "movaps xmm7, [rax - 144]",
        "movaps xmm8, [rax - 128]",
        "movaps xmm9, [rax - 112]",
        "movaps xmm10, [rax - 96]",
        "movaps xmm11, [rax - 80]",
        "movaps xmm12, [rax - 64]",
        "movaps xmm13, [rax - 48]",
        "movaps xmm14, [rax - 32]",
        "movaps xmm15, [rax - 16]",
        // A `Call`.
        "mov r15, [rax + 16]",
        "mov r14, [rax + 24]",
        "mov r13, [rax + 32]",
        "mov r12, [rax + 40]",
        "mov rdi, [rax + 48]",
        "mov rsi, [rax + 56]",
        "mov rbp, [rax + 64]",
        "mov rbx, [rax + 72]",
        "mov qword ptr [r11 + {call}], 0",
        "mov qword ptr [r11 + {touches}], 0",
        "mov rsp, [rax]",
        "jmp {raise}",
        call = const CALL,
        touches = const TOUCHES,
        raise = sym raise_at_caller,
    )
}
