//! What handlers are handed, laid out as on Windows, and the registers' way in and out of it.

#![expect(unsafe_code, reason = "registers are saved and restored")]

use crate::host::memory::try_read;
use crate::nt::NTSTATUS;
use crate::pe_image::crossing::{Call, HOST, to_host_stack};
use crate::processor::driver_code::entering;
use pe_unwind_info::x86_64::{Register, UnwindState, XmmRegister};
use std::ffi::c_void;

/// `CONTEXT` of x64.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub struct Context {
    home: [u64; 6],
    /// Which parts are filled in.
    pub flags: u32,
    /// The control register of SSE.
    pub mxcsr: u32,
    segments: [u16; 6],
    /// The register of flags.
    pub eflags: u32,
    debug: [u64; 6],
    /// The general registers, in the processor's order.
    pub general: [u64; 16],
    /// The instruction.
    pub instruction: u64,
    floating_point: [u64; 20],
    /// The registers of SSE.
    pub xmm: [u128; 16],
    rest_of_save_area: [u64; 12],
    vector: [u64; 52],
    last: [u64; 6],
}

const _: () = {
    assert!(size_of::<Context>() == 0x4D0);
    assert!(std::mem::offset_of!(Context, general) == GENERAL);
    assert!(std::mem::offset_of!(Context, instruction) == INSTRUCTION);
    assert!(std::mem::offset_of!(Context, xmm) == XMM);
    assert!(std::mem::offset_of!(Context, mxcsr) == 0x34);
    assert!(std::mem::offset_of!(Context, eflags) == 0x44);
};
const GENERAL: usize = 0x78;
const INSTRUCTION: usize = 0xF8;
const XMM: usize = 0x1A0;
/// `CONTEXT_AMD64` with control, integer and floating-point registers.
pub(super) const FULL: u32 = 0x0010_000B;

/// rax and rsp among the general registers.
pub(super) const RAX: usize = 0;
pub(super) const RSP: usize = 4;
/// What a call preserves, in the order of [`Call::preserved`].
const PRESERVED: [usize; 8] = [15, 14, 13, 12, 7, 6, 5, 3];

impl Context {
    /// One of nothing but zeros.
    pub const EMPTY: Self = Self {
        home: [0; 6],
        flags: FULL,
        mxcsr: 0x1F80,
        segments: [0; 6],
        eflags: 0x202,
        debug: [0; 6],
        general: [0; 16],
        instruction: 0,
        floating_point: [0; 20],
        xmm: [0; 16],
        rest_of_save_area: [0; 12],
        vector: [0; 52],
        last: [0; 6],
    };

    /// As a call of the box with these registers, whose return address lies below the stack pointer.
    pub(super) fn as_call(&self) -> Call {
        Call {
            stack_pointer: self.general[RSP] as usize - size_of::<usize>(),
            routine: 0,
            preserved: PRESERVED.map(|register| self.general[register] as usize),
        }
    }
}

impl UnwindState for Context {
    fn read_register(&mut self, register: Register) -> u64 {
        self.general[register as usize]
    }
    fn write_register(&mut self, register: Register, value: u64) {
        self.general[register as usize] = value;
    }
    fn read_stack(&mut self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        try_read(usize::try_from(address).ok()?, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }
    fn write_xmm_register(&mut self, register: XmmRegister, value: u128) {
        self.xmm[register as usize] = value;
    }
}

/// `EXCEPTION_RECORD` of x64.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Record {
    /// Which exception.
    pub code: NTSTATUS,
    /// `EXCEPTION_NONCONTINUABLE` and the like.
    pub flags: u32,
    /// The exception that was being handled.
    pub next: *mut Record,
    /// The instruction.
    pub address: u64,
    /// How much of `information` counts.
    pub count: u32,
    /// More about it.
    pub information: [u64; 15],
}

const _: () = assert!(size_of::<Record>() == 152);

