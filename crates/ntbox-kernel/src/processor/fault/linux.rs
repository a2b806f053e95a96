//! Linux: faults come as signals.
//!
//! Their handler runs on a stack of its own: the fault may be about the ordinary one.

#![expect(unsafe_code, reason = "signal handlers work on raw contexts")]

use super::handover::{start_reporter, this_thread};
use super::interrupted::{self, Interrupted, Then};
use super::judge::{Access, Trap};
use super::own::{self, Complaint};
use super::sample::Seen;
use crate::nt::NTSTATUS;
use crate::pe_image::{Origin, crossing};
use crate::processor::exception::{Context, Record, raise_by_fault};
use crate::processor::irql;
use crate::processor::step::{Registers, STACK_POINTER};
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

/// `si_code` of a fault that is about no address, and of an `int3`.
const SI_KERNEL: c_int = 0x80;
/// The trap flag, in the register of flags.
const TRAP_FLAG: i64 = 1 << 8;
/// That of alignment checks.
const ALIGNMENT_CHECK: i64 = 1 << 18;
const SIGNALS: [(c_int, &str); 6] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGTRAP, "SIGTRAP"),
    // What the host's library ends a process with that has spoiled its heap.
    (libc::SIGABRT, "SIGABRT"),
];
/// Bytes of the handler's stack: room for the largest register save area and
/// the page that the stack is searched with.
const STACK: usize = 128 << 10;

/// What handled these signals before; in the order of [`SIGNALS`].
static EARLIER: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

pub(super) fn prepare_thread() {
    static INSTALLED: Once = Once::new();
    thread_local! {
        static STACK_OF_HANDLER: HandlerStack = HandlerStack::install();
    }
    INSTALLED.call_once(install);
    // A thread that is ending has no thread-locals left; it runs no driver code either.
    let _ = STACK_OF_HANDLER.try_with(|_| ());
}

/// The stack that this thread's handler runs on: the fault may be about the
/// ordinary one.
struct HandlerStack(*mut c_void);

impl HandlerStack {
    fn install() -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        let bits = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), STACK, bits, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            // The language's own, smaller one stays in use.
            return Self(std::ptr::null_mut());
        }
        let stack = libc::stack_t {
            ss_sp: base,
            ss_flags: 0,
            ss_size: STACK,
        };
        // SAFETY: the mapping lives until the thread ends.
        unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) };
        Self(base)
    }
}

impl Drop for HandlerStack {
    fn drop(&mut self) {
        if self.0.is_null() {
            return;
        }
        let none = libc::stack_t {
            ss_sp: std::ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: STACK,
        };
        // SAFETY: no handler runs on this thread now.
        unsafe { libc::sigaltstack(&none, std::ptr::null_mut()) };
        // SAFETY: mapped in `install`, and no longer the handler's stack.
        unsafe { libc::munmap(self.0, STACK) };
    }
}

fn install() {
    start_reporter();
    let mut earlier = MaybeUninit::<[libc::sigaction; SIGNALS.len()]>::zeroed();
    for (index, (signal, _)) in SIGNALS.into_iter().enumerate() {
        // SAFETY: zero is a valid value; the fields that matter are set.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        let old = earlier
            .as_mut_ptr()
            .cast::<libc::sigaction>()
            .wrapping_add(index);
        // SAFETY: the handler is a function of the type that SA_SIGINFO asks for.
        unsafe { libc::sigaction(signal, &action, old) };
    }
    // SAFETY: zeroed, and each element was written by the system.
    let _ = EARLIER.set(unsafe { earlier.assume_init() });
}

unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: changes one flag, which no code relies on.
    unsafe { check_no_alignment() };
    // SAFETY: the system passes the context of the interrupted thread.
    let machine = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    // SAFETY: the system passes the information that belongs to the signal.
    let information = unsafe { &*info };
    let mut thread = Interruption(&mut machine.gregs, machine.fpregs);
    if signal == libc::SIGBUS && information.si_code == libc::BUS_ADRALN {
        // A driver has set the flag, which is of no effect in the kernel.
        thread.0[libc::REG_EFL as usize] &= !ALIGNMENT_CHECK;
        return;
    }
    if is_sent(information.si_code) || signal == libc::SIGABRT {
        sent(signal, &thread);
        return;
    }
    if signal == libc::SIGTRAP && information.si_code == SI_KERNEL {
        // Behind an int3, which NT has the thread at.
        thread.set_instruction(thread.instruction() - 1);
    }
    let then = if is_step(signal, information.si_code) {
        interrupted::stepped(&mut thread)
    } else {
        let error = thread.0[libc::REG_ERR as usize];
        let trap = trap_of(signal, information, error, thread.instruction());
        let then = interrupted::faulted(&mut thread, trap);
        if then == Then::HandBack {
            own::faulted(Complaint::Trap(trap), thread.instruction(), thread.origin());
        }
        then
    };
    if then == Then::HandBack {
        hand_back(signal);
    }
}

