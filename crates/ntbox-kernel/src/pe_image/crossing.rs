//! Where the box calls the code of drivers, and where that calls the box.
//!
//! A driver's code runs on a kernel stack of its thread's own, and the box on the host's: what a driver takes of
//! the one is what it would take on Windows, however large the frames of the box are. The box calls a routine
//! through [`enter`], which changes to the kernel stack; a driver calls the box through a thunk (`exports::table`),
//! which changes back. Both leave a record, so that it is known which routine runs, from where it has called, and
//! with which registers: call stacks are unwound from that ([`super::unwind`]), and a call that a routine ends
//! with, compiled to a jump, is known for its own although its return address is the box's.
//!
//! Each thread has a [`Crossing`], which assembly finds at `gs:[0x28]`: a field of the processor block that no
//! header uses, and on Windows the one of the host's thread block that it leaves to programs.
//!
//! On Windows hosts there is one stack for both: the host looks for handlers of exceptions on its own alone.

#![expect(
    unsafe_code,
    reason = "stacks are changed in assembly, and records on them read"
)]

use std::cell::Cell;
use std::mem::offset_of;
use std::ops::Range;

/// True where a driver's code has a stack of its own.
pub const HAS_KERNEL_STACKS: bool = cfg!(not(windows));

/// Bytes of a kernel stack on x64.
pub const STACK_BYTES: usize = 24 << 10;

/// How far below the box's own frames a stack is taken for gone where drivers have no stack of their own.
const BELOW: usize = 4 * STACK_BYTES;

/// Bytes that each call of a driver's routine takes of the kernel stack beside the driver's own: room for what
/// the kernel has there between the two, and the most arguments that a routine has.
pub const BETWEEN: usize = 0x100;
/// Arguments of a routine that lie on the stack, at most.
const ON_STACK: usize = 6;
const _: () = assert!(BETWEEN >= 32 + 8 * ON_STACK);

/// A routine of a driver that was entered and has not returned.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Entered {
    /// The request that it was entered for, or 0.
    pub request: usize,
    /// Behind the first byte of the routine, as a return address would be.
    pub routine: usize,
    /// Where its return address lies.
    pub return_slot: usize,
    /// The [`Call`] of the box that it is in, or 0.
    pub call: usize,
    /// Where the kernel stack goes on.
    stack: usize,
    /// Where the box goes on when it is called; there lies the [`Entered`] around this one.
    host: usize,
}

/// What a thunk leaves on the host's stack: the registers that a routine preserves, as they are in the driver.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// Points at the return address.
    pub stack_pointer: usize,
    /// The thunk: what an import of the routine that was called is bound to.
    pub routine: usize,
    /// r15, r14, r13, r12, rdi, rsi, rbp, rbx.
    pub preserved: [usize; 8],
}

/// Crossings of one thread. Assembly writes to them too, between calls of what is here.
#[repr(C)]
struct Crossing {
    entered: Cell<Entered>,
    next: Cell<usize>,
    next_request: Cell<usize>,
    /// The lowest address of the kernel stack, and the one above it.
    limit: Cell<usize>,
    top: Cell<usize>,
    /// Not 0: the next call of the box that returns to a driver has its instructions trap.
    traps_behind: Cell<usize>,
    /// Not 0: the call of the box that runs may be abandoned.
    touches: Cell<usize>,
}

thread_local! {
    static HERE: Crossing = const {
        Crossing {
            entered: Cell::new(NOTHING),
            next: Cell::new(0),
            next_request: Cell::new(0),
            limit: Cell::new(0),
            top: Cell::new(0),
            traps_behind: Cell::new(0),
            touches: Cell::new(0),
        }
    };
}

const NOTHING: Entered = Entered {
    request: 0,
    routine: 0,
    return_slot: 0,
    call: 0,
    stack: 0,
    host: 0,
};

/// Offsets in a [`Crossing`], for assembly.
pub(crate) const ROUTINE: usize = offset_of!(Crossing, entered) + offset_of!(Entered, routine);
pub(crate) const RETURN_SLOT: usize =
    offset_of!(Crossing, entered) + offset_of!(Entered, return_slot);
