//! Windows: faults come as exceptions, to a vectored handler, which is called
//! before any other.
//!
//! It runs on the stack of the faulting thread. Where that is used up, there is as
//! much left as the thread has asked for.
//!
//! Not seen here: `__fastfail` (`int 29h`), with which Windows ends a process
//! without asking any handler.

#![expect(unsafe_code, reason = "exception handlers work on raw contexts")]

use super::handover::start_reporter;
use super::interrupted::{self, Interrupted, Then};
use super::judge::{Access, Trap};
use super::sample::Seen;
use crate::host::memory;
use crate::nt::NTSTATUS;
use crate::pe_image::{Origin, crossing};
use crate::processor::step::{Registers, STACK_POINTER};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::sync::Once;
use windows_sys::Win32::Foundation as status;
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, CONTEXT, CONTEXT_CONTROL_AMD64, CONTEXT_INTEGER_AMD64,
    EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_CONTINUE_SEARCH, EXCEPTION_POINTERS, EXCEPTION_RECORD,
    GetThreadContext,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, OpenThread, ResumeThread, SetEvent, SetThreadStackGuarantee,
    SuspendThread, THREAD_GET_CONTEXT, THREAD_SUSPEND_RESUME, WaitForSingleObject,
};

/// The trap flag, in the register of flags.
const TRAP_FLAG: u32 = 1 << 8;
/// Bytes of a used-up stack that are left to the handler: room for what the system puts there, and
/// for the page that the stack is searched with.
const STACK: u32 = 64 << 10;

pub(super) fn prepare_thread() {
    static INSTALLED: Once = Once::new();
    thread_local! {
        static GUARANTEED: () = guarantee();
    }
    INSTALLED.call_once(install);
    // A thread that is ending has no thread-locals left; it runs no driver code either.
    let _ = GUARANTEED.try_with(|()| ());
}

fn guarantee() {
    let mut bytes = STACK;
    // SAFETY: room for the old value. A stack that is too small for it keeps what it has.
    unsafe { SetThreadStackGuarantee(&raw mut bytes) };
}

fn install() {
    start_reporter();
    // SAFETY: a function of the type that is asked for; it stays.
    unsafe { AddVectoredExceptionHandler(1, Some(handle)) };
}

unsafe extern "system" fn handle(exception: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system passes the exception.
    let exception = unsafe { &*exception };
    // SAFETY: as above.
    let record = unsafe { &*exception.ExceptionRecord };
    // SAFETY: as above.
    let context = unsafe { &mut *exception.ContextRecord };
    let mut thread = Interruption(context);
    let is_step = record.ExceptionCode == status::EXCEPTION_SINGLE_STEP;
    if let Some(behind) = memory::goes_on_at(thread.instruction()).filter(|_| !is_step) {
        thread.set_instruction(behind);
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    let then = if is_step {
        interrupted::stepped(&mut thread)
    } else {
        match trap_of(record, &thread) {
            Some(trap) => interrupted::faulted(&mut thread, trap),
            None => Then::HandBack,
        }
    };
    match then {
        Then::GoOn => EXCEPTION_CONTINUE_EXECUTION,
        Then::HandBack => EXCEPTION_CONTINUE_SEARCH,
    }
}

/// The context of an exception, which the thread goes on with.
struct Interruption<'c>(&'c mut CONTEXT);

impl Interrupted for Interruption<'_> {
    fn instruction(&self) -> usize {
        self.0.Rip as usize
    }
    fn set_instruction(&mut self, address: usize) {
        self.0.Rip = address as u64;
    }
    fn registers(&self) -> Registers {
        let of = &self.0;
        [
            of.Rax, of.Rcx, of.Rdx, of.Rbx, of.Rsp, of.Rbp, of.Rsi, of.Rdi, of.R8, of.R9, of.R10,
            of.R11, of.R12, of.R13, of.R14, of.R15,
        ]
    }
    fn set_register(&mut self, register: usize, value: u64) {
        let of = &mut self.0;
        let all = [
            &mut of.Rax,
            &mut of.Rcx,
            &mut of.Rdx,
            &mut of.Rbx,
            &mut of.Rsp,
            &mut of.Rbp,
            &mut of.Rsi,
            &mut of.Rdi,
            &mut of.R8,
            &mut of.R9,
            &mut of.R10,
            &mut of.R11,
            &mut of.R12,
            &mut of.R13,
            &mut of.R14,
            &mut of.R15,
        ];
        *all[register] = value;
    }
    fn go_on_stepping(&mut self) {
        // The system has reset it in the context.
        self.0.EFlags |= TRAP_FLAG;
    }
    fn stop_stepping(&mut self) {
        self.0.EFlags &= !TRAP_FLAG;
    }
    fn raise(&mut self, _code: NTSTATUS, _information: &[u64]) -> bool {
        // The system's own search for a handler runs already, and knows nothing of drivers.
        false
    }
}