/// Resets the flag by which the processor, where programs run, takes no address that is not aligned. A signal's handler
/// begins with it as it was.
#[unsafe(naked)]
unsafe extern "C" fn check_no_alignment() {
    core::arch::naked_asm!(
        "pushfq",
        "and dword ptr [rsp], {others}",
        "popfq",
        "ret",
        others = const !(ALIGNMENT_CHECK as i32),
    )
}

/// No instruction has caused it: a process has sent it, this one perhaps.
fn is_sent(code: c_int) -> bool {
    code <= 0
}

/// A signal that was sent is about no instruction: no driver is asked for it.
fn sent(signal: c_int, thread: &Interruption<'_>) {
    let known = SIGNALS.iter().find(|(known, _)| *known == signal);
    let complaint = Complaint::Signal(signal, known.map_or("", |(_, name)| name));
    own::faulted(complaint, thread.instruction(), thread.origin());
    hand_back(signal);
    // Nothing is run again that would cause it.
    // SAFETY: a signal for this thread.
    unsafe { libc::raise(signal) };
}

/// A debug exception. In a virtual machine one may come without its reason, which Linux takes for
/// an `int1` then (TRAP_BRKPT); an `int3` has the code SI_KERNEL.
fn is_step(signal: c_int, code: c_int) -> bool {
    signal == libc::SIGTRAP && matches!(code, libc::TRAP_TRACE | libc::TRAP_BRKPT)
}

/// The context of a signal, which the thread goes on with.
struct Interruption<'c>(&'c mut [libc::greg_t; 23], *const libc::_libc_fpstate);

impl Interruption<'_> {
    fn origin(&self) -> Origin {
        Origin::interrupted(self.instruction(), self.registers())
    }
}

impl Interrupted for Interruption<'_> {
    fn instruction(&self) -> usize {
        self.0[libc::REG_RIP as usize] as usize
    }
    fn set_instruction(&mut self, address: usize) {
        self.0[libc::REG_RIP as usize] = address as i64;
    }
    fn registers(&self) -> Registers {
        GENERAL.map(|name| self.0[name as usize] as u64)
    }
    fn set_register(&mut self, register: usize, value: u64) {
        self.0[GENERAL[register] as usize] = value as i64;
    }
    fn go_on_stepping(&mut self) {
        self.0[libc::REG_EFL as usize] |= TRAP_FLAG;
    }
    fn stop_stepping(&mut self) {
        self.0[libc::REG_EFL as usize] &= !TRAP_FLAG;
    }
    fn raise(&mut self, code: NTSTATUS, information: &[u64]) -> bool {
        let mut context = Context::EMPTY;
        context.eflags = self.0[libc::REG_EFL as usize] as u32;
        context.general = self.registers();
        context.instruction = self.instruction() as u64;
        if !self.1.is_null() {
            // SAFETY: the system passes the state of the interrupted thread.
            let floating_point = unsafe { &*self.1 };
            context.mxcsr = floating_point.mxcsr;
            for (into, register) in context.xmm.iter_mut().zip(&floating_point._xmm) {
                let words = register.element.into_iter().rev();
                *into = words.fold(0, |value, word| value << 32 | u128::from(word));
            }
        }
        let record = Record::new(code, 0, context.instruction, information);
        // On the thread's own stack, as NT has them there, behind what a leaf may keep below the
        // stack pointer.
        let top = context.general[STACK_POINTER] as usize - 256;
        let context_at = (top - size_of::<Context>()) / 16 * 16;
        let record_at = (context_at - size_of::<Record>()) / 16 * 16;
        // SAFETY: stack that the thread does not use; if there is none, that is another fault.
        unsafe { (context_at as *mut Context).write(context) };
        // SAFETY: as above.
        unsafe { (record_at as *mut Record).write(record) };
        self.stop_stepping();
        self.0[libc::REG_RCX as usize] = record_at as i64;
        self.0[libc::REG_RDX as usize] = context_at as i64;
        let stack = crossing::entered().host_stack().unwrap_or(record_at) / 16 * 16;
        // As at the entry of a function: shadow space, and the return address below it.
        self.0[libc::REG_RSP as usize] = stack as i64 - 40;
        self.set_instruction(raise_by_fault as *const () as usize);
        true
    }
}

/// `gregs` of the registers in the processor's order.
const GENERAL: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

fn trap_of(signal: c_int, info: &libc::siginfo_t, error: i64, instruction: usize) -> Trap {
    match signal {
        libc::SIGILL => Trap::Instruction,
        libc::SIGTRAP => Trap::Breakpoint,
        libc::SIGFPE => Trap::Division,
        _ if info.si_code == SI_KERNEL => Trap::Protection,
        _ => {
            // SAFETY: memory faults carry the address.
            let address = unsafe { info.si_addr() } as usize;
            // Bits of the page-fault error code: 1 is a write, 4 an instruction fetch.
            let access = match error {
                _ if error & 0x02 != 0 => Access::Write,
                _ if error & 0x10 != 0 || address == instruction => Access::Execute,
                _ => Access::Read,
            };
            Trap::Memory { address, access }
        }
    }
}