pub(crate) const CALL: usize = offset_of!(Crossing, entered) + offset_of!(Entered, call);
pub(crate) const STACK: usize = offset_of!(Crossing, entered) + offset_of!(Entered, stack);
pub(crate) const HOST: usize = offset_of!(Crossing, entered) + offset_of!(Entered, host);
pub(crate) const TRAPS_BEHIND: usize = offset_of!(Crossing, traps_behind);
pub(crate) const TOUCHES: usize = offset_of!(Crossing, touches);
const REQUEST: usize = offset_of!(Crossing, entered) + offset_of!(Entered, request);
const NEXT: usize = offset_of!(Crossing, next);
const NEXT_REQUEST: usize = offset_of!(Crossing, next_request);
const LIMIT: usize = offset_of!(Crossing, limit);
const TOP: usize = offset_of!(Crossing, top);

/// Gives this thread a kernel stack, of which `limit` is the lowest address and `top` the one above it: where its
/// crossings are, for `gs:[0x28]`.
pub fn prepare(limit: usize, top: usize) -> usize {
    exchange_stack((limit, top, top));
    HERE.with(|here| std::ptr::from_ref(here).expose_provenance())
}

/// True while a driver's call of the box runs that may be abandoned where memory of a program is not there.
pub fn touches() -> bool {
    HERE.with(|here| here.touches.get() != 0)
}

/// True once [`prepare`] was called in this thread.
#[inline]
pub fn is_prepared() -> bool {
    HERE.with(|here| here.limit.get() != 0)
}

/// The next call of [`enter`] in this thread enters `routine`, for `request` or 0. The bytes that the kernel
/// stack has left for it.
#[inline]
pub fn set_next(routine: usize, request: usize) -> usize {
    HERE.with(|here| {
        here.next.set(routine);
        here.next_request.set(request);
        let limit = here.limit.get() + BETWEEN;
        here.entered.get().stack.saturating_sub(limit)
    })
}

/// What [`set_next`] was told last in this thread: the routine that the box has called last, or is about to, and its
/// request.
pub fn next() -> (usize, usize) {
    HERE.with(|here| (here.next.get(), here.next_request.get()))
}

/// The box is at `here` on its stack. Where a driver has called a routine of it by a pointer, such as an entry of a
/// file system's table of fast I/O, that is the kernel stack: it goes on below.
pub fn go_on_below(here: usize) {
    HERE.with(|crossing| {
        let entered = crossing.entered.get();
        if HAS_KERNEL_STACKS && (crossing.limit.get()..entered.stack).contains(&here) {
            let stack = here.saturating_sub(BETWEEN);
            crossing.entered.set(Entered { stack, ..entered });
        }
    });
}

/// The innermost routine of a driver was interrupted, or raises: the box goes on as if that had called it, with the
/// registers of `call`, which lives until [`abandon_to`]; the kernel stack goes on at `stack`.
pub fn interrupt(call: &Call, stack: usize) {
    HERE.with(|here| {
        let entered = here.entered.get();
        if !entered.is_none() {
            let call = std::ptr::from_ref(call).expose_provenance();
            here.entered.set(Entered {
                call,
                stack,
                ..entered
            });
        }
    });
}

/// The innermost routine of a driver that this thread is in; all zero but the stack if it is in none.
#[inline]
pub fn entered() -> Entered {
    HERE.with(|here| here.entered.get())
}

/// The innermost routine of a driver, as [`Entered::routine`] has it, with the bytes of the kernel stack that it had when
/// it called the box last; zero if it is in none, or has no stack of its own.
#[inline]
pub fn used() -> (usize, usize) {
    HERE.with(|here| {
        let entered = here.entered.get();
        match HAS_KERNEL_STACKS {
            true => (
                entered.routine,
                entered.return_slot.saturating_sub(entered.stack),
            ),
            false => (0, 0),
        }
    })
}

/// What [`entered`] gives in another thread, whose crossings are where its [`prepare`] has said. It stands still.
#[cfg(windows)]
pub fn entered_of(crossings: usize) -> Entered {
    const { assert!(offset_of!(Crossing, entered) == 0) };
    read(crossings).unwrap_or_default()
}

/// Puts back what [`entered`] gave: everything that was entered since is abandoned.
pub fn abandon_to(entered: Entered) {
    HERE.with(|here| here.entered.set(entered));
}

/// The same, of a routine that goes on now, and so calls nothing of the box.
pub fn go_on_in(entered: Entered) {
    abandon_to(Entered { call: 0, ..entered });
}

