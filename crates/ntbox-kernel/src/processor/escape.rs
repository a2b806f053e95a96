//! Leaving a driver's routine without returning from it.
//!
//! `PsTerminateSystemThread` ends the calling thread in the middle of driver
//! code, through frames that the host cannot unwind. [`call`] therefore keeps
//! the registers that the Windows convention preserves, and [`leave`] goes back
//! to them, as the kernel abandons the stack of a thread that ends.

#![expect(unsafe_code, reason = "stack frames are switched in assembly")]

use super::driver_code::entering;
use crate::nt::routines::ContextRoutine;
use crate::pe_image::crossing;
use std::cell::Cell;
use std::ffi::c_void;

thread_local! {
    /// Stack pointer of the [`call`] under way on this thread, or 0.
    static FRAME: Cell<usize> = const { Cell::new(0) };
}

/// Calls `routine(context)`; returns when it does, or when it calls [`leave`].
///
/// # Safety
/// The routine may be called with that context, and everything between here and
/// a call of [`leave`] may be abandoned without running destructors.
pub unsafe fn call(routine: ContextRoutine, context: *mut c_void) {
    let outer = FRAME.get();
    let mut frame = 0_usize;
    // The slot is written before the routine runs, so `leave` reads it through this pointer.
    let slot = &raw mut frame;
    FRAME.set(slot.expose_provenance());
    let entered = crossing::entered();
    // SAFETY: contract of the function; the slot outlives the call.
    unsafe { enter(entering(routine), context, slot) };
    crossing::abandon_to(entered);
    FRAME.set(outer);
}

/// True inside a [`call`] on this thread.
pub fn can_leave() -> bool {
    FRAME.get() != 0
}

/// Returns from the [`call`] under way on this thread.
///
/// # Safety
/// [`can_leave`] is true, and no frame of the box between the two needs its destructors.
pub unsafe fn leave() -> ! {
    let slot: *const usize = std::ptr::with_exposed_provenance(FRAME.get());
    // SAFETY: set by `call`, whose frame is alive.
    let frame = unsafe { slot.read() };
    // SAFETY: the frame was made by `enter` on this thread's stack.
    unsafe { resume(frame) }
}

/// Saves what a callee preserves, stores the stack pointer and calls the routine.
#[unsafe(naked)]
unsafe extern "win64" fn enter(routine: ContextRoutine, context: *mut c_void, slot: *mut usize) {
    core::arch::naked_asm!(
        "push rbx",
        "push rbp",
        "push rdi",
        "push rsi",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 168",
        "movaps [rsp], xmm6",
        "movaps [rsp + 16], xmm7",
        "movaps [rsp + 32], xmm8",
        "movaps [rsp + 48], xmm9",
        "movaps [rsp + 64], xmm10",
        "movaps [rsp + 80], xmm11",
        "movaps [rsp + 96], xmm12",
        "movaps [rsp + 112], xmm13",
        "movaps [rsp + 128], xmm14",
        "movaps [rsp + 144], xmm15",
        "mov [r8], rsp",
        "mov rax, rcx",
        "mov rcx, rdx",
        "sub rsp, 32",
        "call rax",
        "add rsp, 32",
        "jmp {restore}",
        restore = sym restore,
    )
}

/// Undoes `enter`; the stack pointer is the one it stored.
#[unsafe(naked)]
unsafe extern "win64" fn restore() {
    core::arch::naked_asm!(
        "movaps xmm6, [rsp]",
        "movaps xmm7, [rsp + 16]",
        "movaps xmm8, [rsp + 32]",
        "movaps xmm9, [rsp + 48]",
        "movaps xmm10, [rsp + 64]",
        "movaps xmm11, [rsp + 80]",
        "movaps xmm12, [rsp + 96]",
        "movaps xmm13, [rsp + 112]",
        "movaps xmm14, [rsp + 128]",
        "movaps xmm15, [rsp + 144]",
        "add rsp, 168",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rsi",
        "pop rdi",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// Makes `frame` the stack pointer and returns from the `enter` that stored it.
#[unsafe(naked)]
unsafe extern "win64" fn resume(frame: usize) -> ! {
    core::arch::naked_asm!("mov rsp, rcx", "jmp {restore}", restore = sym restore)
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "win64" fn deep(context: *mut c_void) {
        let count = context.cast::<u32>();
        // SAFETY: the tests pass a counter.
        unsafe { *count += 1 };
        assert!(can_leave());
        // SAFETY: inside `call`; this frame has no destructors.
        unsafe { leave() }
    }

    unsafe extern "win64" fn returns(context: *mut c_void) {
        // SAFETY: the tests pass a counter.
        unsafe { *context.cast::<u32>() += 10 };
    }

    unsafe extern "win64" fn nested(context: *mut c_void) {
        // SAFETY: as the callers.
        unsafe { call(deep, context) };
        // SAFETY: as the callers.
        unsafe { returns(context) };
    }

    #[test]
    fn leaving_returns_from_the_innermost_call() {
        let mut count = 0_u32;
        let context = (&raw mut count).cast();
        let before = std::hint::black_box([1.5_f64, 2.5, 3.5]);
        for routine in [deep as ContextRoutine, returns, nested] {
            // SAFETY: the routines take a counter.
            unsafe { call(routine, context) };
        }
        assert!(!can_leave());
        assert_eq!(count, 1 + 10 + 11);
        assert_eq!(before.iter().sum::<f64>(), 7.5);
    }
}