/// What an exception of the processor is; `None` for those that programs raise.
fn trap_of(record: &EXCEPTION_RECORD, thread: &Interruption<'_>) -> Option<Trap> {
    let [kind, address, ..] = record.ExceptionInformation;
    let trap = match record.ExceptionCode {
        // An address that is not canonical is not told.
        status::EXCEPTION_ACCESS_VIOLATION if address == usize::MAX => Trap::Protection,
        status::EXCEPTION_ACCESS_VIOLATION | status::EXCEPTION_IN_PAGE_ERROR => {
            let access = match kind {
                0 if address == thread.instruction() => Access::Execute,
                0 => Access::Read,
                1 => Access::Write,
                _ => Access::Execute,
            };
            Trap::Memory { address, access }
        }
        status::EXCEPTION_STACK_OVERFLOW => Trap::Memory {
            // Not every system tells where.
            address: if record.NumberParameters < 2 {
                thread.registers()[STACK_POINTER] as usize
            } else {
                address
            },
            access: Access::Write,
        },
        status::EXCEPTION_PRIV_INSTRUCTION | status::STATUS_ASSERTION_FAILURE => Trap::Protection,
        status::EXCEPTION_ILLEGAL_INSTRUCTION => Trap::Instruction,
        status::EXCEPTION_BREAKPOINT | status::EXCEPTION_SINGLE_STEP => Trap::Breakpoint,
        status::EXCEPTION_INT_DIVIDE_BY_ZERO
        | status::EXCEPTION_INT_OVERFLOW
        | status::EXCEPTION_FLT_DENORMAL_OPERAND..=status::EXCEPTION_FLT_UNDERFLOW => {
            Trap::Division
        }
        _ => return None,
    };
    Some(trap)
}

/// Looks at a thread while it is suspended, and allocates nothing meanwhile: it may hold any lock.
pub(super) fn look(_thread: u32, host: u32, crossings: usize) -> Option<Seen> {
    // SAFETY: ids are looked for by the system.
    let thread = unsafe { OpenThread(THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT, 0, host) };
    if thread.is_null() {
        return None;
    }
    // SAFETY: a new handle, which nobody else knows.
    let thread = unsafe { OwnedHandle::from_raw_handle(thread) };
    let mut seen = Seen::nothing();
    let mut context = Box::new(Aligned(CONTEXT {
        ContextFlags: CONTEXT_CONTROL_AMD64 | CONTEXT_INTEGER_AMD64,
        ..CONTEXT::default()
    }));
    // SAFETY: an open handle, with the right to.
    if unsafe { SuspendThread(thread.as_raw_handle()) } == u32::MAX {
        return None;
    }
    // SAFETY: as above; room for a context, aligned as it has to be.
    let got = unsafe { GetThreadContext(thread.as_raw_handle(), &raw mut context.0) } != 0;
    if got {
        let entered = crossing::entered_of(crossings);
        let interrupted = Interruption(&mut context.0);
        let (instruction, registers) = (interrupted.instruction(), interrupted.registers());
        seen.note(
            instruction,
            &Origin::of_thread(entered, instruction, registers),
        );
    }
    // SAFETY: as above; suspended here.
    unsafe { ResumeThread(thread.as_raw_handle()) };
    got.then_some(seen)
}

/// A context lies at a multiple of 16 bytes.
#[repr(align(16))]
struct Aligned(CONTEXT);

/// An event.
pub(super) struct Bell(OwnedHandle);

impl Bell {
    pub(super) fn new() -> Self {
        // SAFETY: an event without a name, which is not rung yet.
        let event = unsafe { CreateEventW(std::ptr::null(), 0, 0, std::ptr::null()) };
        assert!(!event.is_null(), "{}", std::io::Error::last_os_error());
        // SAFETY: a new handle, which nobody else knows.
        Self(unsafe { OwnedHandle::from_raw_handle(event) })
    }
    pub(super) fn ring(&self) {
        // SAFETY: an open handle.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }
    pub(super) fn wait(&self) {
        // SAFETY: an open handle.
        unsafe { WaitForSingleObject(self.0.as_raw_handle(), INFINITE) };
    }
}