/// A kernel stack of this thread, in the place of the one that comes back: its lowest address, where it goes on,
/// and the address above it.
pub fn exchange_stack((limit, stack, top): (usize, usize, usize)) -> (usize, usize, usize) {
    HERE.with(|here| {
        let entered = here.entered.get();
        here.entered.set(Entered { stack, ..entered });
        (
            here.limit.replace(limit),
            entered.stack,
            here.top.replace(top),
        )
    })
}

/// The kernel stack of this thread, all of it.
pub fn limits() -> Range<usize> {
    HERE.with(|here| here.limit.get()..here.top.get())
}

/// The kernel stack of this thread, from its lowest address to where it goes on.
pub fn stack() -> Range<usize> {
    HERE.with(|here| here.limit.get()..here.entered.get().stack)
}

/// The part of this thread's stack that drivers have variables on; `here` is in a frame of the box.
pub fn stack_in_use(here: usize) -> Range<usize> {
    if HAS_KERNEL_STACKS {
        let left = stack();
        left.end..left.start + STACK_BYTES
    } else {
        // The frames of who called are above those of the box.
        here..here + STACK_BYTES
    }
}

/// The part of this thread's stack that drivers have variables on no more. `here` is in a frame of the box, below all
/// that they have.
pub fn stack_unused(here: usize) -> Range<usize> {
    let stack = stack();
    match HAS_KERNEL_STACKS {
        // Where a driver has called the box by a pointer the box runs there, too.
        true if stack.contains(&here) => stack.start..here,
        true => stack,
        false => here - BELOW..here,
    }
}

/// True if `address` is on the part of this thread's stack that drivers may have variables on.
pub fn lies_on_stack(address: usize) -> bool {
    if HAS_KERNEL_STACKS {
        limits().contains(&address)
    } else {
        let here = 0_u8;
        stack_in_use((&raw const here).addr()).contains(&address)
    }
}

/// Eight bytes of this thread's kernel stack; `None` if `address` is somewhere else, or not aligned.
pub fn read_own_stack(address: usize) -> Option<usize> {
    let limit = HERE.with(|here| here.limit.get());
    let is_own = HAS_KERNEL_STACKS && limit != 0 && (limit..limit + STACK_BYTES).contains(&address);
    if !is_own || !address.is_multiple_of(size_of::<usize>()) {
        return None;
    }
    // SAFETY: each kernel stack has that many bytes, which are there for as long as its thread is; the record of
    // integers may be written by a driver at the same time only in this thread.
    Some(unsafe { std::ptr::with_exposed_provenance::<usize>(address).read_volatile() })
}

/// Has each instruction of this thread trap, or not, from where a call of the box returns to a driver next.
pub fn trap_behind(traps: bool) {
    HERE.with(|here| here.traps_behind.set(traps.into()));
}

/// What a thunk ends with, in the place of `ret`, where [`trap_behind`] was called; r11 is the [`Crossing`].
///
/// # Safety
/// Jumped to by thunks alone, with the stack as it is at their end.
#[cfg(all(target_arch = "x86_64", any(target_os = "linux", windows)))]
#[unsafe(naked)]
pub unsafe extern "win64" fn return_trapping() {
    core::arch::naked_asm!(
        "mov qword ptr [r11 + {traps_behind}], 0",
        "pushfq",
        "or qword ptr [rsp], 0x100",
        "popfq",
        "ret",
        traps_behind = const TRAPS_BEHIND,
    )
}

impl Entered {
    /// True if it is no routine.
    pub fn is_none(&self) -> bool {
        self.host == 0
    }

    /// Where the box goes on below, on a stack of its own, when the routine calls it.
    pub fn host_stack(&self) -> Option<usize> {
        (HAS_KERNEL_STACKS && !self.is_none()).then_some(self.host)
    }

    /// True if both are the same call of a routine, or both are none.
    pub fn is(&self, other: &Self) -> bool {
        self.host == other.host
    }

    /// True if its frames end where the stack pointer is.
    pub fn ends_at(&self, stack_pointer: u64) -> bool {
        stack_pointer.wrapping_sub(size_of::<usize>() as u64) == self.return_slot as u64
    }

    /// Where the routine is entered lies what was entered before it.
    pub fn outer(&self) -> Self {
        read(self.host).unwrap_or_default()
    }