/// Gives the signal back to what handled it before; the instruction is run
/// again and faults there.
fn hand_back(signal: c_int) {
    let index = SIGNALS.iter().position(|(known, _)| *known == signal);
    let earlier = EARLIER
        .get()
        .zip(index)
        .map(|(earlier, index)| &earlier[index]);
    // SAFETY: zero is the default action.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: an action that the system gave out, or the default.
    unsafe { libc::sigaction(signal, earlier.unwrap_or(&default), std::ptr::null_mut()) };
}

/// The signal that has a thread tell where it is: one that is ignored where nobody handles it.
const LOOK: c_int = libc::SIGURG;
/// How long a thread may take to answer. One that does not is in the host's kernel.
const TIME_TO_ANSWER: Duration = Duration::from_secs(2);

/// A question to a thread.
struct Question {
    /// Client id of whom it is for.
    thread: u32,
    /// What that thread sees of itself. It alone writes it, before it rings.
    seen: UnsafeCell<Seen>,
    answered: Bell,
}

/// The question that is open. Who takes it out answers it.
static QUESTION: AtomicPtr<Question> = AtomicPtr::new(std::ptr::null_mut());

pub(super) fn look(thread: u32, host: u32, _crossings: usize) -> Option<Seen> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: zero is a valid value; the fields that matter are set.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = tell as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: the handler is a function of the type that SA_SIGINFO asks for.
        unsafe { libc::sigaction(LOOK, &action, std::ptr::null_mut()) };
    });
    // Never freed: a thread that is late may still look at it. There is one for each thread, when
    // nothing moves any more.
    let question: &'static Question = Box::leak(Box::new(Question {
        thread,
        seen: UnsafeCell::new(Seen::nothing()),
        answered: Bell::new(),
    }));
    QUESTION.store(std::ptr::from_ref(question).cast_mut(), Ordering::Release);
    let process = std::process::id() as libc::pid_t;
    // SAFETY: a signal to a thread of this process, if it is still there.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, host as libc::pid_t, LOOK) } == 0;
    let is_answered = sent && question.answered.wait_for(TIME_TO_ANSWER);
    QUESTION.store(std::ptr::null_mut(), Ordering::Release);
    // SAFETY: the one thread that has written it has rung after that.
    is_answered.then(|| unsafe { (*question.seen.get()).clone() })
}

/// Runs in the thread that is asked. Neither allocates nor locks.
unsafe extern "C" fn tell(_signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: takes nothing.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: this thread's own, as long as it runs.
    let error = unsafe { *errno };
    let address = QUESTION.load(Ordering::Acquire);
    // SAFETY: questions are never freed.
    let question = unsafe { address.as_ref() };
    let null = std::ptr::null_mut();
    if let Some(question) = question
        && question.thread == this_thread().id()
        && QUESTION
            .compare_exchange(address, null, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    {
        // SAFETY: the system passes the context of the interrupted thread.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        // SAFETY: this thread has taken the question out: nobody else looks before the bell.
        let seen = unsafe { &mut *question.seen.get() };
        seen.irql = Some(irql::current());
        let instruction = registers[libc::REG_RIP as usize] as usize;
        let registers = GENERAL.map(|name| registers[name as usize] as u64);
        seen.note(instruction, &Origin::interrupted(instruction, registers));
        question.answered.ring();
    }
    // SAFETY: as above.
    unsafe { *errno = error };
}

/// A semaphore: what wakes a thread from a signal handler.
pub(super) struct Bell(Box<UnsafeCell<libc::sem_t>>);

// SAFETY: a semaphore is for several threads; nothing else is done with it.
unsafe impl Send for Bell {}
// SAFETY: as above.
unsafe impl Sync for Bell {}

impl Bell {
    pub(super) fn new() -> Self {
        // SAFETY: zero is a valid value, which is initialized before it is used.
        let bell = Self(Box::new(unsafe { std::mem::zeroed() }));
        // SAFETY: a semaphore that nobody else knows.
        unsafe { libc::sem_init(bell.0.get(), 0, 0) };
        bell
    }
    pub(super) fn ring(&self) {
        // SAFETY: the semaphore was initialized.
        unsafe { libc::sem_post(self.0.get()) };
    }
    /// False if it was not rung in time.
    fn wait_for(&self, time: Duration) -> bool {
        let mut until = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: room for the time.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut until) };
        until.tv_sec += time.as_secs() as libc::time_t;
        loop {
            // SAFETY: the semaphore was initialized.
            if unsafe { libc::sem_timedwait(self.0.get(), &until) } == 0 {
                return true;
            }
            if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                return false;
            }
        }
    }
    pub(super) fn wait(&self) {
        // SAFETY: the semaphore was initialized; an interrupted wait is repeated.
        while unsafe { libc::sem_wait(self.0.get()) } != 0 {}
    }
}
