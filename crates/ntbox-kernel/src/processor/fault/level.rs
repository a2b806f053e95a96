//! `mov cr8, register`, as `KeRaiseIrql` and `KeLowerIrql` are inlined: what the two routines do is done.
//!
//! Lowering the level delivers APCs, and what is wrong is reported, neither of which a fault handler can do.
//! It therefore sends the thread to [`change`], which does that as if the driver had called it, keeps every
//! register, and goes on behind the instruction.

#![expect(unsafe_code, reason = "the thread is led through assembly")]

use super::interrupted::Interrupted;
use crate::pe_image::crossing;
use crate::processor::irql::{self, HIGH_LEVEL};
use std::cell::Cell;

thread_local! {
    /// The level, and the instruction that sets it.
    static WANTED: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
}

/// Bytes of the instruction.
const BYTES: usize = 4;

/// The source of `mov cr8, register`.
fn register_of(code: &[u8; 4]) -> Option<usize> {
    super::judge::control_register_8(code, 0x22)
}

/// Lets the thread, which is at an instruction with these byte codes, set its level. False if the
/// instruction is another one.
pub(super) fn set(thread: &mut impl Interrupted, code: &[u8; 4]) -> bool {
    let Some(register) = register_of(code) else {
        return false;
    };
    WANTED.set((thread.registers()[register], thread.instruction()));
    thread.set_instruction(change as *const () as usize);
    true
}

/// Entered by a jump, in the middle of a driver's routine. Below its stack pointer nothing is in use: the
/// Windows convention has no red zone.
#[unsafe(naked)]
unsafe extern "win64" fn change() {
    core::arch::naked_asm!(
        // Where to go on, below.
        "push rax",
        "pushfq",
        "push rax",
        "push rcx",
        "push rdx",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, 128",
        "and rsp, -16",
        "movaps [rsp + 32], xmm0",
        "movaps [rsp + 48], xmm1",
        "movaps [rsp + 64], xmm2",
        "movaps [rsp + 80], xmm3",
        "movaps [rsp + 96], xmm4",
        "movaps [rsp + 112], xmm5",
        "cld",
        "call {behind}",
        "mov [rbp + 72], rax",
        // From here on as a thunk of the box, called from there.
        "mov rax, gs:[0x28]",
        "mov r11, rsp",
        "mov [rax + {stack}], rsp",
        crossing::to_host_stack!(),
        "and rsp, -16",
        "push rbx",
        "push qword ptr [rbp]",
        "push rsi",
        "push rdi",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "lea r10, [rbp + 72]",
        "push r10",
        "push r10",
        "mov [rax + {call}], rsp",
        "sub rsp, 32",
        "call {set}",
        "mov rax, gs:[0x28]",
        "mov qword ptr [rax + {call}], 0",
        "lea rsp, [rbp - 128]",
        "and rsp, -16",
        "movaps xmm0, [rsp + 32]",
        "movaps xmm1, [rsp + 48]",
        "movaps xmm2, [rsp + 64]",
        "movaps xmm3, [rsp + 80]",
        "movaps xmm4, [rsp + 96]",
        "movaps xmm5, [rsp + 112]",
        "mov rsp, rbp",
        "pop rbp",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "popfq",
        "ret",
        set = sym set_wanted,
        behind = sym behind_wanted,
        stack = const crossing::STACK,
        call = const crossing::CALL,
        host = const crossing::HOST,
    )
}

/// Where the thread goes on.
extern "win64" fn behind_wanted() -> usize {
    WANTED.get().1 + BYTES
}

/// Sets the level.
extern "win64" fn set_wanted() {
    let (level, instruction) = WANTED.get();
    let level = u8::try_from(level).unwrap_or(u8::MAX);
    // Behind the first byte of the instruction, as a return address would be.
    let site = instruction + 1;
    // What is written does not say which of the two it is: the way does.
    if level < irql::current() {
        irql::lower_for(level, site);
    } else {
        irql::raise_for(level.min(HIGH_LEVEL + 1), site);
    }
}