/// `ExceptionFlags`.
pub(super) const NONCONTINUABLE: u32 = 0x01;
pub(super) const UNWINDING: u32 = 0x02;
pub(super) const EXIT_UNWIND: u32 = 0x04;
pub(super) const NESTED_CALL: u32 = 0x10;
pub(super) const TARGET_UNWIND: u32 = 0x20;
pub(super) const COLLIDED_UNWIND: u32 = 0x40;

impl Record {
    /// An exception at `address`.
    pub fn new(code: NTSTATUS, flags: u32, address: u64, information: &[u64]) -> Self {
        let mut record = Self {
            code,
            flags,
            next: std::ptr::null_mut(),
            address,
            count: information.len() as u32,
            information: [0; 15],
        };
        for (into, value) in record.information.iter_mut().zip(information) {
            *into = *value;
        }
        record
    }
}

/// `DISPATCHER_CONTEXT` of x64.
#[repr(C)]
pub struct Dispatcher {
    pub(super) control: u64,
    pub(super) image_base: u64,
    pub(super) function: usize,
    pub(super) establisher: u64,
    pub(super) target: u64,
    pub(super) context: *mut Context,
    pub(super) routine: usize,
    pub(super) data: usize,
    pub(super) history: *mut c_void,
    pub(super) scope: u32,
    pub(super) fill: u32,
}

/// Calls `routine` of a driver with up to four arguments, on the kernel stack.
///
/// # Safety
/// `routine` is a routine that may be called with these arguments.
pub(super) unsafe fn call(a: usize, b: usize, c: usize, d: usize, routine: usize) -> i32 {
    type Routine = unsafe extern "win64" fn(usize, usize, usize, usize) -> i32;
    // SAFETY: contract: a routine of this type, or of one with less arguments.
    let routine = unsafe { std::mem::transmute::<usize, Routine>(routine) };
    // SAFETY: contract.
    unsafe { entering(routine)(a, b, c, d) }
}

/// Lets the thread go on in `context`: `RtlRestoreContext`.
///
/// # Safety
/// The code there can run with these registers, and its stack, which lies above, is still its own.
#[unsafe(naked)]
pub(super) unsafe extern "win64" fn restore(context: *const Context) -> ! {
    core::arch::naked_asm!(
        "movaps xmm0, [rcx + {xmm} + 0x00]",
        "movaps xmm1, [rcx + {xmm} + 0x10]",
        "movaps xmm2, [rcx + {xmm} + 0x20]",
        "movaps xmm3, [rcx + {xmm} + 0x30]",
        "movaps xmm4, [rcx + {xmm} + 0x40]",
        "movaps xmm5, [rcx + {xmm} + 0x50]",
        "movaps xmm6, [rcx + {xmm} + 0x60]",
        "movaps xmm7, [rcx + {xmm} + 0x70]",
        "movaps xmm8, [rcx + {xmm} + 0x80]",
        "movaps xmm9, [rcx + {xmm} + 0x90]",
        "movaps xmm10, [rcx + {xmm} + 0xA0]",
        "movaps xmm11, [rcx + {xmm} + 0xB0]",
        "movaps xmm12, [rcx + {xmm} + 0xC0]",
        "movaps xmm13, [rcx + {xmm} + 0xD0]",
        "movaps xmm14, [rcx + {xmm} + 0xE0]",
        "movaps xmm15, [rcx + {xmm} + 0xF0]",
        "ldmxcsr [rcx + 0x34]",
        // All at once: the stack that the code goes on with is another.
        "mov eax, ss",
        "push rax",
        "push qword ptr [rcx + {general} + 8 * 4]",
        "mov eax, [rcx + 0x44]",
        "push rax",
        "mov eax, cs",
        "push rax",
        "push qword ptr [rcx + {instruction}]",
        "mov rax, [rcx + {general}]",
        "mov rdx, [rcx + {general} + 8 * 2]",
        "mov rbx, [rcx + {general} + 8 * 3]",
        "mov rbp, [rcx + {general} + 8 * 5]",
        "mov rsi, [rcx + {general} + 8 * 6]",
        "mov rdi, [rcx + {general} + 8 * 7]",
        "mov r8, [rcx + {general} + 8 * 8]",
        "mov r9, [rcx + {general} + 8 * 9]",
        "mov r10, [rcx + {general} + 8 * 10]",
        "mov r11, [rcx + {general} + 8 * 11]",
        "mov r12, [rcx + {general} + 8 * 12]",
        "mov r13, [rcx + {general} + 8 * 13]",
        "mov r14, [rcx + {general} + 8 * 14]",
        "mov r15, [rcx + {general} + 8 * 15]",
        "mov rcx, [rcx + {general} + 8]",
        "iretq",
        xmm = const XMM,
        general = const GENERAL,
        instruction = const INSTRUCTION,
    )
}

