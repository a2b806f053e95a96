//! Signals on Linux: collecting what a fault is, and handing it on.

#![expect(unsafe_code, reason = "signal handlers work on raw contexts")]

use super::judge::{
    Access, CALLS, CR8_READ_BYTES, Fault, Trap, concerns_driver, reads_cr8, report,
};
use crate::host::exit_now;
use crate::host::instruction::code_at;
use crate::host::step::{self, Next, Step};
use crate::pe_image;
use crate::processor::pageable::{self, Touched};
use crate::processor::{irql, thread};
use crate::verifier::{self, Context};
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

/// The trap flag, in the register of flags.
const TRAP_FLAG: i64 = 1 << 8;
const SIGNALS: [c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
];
/// Bytes of the handler's stack: room for the largest register save area and
/// the page that the stack is searched with.
const STACK: usize = 128 << 10;
/// The report has this long; then the process ends without.
const SECONDS_TO_REPORT: u32 = 60;

/// What handled these signals before; in the order of [`SIGNALS`].
static EARLIER: OnceLock<[libc::sigaction; 5]> = OnceLock::new();

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
    // SAFETY: a function without arguments that may be called at any time.
    unsafe { libc::atexit(at_exit) };
    let mut earlier = MaybeUninit::<[libc::sigaction; 5]>::zeroed();
    for (index, signal) in SIGNALS.into_iter().enumerate() {
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
    // SAFETY: the system passes the context of the interrupted thread.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let instruction = registers[libc::REG_RIP as usize] as usize;
    // SAFETY: the system passes the information that belongs to the signal.
    let is_step = signal == libc::SIGTRAP && unsafe { (*info).si_code } == libc::TRAP_TRACE;
    let general = || GENERAL.map(|name| registers[name as usize] as u64);
    if is_step && step::record(instruction, general) {
        return;
    }
    let next = is_step.then(|| {
        step::watched(&Step {
            instruction,
            registers: general(),
        })
    });
    let given_away = match next.flatten() {
        Some(Next::GoOn) => return,
        Some(Next::Stop) => {
            registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
            return;
        }
        Some(Next::Report(access)) => Some(Trap::GivenAway(access)),
        None => None,
    };
    // SAFETY: the system passes the information that belongs to the signal.
    let information = unsafe { &*info };
    let trap = given_away.unwrap_or_else(|| {
        let error = registers[libc::REG_ERR as usize];
        trap_of(signal, information, error, instruction)
    });
    // The code of a page that is not there cannot be looked at, and tells nothing.
    let code = match trap {
        Trap::Memory { .. } | Trap::GivenAway(_) => [0; 4],
        _ => code_at(instruction).0,
    };
    if signal == libc::SIGSEGV
        && let Some(register) = reads_cr8(&code)
        && pe_image::image_at(instruction).is_some()
    {
        registers[GENERAL[register] as usize] = i64::from(irql::current());
        registers[libc::REG_RIP as usize] += CR8_READ_BYTES as i64;
        return;
    }
    let touched = match trap {
        Trap::Memory { address, access } => pageable::touched(address, access),
        _ => None,
    };
    if touched == Some(Touched::PagedIn) {
        return;
    }
    if verifier::is_reporting_here() {
        verifier::give_up();
    }
    let stack_pointer = registers[libc::REG_RSP as usize] as usize;
    let fault = Fault {
        trap,
        instruction,
        stack_pointer,
        irql: irql::current(),
        code,
        pageable: touched == Some(Touched::TooHigh),
    };
    let mut calls = [0; CALLS];
    let found = pe_image::calls_on_stack(stack_pointer, &mut calls);
    if !concerns_driver(&fault, &calls[..found]) {
        return hand_back(signal);
    }
    hand_over(Collected {
        fault,
        calls,
        found,
        thread: thread::current(),
    })
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
    /// `si_code` of a fault that is about no address.
    const SI_KERNEL: c_int = 0x80;
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
    let index = SIGNALS.iter().position(|known| *known == signal);
    let earlier = EARLIER
        .get()
        .zip(index)
        .map(|(earlier, index)| &earlier[index]);
    // SAFETY: zero is the default action.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: an action that the system gave out, or the default.
    unsafe { libc::sigaction(signal, earlier.unwrap_or(&default), std::ptr::null_mut()) };
}

struct Collected {
    fault: Fault,
    calls: [usize; CALLS],
    found: usize,
    thread: &'static thread::Thread,
}

/// The one fault that is reported, on its way to the reporting thread.
struct Handover {
    taken: AtomicBool,
    ready: UnsafeCell<MaybeUninit<libc::sem_t>>,
    fault: UnsafeCell<MaybeUninit<Collected>>,
}

// SAFETY: `fault` is written by the one thread that set `taken` first and read
// after the semaphore was raised by it; `ready` is a semaphore.
unsafe impl Sync for Handover {}

static HANDOVER: Handover = Handover {
    taken: AtomicBool::new(false),
    ready: UnsafeCell::new(MaybeUninit::zeroed()),
    fault: UnsafeCell::new(MaybeUninit::uninit()),
};

fn hand_over(collected: Collected) -> ! {
    verifier::announce();
    if !HANDOVER.taken.swap(true, Ordering::AcqRel) {
        // SAFETY: this thread alone comes here; the reader waits for the semaphore.
        unsafe { (*HANDOVER.fault.get()).write(collected) };
        // SAFETY: the semaphore was made before the handler was installed.
        unsafe { libc::sem_post(HANDOVER.ready.get().cast()) };
    }
    wait_for_report()
}

/// The report ends the process; this thread has nothing left to do.
fn wait_for_report() -> ! {
    let mut left = SECONDS_TO_REPORT;
    while left > 0 {
        // SAFETY: waits; a signal may end it early.
        left = unsafe { libc::sleep(left) };
    }
    crate::host::write_raw(
        false,
        "ntbox: a rule was broken, and the report could not be made\n",
    );
    exit_now(1)
}

/// Runs when the process ends in the ordinary way, perhaps with success, while
/// another thread is about to report.
extern "C" fn at_exit() {
    if verifier::is_announced() {
        wait_for_report();
    }
}

fn start_reporter() {
    // SAFETY: the semaphore is made once, before anybody uses it.
    unsafe { libc::sem_init(HANDOVER.ready.get().cast(), 0, 0) };
    let reporter = std::thread::Builder::new().name("fault report".into());
    let started = reporter.stack_size(8 << 20).spawn(|| {
        // SAFETY: the semaphore exists; an interrupted wait is repeated.
        while unsafe { libc::sem_wait(HANDOVER.ready.get().cast()) } != 0 {}
        // SAFETY: the thread that wrote the fault raised the semaphore, and nobody writes again.
        let collected = unsafe { &*HANDOVER.fault.get() };
        // SAFETY: it was written before the semaphore was raised.
        let collected = unsafe { collected.assume_init_ref() };
        let calls = collected.calls.get(..collected.found).unwrap_or_default();
        let (id, name) = (collected.thread.id(), collected.thread.name().to_owned());
        report(
            &collected.fault,
            calls,
            Context {
                thread: id,
                name,
                irql: collected.fault.irql,
            },
        )
    });
    if let Err(error) = started {
        crate::host::write_raw(
            false,
            &format!("ntbox: no thread for fault reports: {error}\n"),
        );
    }
}