    /// The call of the box that the routine is in.
    pub fn call(&self) -> Option<Call> {
        (self.call != 0).then(|| read(self.call)).flatten()
    }
}

/// A record on a stack, which may be another thread's.
fn read<T: Copy + Default>(address: usize) -> Option<T> {
    // SAFETY: records are integers.
    unsafe { crate::host::memory::try_read_as(address) }
}

/// Changes from the kernel stack that the driver at r11 runs on to the host's, which a driver that was not entered as
/// one runs on already.
#[cfg(not(windows))]
macro_rules! to_host_stack {
    () => {
        "mov rsp, [rax + {host}]\ntest rsp, rsp\ncmovz rsp, r11"
    };
}
#[cfg(windows)]
macro_rules! to_host_stack {
    () => {
        "/* {host} */"
    };
}

pub(crate) use to_host_stack;

/// Makes r10 the kernel stack of the [`Crossing`] at rax.
#[cfg(not(windows))]
macro_rules! to_kernel_stack {
    () => {
        "mov r10, [rax + {stack}]"
    };
}
#[cfg(windows)]
macro_rules! to_kernel_stack {
    () => {
        "mov r10, rsp"
    };
}

/// Where a driver has called a routine of the box by a pointer, that runs on the kernel stack: what the box is to have
/// its frames below lies where the host's stack goes on, not in the middle of those of drivers.
#[cfg(not(windows))]
macro_rules! off_kernel_stack {
    () => {
        "mov r10, rsp\nsub r10, [rax + {limit}]\nmov r11, [rax + {top}]\nsub r11, [rax + {limit}]\ncmp r10, r11\ncmovb rsp, [rax + {host}]"
    };
}
#[cfg(windows)]
macro_rules! off_kernel_stack {
    () => {
        "/* {limit} {top} */"
    };
}

/// Calls the routine of [`set_next`] with the arguments that this is called with, on the kernel stack.
///
/// # Safety
/// As the routine, of whose type this is one; after [`set_next`].
#[cfg(all(target_arch = "x86_64", any(target_os = "linux", windows)))]
#[unsafe(naked)]
pub unsafe extern "win64" fn enter() {
    core::arch::naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov rax, gs:[0x28]",
        off_kernel_stack!(),
        "push qword ptr [rax + {host}]",
        "push qword ptr [rax + {stack}]",
        "push qword ptr [rax + {call}]",
        "push qword ptr [rax + {return_slot}]",
        "push qword ptr [rax + {routine}]",
        "push qword ptr [rax + {request}]",
        "mov [rax + {host}], rsp",
        "mov r10, [rax + {next_request}]",
        "mov [rax + {request}], r10",
        "mov r11, [rax + {next}]",
        "lea r10, [r11 + 1]",
        "mov [rax + {routine}], r10",
        "mov qword ptr [rax + {call}], 0",
        to_kernel_stack!(),
        "sub r10, {between}",
        "and r10, -16",
        "mov rsp, r10",
        "sub r10, 8",
        "mov [rax + {return_slot}], r10",
        "mov rax, [rbp + 48]",
        "mov [rsp + 32], rax",
        "mov rax, [rbp + 56]",
        "mov [rsp + 40], rax",
        "mov rax, [rbp + 64]",
        "mov [rsp + 48], rax",
        "mov rax, [rbp + 72]",
        "mov [rsp + 56], rax",
        "mov rax, [rbp + 80]",
        "mov [rsp + 64], rax",
        "mov rax, [rbp + 88]",
        "mov [rsp + 72], rax",
        "call r11",
        "mov rcx, gs:[0x28]",
        "mov rsp, [rcx + {host}]",
        "pop qword ptr [rcx + {request}]",
        "pop qword ptr [rcx + {routine}]",
        "pop qword ptr [rcx + {return_slot}]",
        "pop qword ptr [rcx + {call}]",
        "pop qword ptr [rcx + {stack}]",
        "pop qword ptr [rcx + {host}]",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
        host = const HOST,
        stack = const STACK,
        call = const CALL,
        return_slot = const RETURN_SLOT,
        routine = const ROUTINE,
        request = const REQUEST,
        next = const NEXT,
        next_request = const NEXT_REQUEST,
        limit = const LIMIT,
        top = const TOP,
        between = const BETWEEN,
    )
}