/// Bytes of a frame with a context behind the shadow space, that aligns the stack at a call.
const CAPTURE: usize = size_of::<Context>() + 32 + 8;

/// Jumped to in the place of a return: calls `{then}` with the registers of the caller, as they are
/// behind its call. Those that a call does not preserve are not among them. They lie on the kernel stack; the box
/// goes on on the host's.
///
/// # Safety
/// The stack pointer is at the return address, and what a call preserves is the caller's.
#[unsafe(naked)]
pub(super) unsafe extern "win64" fn capture_and_raise() -> ! {
    core::arch::naked_asm!(
        "sub rsp, {frame}",
        "mov [rsp + 32 + {general} + 8 * 3], rbx",
        "mov [rsp + 32 + {general} + 8 * 5], rbp",
        "mov [rsp + 32 + {general} + 8 * 6], rsi",
        "mov [rsp + 32 + {general} + 8 * 7], rdi",
        "mov [rsp + 32 + {general} + 8 * 12], r12",
        "mov [rsp + 32 + {general} + 8 * 13], r13",
        "mov [rsp + 32 + {general} + 8 * 14], r14",
        "mov [rsp + 32 + {general} + 8 * 15], r15",
        "lea rax, [rsp + {frame} + 8]",
        "mov [rsp + 32 + {general} + 8 * 4], rax",
        "mov rax, [rsp + {frame}]",
        "mov [rsp + 32 + {instruction}], rax",
        "movaps [rsp + 32 + {xmm} + 0x60], xmm6",
        "movaps [rsp + 32 + {xmm} + 0x70], xmm7",
        "movaps [rsp + 32 + {xmm} + 0x80], xmm8",
        "movaps [rsp + 32 + {xmm} + 0x90], xmm9",
        "movaps [rsp + 32 + {xmm} + 0xA0], xmm10",
        "movaps [rsp + 32 + {xmm} + 0xB0], xmm11",
        "movaps [rsp + 32 + {xmm} + 0xC0], xmm12",
        "movaps [rsp + 32 + {xmm} + 0xD0], xmm13",
        "movaps [rsp + 32 + {xmm} + 0xE0], xmm14",
        "movaps [rsp + 32 + {xmm} + 0xF0], xmm15",
        "stmxcsr [rsp + 32 + 0x34]",
        "mov dword ptr [rsp + 32 + 0x44], 0x202",
        "mov dword ptr [rsp + 32 + 0x30], {full}",
        "lea rcx, [rsp + 32]",
        "mov rax, gs:[0x28]",
        "mov r11, rsp",
        to_host_stack!(),
        "and rsp, -16",
        "sub rsp, 32",
        "call {then}",
        "ud2",
        frame = const CAPTURE,
        host = const HOST,
        general = const GENERAL,
        instruction = const INSTRUCTION,
        xmm = const XMM,
        full = const FULL,
        then = sym super::raise::raise_pending,
    )
}

const _: () = assert!(CAPTURE % 16 == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_arrive() {
        extern "win64" fn routine(a: usize, b: usize, c: usize, d: usize) -> i32 {
            (a + 10 * b + 100 * c + 1000 * d) as i32
        }
        // SAFETY: a routine of four arguments.
        let sum = unsafe { call(1, 2, 3, 4, routine as *const () as usize) };
        assert_eq!(sum, 4321);
    }
}
